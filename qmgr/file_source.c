/* SPDX-License-Identifier: MIT */
/*
 * file_source.c - deliver straight from one of Postfix's files in active/
 *
 * What the queue cannot or need not take goes out the way stock Postfix does
 * it: the agents mark recipients in the file itself, which lies in active/
 * while a pass runs and in deferred/, with the next attempt as its time of
 * change, while it waits.  postsuper(1) may remove it at any moment.
 */
#include "qmgr/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/memory.h"
#include "qmgr/message_file.h"
#include "qmgr/pass.h"
#include "qmgr/retry.h"
#include "qmgr/taken.h"

static void file_source_fill(struct pass *pass, struct queue_file *file)
{
    uint32_t i;

    pass->own = file;
    pass->envelope = file->envelope;
    pass->work_count = file->envelope.recipient_count;
    pass->recipient_count = pass->work_count + file->done_count;
    pass->works = memory_new((pass->work_count + 1) * sizeof(struct work));
    for (i = 0; i < pass->work_count; i++) {
        pass->works[i].recipient = i;
        pass->works[i].offset = file->offsets[i];
    }
    pass->queue_name = "active";
    pass->data_offset = file->data_offset;
    /* The agents read the content from the file themselves. */
    free(file->content);
    file->content = NULL;
}

static int file_source_load(struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    struct message *message = pass->message;
    struct queue_file *file = memory_new(sizeof(*file));
    struct message_file content = {.fd = -1};
    struct stat status;
    int result;

    if (message_file_stat(settings, "active", message->queue_id, &status) ==
        ENOENT)
        (void)message_file_move(settings, "deferred", "active",
                                message->queue_id);
    result = message_file_read(settings, "active", message->queue_id, &content);
    if (result == 0)
        result = queue_file_parse(content.bytes, content.size,
                                  message->queue_id, file);
    message_file_clear(&content);
    if (result == 0) {
        taken_add(pass->qmgr->taken, message->queue_id,
                  syncq_envelope_attribute_text(&file->envelope, "arrival", ""),
                  1);
        file_source_fill(pass, file);
        return 0;
    }
    free(file);
    if (result < 0)
        message_file_corrupt(settings, message->queue_id,
                             queue_file_strerror(result));
    if (result <= 0 || result == ENOENT)
        return ENOENT;
    log_warning("%s: cannot read active file: %s", message->queue_id,
                strerror(result));
    retry_add(pass->qmgr, message,
              retry_now_s() + (uint32_t)settings->minimal_backoff_s);
    return result;
}

static void file_source_progress(struct pass *pass,
                                 const struct request *request)
{
    (void)pass; /* the agents have marked the file */
    (void)request;
}

static void file_source_flushing(struct pass *pass)
{
    (void)pass; /* a crash leaves the file without recipients: the same */
}

/*
 * Overwrite one record of the envelope.  The sizes stay, so a crash leaves
 * either text.
 */
static void file_source_patch(struct pass *pass, const void *old, size_t size,
                              size_t skip, const void *text, size_t text_size)
{
    char path[SETTINGS_PATH_SIZE];
    struct message_file content = {.fd = -1};
    const uint8_t *found;
    int fd = -1;

    pass_path(pass, path);
    if (message_file_read(&pass->qmgr->settings, "active",
                          pass->message->queue_id, &content) != 0)
        goto out;
    if (pass->data_offset > content.size)
        goto out;
    found = memmem(content.bytes, pass->data_offset, old, size);
    if (found == NULL)
        goto out;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, text, text_size,
                         (off_t)((size_t)(found - content.bytes) + skip)) !=
                      (ssize_t)text_size)
        log_warning("%s: cannot update %s: %s", pass->message->queue_id, path,
                    strerror(errno));
out:
    if (fd >= 0)
        (void)close(fd);
    message_file_clear(&content);
}

static void file_source_warned(struct pass *pass)
{
    static const char record[] = {'W', 15};
    char text[32];

    (void)snprintf(text, sizeof(text), "%15d", -1);
    file_source_patch(pass, record, sizeof(record), sizeof(record), text, 15);
}

static void file_source_traced(struct pass *pass)
{
    static const char record[] = "A\x10trace_flags=1024";

    file_source_patch(pass, record, sizeof(record) - 1, 0, "K", 1);
}

static void file_source_corrupt(struct pass *pass)
{
    struct qmgr *qmgr = pass->qmgr;
    struct message *message = pass->message;

    message_file_corrupt(&qmgr->settings, message->queue_id,
                         "a delivery agent could not read it");
    message->pass = NULL;
    message->stage = MESSAGE_PARKED;
}

static void file_source_close(struct pass *pass, int done,
                              uint32_t next_attempt_s)
{
    const struct settings *settings = &pass->qmgr->settings;
    struct message *message = pass->message;
    char path[SETTINGS_PATH_SIZE];

    if (done) {
        settings_path(settings, "active", message->queue_id, path);
        if (unlink(path) != 0 && errno != ENOENT)
            log_warning("remove %s: %s", path, strerror(errno));
        return;
    }
    message_file_set_time(settings, "active", message->queue_id,
                          next_attempt_s);
    (void)message_file_move(settings, "active", "deferred", message->queue_id);
    retry_add(pass->qmgr, message, next_attempt_s);
}

static void file_source_clear(struct pass *pass)
{
    struct queue_file *file = pass->own;

    if (file != NULL)
        queue_file_clear(file);
    free(file);
    pass->own = NULL;
}

const struct source file_source = {
    .load = file_source_load,
    .progress = file_source_progress,
    .flushing = file_source_flushing,
    .warned = file_source_warned,
    .traced = file_source_traced,
    .corrupt = file_source_corrupt,
    .close = file_source_close,
    .clear = file_source_clear,
};
