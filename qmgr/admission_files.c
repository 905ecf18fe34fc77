/* SPDX-License-Identifier: MIT */
/*
 * admission_files.c - the order of the looks matters
 *
 * cleanup(8) renames from incoming/ to hold/, so hold/ is looked at after
 * incoming/; an importer renames from incoming/ or deferred/ to active/.
 */
#include "qmgr/admission_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "module/envelope.h"
#include "qmgr/context.h"
#include "qmgr/import.h"
#include "qmgr/importer.h"
#include "qmgr/message_file.h"
#include "qmgr/taken.h"

static int admission_file_has_inode(const struct qmgr *qmgr,
                                    const char *queue_name,
                                    const char *queue_id,
                                    unsigned long long inode)
{
    struct stat status;

    return message_file_stat(&qmgr->settings, queue_name, queue_id, &status) ==
               0 &&
           status.st_ino == inode;
}

/* An import of an earlier manager: does its file still exist? */
static enum admission_verdict admission_look_at_import(struct qmgr *qmgr,
                                                       struct message *message,
                                                       const char *inode_text)
{
    static const char *const queues[] = {"incoming", "deferred", "active",
                                         "hold"};
    unsigned long long inode = strtoull(inode_text, NULL, 10);
    size_t i;

    message->flags |= MESSAGE_IMPORT;
    if (importer_has(qmgr, message->queue_id))
        return ADMISSION_FORGET;
    for (i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        if (admission_file_has_inode(qmgr, queues[i], message->queue_id, inode))
            return ADMISSION_CANCEL;
    }
    return ADMISSION_ACCEPT;
}

static enum admission_verdict
admission_look_at_incoming(const struct qmgr *qmgr, const char *queue_id,
                           const struct syncq_envelope *envelope)
{
    const struct settings *settings = &qmgr->settings;
    struct stat status;
    int result = message_file_stat(settings, "incoming", queue_id, &status);

    if (result == ENOENT)
        return ADMISSION_ACCEPT;
    if (result != 0)
        return ADMISSION_WAIT;
    if ((status.st_mode & 0700) != 0700)
        return ADMISSION_WAIT;
    return message_file_is(settings, "incoming", queue_id, envelope)
               ? ADMISSION_CANCEL
               : ADMISSION_ACCEPT;
}

enum admission_verdict
admission_look_at_files(struct qmgr *qmgr, struct message *message,
                        const struct syncq_envelope *envelope)
{
    static const char *const kept[] = {"hold", "deferred", "active"};
    const struct settings *settings = &qmgr->settings;
    const char *queue_id = message->queue_id;
    const char *inode =
        syncq_envelope_attribute_text(envelope, IMPORT_INODE, "");
    enum admission_verdict verdict;
    struct stat status;
    size_t i;

    if (taken_has(qmgr->taken, queue_id,
                  syncq_envelope_attribute_text(envelope, "arrival", "")))
        return ADMISSION_CANCEL;
    if (*inode != '\0')
        return admission_look_at_import(qmgr, message, inode);
    verdict = admission_look_at_incoming(qmgr, queue_id, envelope);
    if (verdict != ADMISSION_ACCEPT)
        return verdict;
    for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (message_file_stat(settings, kept[i], queue_id, &status) == 0 &&
            message_file_is(settings, kept[i], queue_id, envelope))
            return ADMISSION_CANCEL;
    }
    return ADMISSION_ACCEPT;
}
