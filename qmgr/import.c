/* SPDX-License-Identifier: MIT */
/*
 * import.c - one file becomes a record of the queue
 *
 *   incoming/ID -> active/ID (rename; a crash leaves it in active/, which is
 *   looked through at start), locked, read, then the committer's part:
 *   appended, synced, unlinked, the directory synced.  Only then are its parts
 *   ready.  While this goes on a parked message of the file stands for the id.
 */
#include "qmgr/import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/space_report.h"
#include "module/read.h"
#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/cleaner.h"
#include "qmgr/committer.h"
#include "qmgr/importer.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"
#include "qmgr/message_file.h"
#include "qmgr/pass.h"
#include "qmgr/resolver_rules.h"
#include "qmgr/retry.h"
#include "qmgr/taken.h"

#define IMPORT_LOCKED_WAIT_S 60      /* as stock */
#define IMPORT_FILE_FLUSH    S_IRGRP /* set by flush(8) */
#define IMPORT_FILE_EXPIRE   S_IXGRP /* set by postsuper -e */

struct import {
    struct qmgr *qmgr;
    struct message *message; /* stands for the id */
    struct backlog *backlog; /* of the queue file that is to take it */
    uint64_t tried;          /* a bit for each that was asked */
    struct message_file content;
    struct queue_file file;
    uint32_t next_attempt_s;
    int hold; /* a FILTER wants it held, and nobody has released it yet */
    char path[SETTINGS_PATH_SIZE];
    struct committer_job job;
};

static unsigned import_count;

unsigned import_under_way(void)
{
    return import_count;
}

int import_is_same(struct qmgr *qmgr, const struct message *message,
                   const char *queue_name)
{
    struct syncq_queue *queue = backlog_of(qmgr, message)->queue;
    struct syncq_entry_view view;
    struct syncq_record record;
    int same;

    if (queue == NULL ||
        syncq_entry_read(queue, message_slots((struct message *)message)[0],
                         &view) != 0 ||
        view.sequence != message->sequence ||
        syncq_record_read(queue, view.state.lsn, view.sequence, &record) != 0)
        return 0;
    same = message_file_is(&qmgr->settings, queue_name, message->queue_id,
                           &record.envelope);
    syncq_record_clear(&record);
    return same;
}

void import_drop_file(struct qmgr *qmgr, const char *queue_id,
                      const char *queue_name)
{
    char path[SETTINGS_PATH_SIZE];

    settings_path(&qmgr->settings, queue_name, queue_id, path);
    if (unlink(path) == 0)
        log_info("%s: removed %s: the queue holds this mail", queue_id, path);
    else if (errno != ENOENT)
        log_warning("%s: remove %s: %s", queue_id, path, strerror(errno));
}

/* An agent of a manager that is gone still delivers from it. */
static void import_put_off(struct qmgr *qmgr, const char *queue_id)
{
    log_info("%s: skipped, still being delivered", queue_id);
    message_file_set_time(&qmgr->settings, "active", queue_id,
                          retry_now_s() + IMPORT_LOCKED_WAIT_S);
    (void)message_file_move(&qmgr->settings, "active", "incoming", queue_id);
}

/*
 * Deliver from active/, as stock Postfix does; mail to be held goes to hold/,
 * from where postsuper(1) releases it.
 */
static void import_leave_file(struct import *import)
{
    struct qmgr *qmgr = import->qmgr;
    struct message *message = import->message;

    message_file_clear(&import->content); /* gives the lock to the agents */
    if (import->hold) {
        if (message_file_move(&qmgr->settings, "active", "hold",
                              message->queue_id) == 0)
            log_info("%s: held", message->queue_id);
        message_remove(&qmgr->messages, message);
        return;
    }
    if (import->next_attempt_s > retry_now_s())
        (void)message_file_move(&qmgr->settings, "active", "deferred",
                                message->queue_id);
    retry_add(qmgr, message, import->next_attempt_s);
}

static void import_free(struct import *import)
{
    queue_file_clear(&import->file);
    message_file_clear(&import->content); /* gives the lock back */
    free(import->job.slots);
    free(import);
    import_count--;
}

static void import_make_ready(struct import *import)
{
    struct qmgr *qmgr = import->qmgr;
    struct backlog *backlog = import->backlog;
    struct message *message = NULL;
    uint32_t i;

    for (i = 0; i < import->file.envelope.part_count; i++) {
        struct syncq_entry_view view;
        struct message *whole;

        if (syncq_entry_read(backlog->queue, import->job.slots[i], &view) !=
                0 ||
            view.sequence != import->job.sequence)
            continue; /* cannot be: they are ours alone */
        whole = backlog_collect(backlog, &view);
        if (whole != NULL)
            message = whole;
    }
    if (message == NULL)
        message = message_find_sequence(&qmgr->messages, backlog->number,
                                        import->job.sequence);
    if (message == NULL)
        return;
    /* A queue file that is not there may hold a capture of the same mail. */
    taken_add(
        qmgr->taken, import->message->queue_id,
        syncq_envelope_attribute_text(&import->file.envelope, "arrival", ""),
        backlogs_lack_one(qmgr->backlogs));
    message_set_id(&qmgr->messages, message, import->message->queue_id);
    message->flags |= MESSAGE_IMPORT;
    message->flags |= import->message->flags;
    message->next_attempt_s = import->next_attempt_s;
    if (import->job.unlink_result == ENOENT) {
        /* postsuper(1) was faster: it has the mail now, or nobody. */
        backlog_set_status(backlog, message, SYNCQ_STATUS_CANCELLED);
        message_remove(&qmgr->messages, message);
        return;
    }
    if (import->hold)
        log_info("%s: held: %s", message->queue_id,
                 import->file.envelope.instructions +
                     strlen(RESOLVER_HOLD_TRANSPORT));
    backlog_set_status(backlog, message,
                       import->hold ? SYNCQ_STATUS_HELD : SYNCQ_STATUS_READY);
    backlog_group(backlog, message, &import->file.envelope);
    backlog_place(backlog, message);
}

/*
 * The record may be on disk although nobody confirmed it; the log says that
 * it is void, so that a lost index does not bring it back.
 */
static void import_note_cancelled(const struct import *import)
{
    uint32_t i;

    for (i = 0;
         import->job.slots != NULL && i < import->file.envelope.part_count; i++)
        marks_note(import->backlog->marks, import->job.slots[i],
                   import->job.sequence);
}

static void import_submit(struct import *import);

/* Nothing of it is in that queue file: another one may take it. */
static int import_try_next(struct import *import)
{
    struct backlog *next;

    if (import->job.result == 0 || import->job.result == ECANCELED ||
        import->job.slots != NULL)
        return 0;
    next = backlogs_choose(import->qmgr->backlogs, import->tried);
    if (next == NULL)
        return 0;
    import->backlog = next;
    import_submit(import);
    return 1;
}

static void import_on_done(struct committer_job *job, void *context)
{
    struct import *import = context;
    struct qmgr *qmgr = import->qmgr;
    struct message *message = import->message;

    if (import_try_next(import))
        return;
    if (job->result == ECANCELED) {
        message_remove(&qmgr->messages, message);
    } else if (job->result != 0) {
        log_info("%s: delivering from file: %s", message->queue_id,
                 syncq_strerror(job->result));
        import_note_cancelled(import);
        import_leave_file(import);
        if (syncq_limit_of(job->result) != SYNCQ_LIMIT_COUNT)
            cleaner_wake(import->backlog->cleaner);
    } else {
        import_make_ready(import);
        message_remove(&qmgr->messages, message);
    }
    import_free(import);
    importer_wake(qmgr->importer);
}

/* Which file the record replaces, should we die before it is gone. */
static int import_identify(struct import *import)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64,
                   (uint64_t)import->content.status.st_ino);
    return syncq_envelope_set_attribute_text(&import->file.envelope,
                                             IMPORT_INODE, text);
}

static void import_submit(struct import *import)
{
    struct committer_job *job = &import->job;

    settings_path(&import->qmgr->settings, "active", import->message->queue_id,
                  import->path);
    job->envelope = &import->file.envelope;
    job->content = import->file.content;
    job->content_size = import->file.content_size;
    job->file = import->path;
    job->done = import_on_done;
    job->context = import;
    import->tried |= UINT64_C(1) << import->backlog->number;
    committer_submit(import->backlog->committer, job);
}

/* Probes live for seconds; without recipients there is only a report left. */
static int import_is_wanted(const struct import *import)
{
    const struct syncq_envelope *envelope = &import->file.envelope;
    long flags = strtol(
        syncq_envelope_attribute_text(envelope, "trace_flags", "0"), NULL, 10);

    return (flags & PASS_TRACE_VERIFY) == 0 && envelope->recipient_count > 0;
}

static void import_refuse(struct import *import, int error)
{
    memset(&import->file, 0, sizeof(import->file));
    message_file_corrupt(&import->qmgr->settings, import->message->queue_id,
                         queue_file_strerror(error));
    message_remove(&import->qmgr->messages, import->message);
    import_free(import);
}

/* The file is ours and read: where does it go? */
static void import_start(struct import *import, const char *queue_name)
{
    struct syncq_envelope *envelope = &import->file.envelope;
    int result = queue_file_parse(import->content.bytes, import->content.size,
                                  import->message->queue_id, &import->file);

    if (result != 0) {
        import_refuse(import, result);
        return;
    }
    /* Our copy went out after cleanup(8) had kept us waiting too long. */
    if (taken_has_late(
            import->qmgr->taken, import->message->queue_id,
            syncq_envelope_attribute_text(envelope, "arrival", ""))) {
        import_drop_file(import->qmgr, import->message->queue_id, "active");
        message_remove(&import->qmgr->messages, import->message);
        import_free(import);
        return;
    }
    /* What comes from deferred/ was released, or was never to be held. */
    import->hold = resolver_rules_hold(envelope->instructions) &&
                   strcmp(queue_name, "deferred") != 0;
    import->backlog = backlogs_choose(import->qmgr->backlogs, 0);
    if (import->backlog != NULL && import_is_wanted(import) &&
        syncq_envelope_group(envelope) == 0 && import_identify(import) == 0) {
        import_submit(import);
        return;
    }
    import_leave_file(import);
    import_free(import);
}

/* What the file's mode and time say. */
static void import_read_status(struct import *import, unsigned flags)
{
    const struct stat *status = &import->content.status;
    struct message *message = import->message;
    uint32_t now = retry_now_s();

    import->next_attempt_s = now;
    if ((flags & MESSAGE_NOW) == 0 && status->st_mtime > (time_t)now)
        import->next_attempt_s = (uint32_t)status->st_mtime;
    if (status->st_mode & IMPORT_FILE_FLUSH) {
        message->flags |= MESSAGE_FLUSH;
        import->next_attempt_s = now;
        (void)fchmod(import->content.fd,
                     status->st_mode & 0777 & ~(mode_t)IMPORT_FILE_FLUSH);
    }
    if (status->st_mode & IMPORT_FILE_EXPIRE)
        message->flags |= MESSAGE_EXPIRE;
    message->flags |= (uint8_t)(flags & (MESSAGE_NOW | MESSAGE_FLUSH));
}

void import_take(struct qmgr *qmgr, const char *queue_id,
                 const char *queue_name, unsigned flags)
{
    struct message_file content = {.fd = -1};
    struct import *import;
    int result = 0;

    if (strcmp(queue_name, "active") != 0)
        result =
            message_file_move(&qmgr->settings, queue_name, "active", queue_id);
    if (result == 0)
        result =
            message_file_lock(&qmgr->settings, "active", queue_id, &content);
    if (result == EWOULDBLOCK)
        import_put_off(qmgr, queue_id);
    else if (result != 0 && result != ENOENT)
        log_warning("%s: cannot read active file: %s", queue_id,
                    strerror(result));
    if (result != 0)
        return;
    import = memory_new(sizeof(*import));
    import_count++;
    import->qmgr = qmgr;
    import->content = content;
    import->message = message_add_file(&qmgr->messages, queue_id);
    import_read_status(import, flags);
    import_start(import, queue_name);
}
