/* SPDX-License-Identifier: MIT */
/*
 * queue_source.c - deliver a record of the queue
 *
 * The parts' entries say what is to be done; the record says what it is.  A
 * pass takes all parts that are due.  Changes go to the entries at once and
 * into the log within marks_interval, so a crash repeats at most that much.
 * `flushing` of part 0 stands for reports that may not have been sent; part 0
 * is done last, and only from there.
 */
#include "qmgr/queue_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/read.h"
#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/delivery_file.h"
#include "qmgr/memory.h"
#include "qmgr/message_file.h"
#include "qmgr/pass.h"
#include "qmgr/reason.h"
#include "qmgr/retry.h"

#define QUEUE_READ_RETRY_S 60 /* after an error of the disk */

struct queue_pass {
    struct syncq_entry_view *views; /* one for each part */
    uint8_t *in_pass;               /* parts that this pass takes */
    uint32_t *work_part;            /* part of each work */
    uint8_t *bytes;                 /* of the envelope */
    int has_file;
};

int queue_part_is_open(const struct syncq_entry_view *view)
{
    return !syncq_status_is_final(view->state.status) &&
           view->state.mask != syncq_recipients_mask(view->recipient_count);
}

int queue_part_is_held(const struct syncq_entry_view *view)
{
    return view->state.status == SYNCQ_STATUS_HELD ||
           view->state.status == SYNCQ_STATUS_LOST;
}

static struct backlog *queue_source_backlog(const struct pass *pass)
{
    return backlog_of(pass->qmgr, pass->message);
}

/* All entries of the message; SYNCQ_ERR_BAD_ENTRY when one is not its. */
static int queue_source_views(struct pass *pass, struct queue_pass *own)
{
    struct message *message = pass->message;
    uint32_t i;

    own->views = memory_new(message->part_count * sizeof(own->views[0]));
    own->in_pass = memory_new(message->part_count);
    for (i = 0; i < message->part_count; i++) {
        int result = backlog_read_part(queue_source_backlog(pass), message, i,
                                       &own->views[i]);

        if (result != 0)
            return result;
    }
    /* Part 0 goes last: without it there is no message. */
    return own->views[0].state.lsn == 0 ? SYNCQ_ERR_BAD_ENTRY : 0;
}

/* Which parts are due; works for their unfinished recipients. */
static void queue_source_collect(struct pass *pass, struct queue_pass *own)
{
    uint32_t now = retry_now_s();
    uint32_t count = 0;
    uint32_t i, bit;

    for (i = 0; i < pass->message->part_count; i++) {
        const struct syncq_entry_view *view = &own->views[i];

        if (!queue_part_is_open(view))
            continue;
        if (queue_part_is_held(view) ||
            (view->state.next_attempt_s > now &&
             (pass->message->flags & (MESSAGE_FLUSH | MESSAGE_NOW)) == 0)) {
            pass->others_left = 1;
            continue;
        }
        own->in_pass[i] = 1;
        count += view->recipient_count;
    }
    pass->works = memory_new((count + 1) * sizeof(struct work));
    own->work_part = memory_new((count + 1) * sizeof(uint32_t));
    for (i = 0; i < pass->message->part_count; i++) {
        const struct syncq_entry_view *view = &own->views[i];

        for (bit = 0; own->in_pass[i] && bit < view->recipient_count; bit++) {
            if (view->state.mask >> bit & 1)
                continue;
            pass->works[pass->work_count].recipient =
                view->first_recipient + bit;
            own->work_part[pass->work_count++] = i;
        }
    }
}

/* The record: read ahead by admission, or now. */
static int queue_source_record(struct pass *pass, struct queue_pass *own,
                               struct syncq_record *record)
{
    struct message *message = pass->message;

    if (message_take_record(message, record))
        return 0;
    return syncq_record_read(queue_source_backlog(pass)->queue,
                             own->views[0].state.lsn, message->sequence,
                             record);
}

/* The envelope outlives the record, whose content is in the agents' file. */
static int queue_source_envelope(struct pass *pass, struct queue_pass *own,
                                 const struct syncq_record *record)
{
    uint32_t i;
    int result;

    own->bytes =
        memory_copy(record->memory, (size_t)record->header.envelope_size);
    result = syncq_envelope_decode(
        own->bytes, (size_t)record->header.envelope_size, &pass->envelope);
    if (result != 0)
        return result;
    for (i = 0; i < pass->work_count; i++) {
        if (pass->works[i].recipient >= pass->envelope.recipient_count)
            return SYNCQ_ERR_BAD_ENTRY;
    }
    if (pass->envelope.part_count != pass->message->part_count)
        return SYNCQ_ERR_BAD_ENTRY;
    pass->recipient_count = pass->envelope.recipient_count;
    return 0;
}

/*
 * What cleanup(8) recorded for the sender goes back to where bounce(8) looks,
 * before the first attempt, and never while cleanup may still remove it.
 */
static void queue_source_write_trace(struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    const struct syncq_attribute *log =
        syncq_envelope_attribute(&pass->envelope, "trace_log");
    const struct queue_pass *own = pass->own;
    char path[SETTINGS_PATH_SIZE];
    struct stat status;
    uint32_t i;
    int fd;

    if (log == NULL || log->value_size == 0)
        return;
    for (i = 0; i < pass->message->part_count; i++) {
        if (own->views[i].state.attempts > 0)
            return;
    }
    if (message_file_stat(settings, "incoming", pass->message->queue_id,
                          &status) != ENOENT)
        return;
    settings_path(settings, settings->trace_service, pass->message->queue_id,
                  path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        if (errno != EEXIST)
            log_warning("open %s: %s", path, strerror(errno));
        return;
    }
    if (write(fd, log->value, log->value_size) != (ssize_t)log->value_size)
        log_warning("write %s: %s", path, strerror(errno));
    (void)close(fd);
}

/* What earlier passes did, as if it stood in the envelope. */
static void queue_source_flags(struct pass *pass, struct queue_pass *own)
{
    uint16_t reason = own->views[0].state.reason;
    int64_t trace = pass_number(pass, "trace_flags", 0);
    char text[32];

    if (reason & REASON_EXPIRE)
        pass->message->flags |= MESSAGE_EXPIRE;
    if (reason & REASON_WARNED)
        (void)syncq_envelope_set_attribute_text(&pass->envelope, "warn_time",
                                                "-1");
    if (reason & REASON_TRACED)
        trace &= ~PASS_TRACE_RECORD;
    if ((reason & REASON_WARNED) && pass->qmgr->settings.confirm_delay_cleared)
        trace |= PASS_TRACE_DELAY_SENT;
    if ((reason & (REASON_WARNED | REASON_TRACED)) == 0)
        return;
    (void)snprintf(text, sizeof(text), "%" PRId64, trace);
    (void)syncq_envelope_set_attribute_text(&pass->envelope, "trace_flags",
                                            text);
}

static void queue_source_activate(struct pass *pass, struct queue_pass *own)
{
    uint32_t i;

    for (i = 0; i < pass->message->part_count; i++) {
        struct syncq_state state = own->views[i].state;

        if (!own->in_pass[i])
            continue;
        state.status = SYNCQ_STATUS_ACTIVE;
        /* No mark: after a crash active means due, as before. */
        (void)syncq_entry_update(queue_source_backlog(pass)->queue,
                                 &own->views[i], &state);
    }
}

/* The record is not there, or not what we wrote: an alarm, never a guess. */
static void queue_source_lose(struct pass *pass, int error)
{
    struct backlog *backlog = queue_source_backlog(pass);
    struct message *message = pass->message;
    const char *queue_id =
        message->queue_id != NULL ? message->queue_id : "NOQUEUE";

    if (error > 0) {
        log_error("%s: cannot prepare message %#llx: %s", queue_id,
                  (unsigned long long)message->sequence, syncq_strerror(error));
        retry_add(pass->qmgr, message, retry_now_s() + QUEUE_READ_RETRY_S);
        return;
    }
    log_error("%s: message %#llx is damaged: %s; it is kept aside", queue_id,
              (unsigned long long)message->sequence, syncq_strerror(error));
    backlog_set_status(backlog, message, SYNCQ_STATUS_LOST);
    message->stage = MESSAGE_PARKED;
}

static int queue_source_prepare(struct pass *pass, struct queue_pass *own)
{
    struct message *message = pass->message;
    struct syncq_record record = {0};
    int result = queue_source_views(pass, own);

    if (result != 0)
        return result;
    queue_source_collect(pass, own);
    result = queue_source_record(pass, own, &record);
    if (result != 0)
        return result;
    result = queue_source_envelope(pass, own, &record);
    if (result == 0 && message->queue_id == NULL)
        message_set_id(
            &pass->qmgr->messages, message,
            syncq_envelope_attribute_text(&pass->envelope, "queue_id", ""));
    if (result == 0) {
        queue_source_flags(pass, own);
        result = delivery_file_write(pass, record.content, record.content_size);
        own->has_file = result == 0;
    }
    syncq_record_clear(&record);
    return result;
}

/* An older message of the same id, or its agents, are still at work. */
static int queue_source_must_wait(const struct pass *pass)
{
    const struct qmgr *qmgr = pass->qmgr;
    const char *queue_id = pass->message->queue_id;
    struct message *other;

    if (queue_id == NULL)
        return 0;
    if (delivery_file_is_locked(qmgr->files, queue_id))
        return 1;
    for (other = message_find_id(&qmgr->messages, queue_id); other != NULL;
         other = message_next_id(other)) {
        if (other != pass->message && other->pass != NULL)
            return 1;
    }
    return 0;
}

static int queue_source_load(struct pass *pass)
{
    struct queue_pass *own = memory_new(sizeof(*own));
    uint32_t again_s = retry_now_s() + 1;
    int result;

    pass->own = own;
    if (queue_source_backlog(pass)->queue == NULL ||
        queue_source_must_wait(pass)) {
        retry_add(pass->qmgr, pass->message, again_s);
        return EAGAIN;
    }
    result = queue_source_prepare(pass, own);
    if (result == 0 && queue_source_must_wait(pass)) {
        /* Its id became known only now. */
        delivery_file_remove(pass);
        retry_add(pass->qmgr, pass->message, again_s);
        return EAGAIN;
    }
    if (result != 0) {
        queue_source_lose(pass, result);
        return EAGAIN;
    }
    queue_source_write_trace(pass);
    backlog_ungroup(queue_source_backlog(pass), pass->message, &pass->envelope);
    queue_source_activate(pass, own);
    return 0;
}

/* Masks of the parts that these works belong to. */
static void queue_source_progress(struct pass *pass,
                                  const struct request *request)
{
    struct queue_pass *own = pass->own;
    uint32_t count = request != NULL ? request->work_count : pass->work_count;
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint32_t number = request != NULL ? request->work[i] : i;
        const struct work *work = &pass->works[number];
        struct syncq_entry_view *view = &own->views[own->work_part[number]];
        struct syncq_state state = view->state;
        uint64_t bit = UINT64_C(1) << (work->recipient - view->first_recipient);

        if (work->state != WORK_DONE || (state.mask & bit) != 0)
            continue;
        state.mask |= bit;
        /* Part 0 stands for the message until its reports are sent. */
        if (view->part != 0 &&
            state.mask == syncq_recipients_mask(view->recipient_count))
            state.status = SYNCQ_STATUS_DONE;
        backlog_update(queue_source_backlog(pass), view, &state);
    }
}

static void queue_source_set_part_0(struct pass *pass, unsigned status,
                                    uint16_t reason)
{
    struct queue_pass *own = pass->own;
    struct syncq_state state = own->views[0].state;

    state.status = (uint8_t)status;
    state.reason |= reason;
    backlog_update(queue_source_backlog(pass), &own->views[0], &state);
}

static void queue_source_flushing(struct pass *pass)
{
    queue_source_set_part_0(pass, SYNCQ_STATUS_FLUSHING, 0);
}

static void queue_source_warned(struct pass *pass)
{
    struct queue_pass *own = pass->own;

    queue_source_set_part_0(pass, own->views[0].state.status, REASON_WARNED);
}

static void queue_source_traced(struct pass *pass)
{
    struct queue_pass *own = pass->own;

    queue_source_set_part_0(pass, own->views[0].state.status, REASON_TRACED);
}

static void queue_source_parse_status(const char *status,
                                      struct syncq_state *state)
{
    unsigned class = 0, subject = 0, detail = 0;

    if (sscanf(status, "%1u.%2u.%5u", &class, &subject, &detail) != 3)
        return;
    state->dsn_class = (uint8_t) class;
    state->dsn_subject = (uint8_t)(subject & 31);
    state->dsn_detail = (uint16_t)detail;
}

/* One next attempt for all parts of the pass that are not finished. */
static void queue_source_defer(struct pass *pass, unsigned status,
                               uint32_t next_attempt_s)
{
    struct queue_pass *own = pass->own;
    uint32_t i;

    for (i = 0; i < pass->message->part_count; i++) {
        struct syncq_entry_view *view = &own->views[i];
        struct syncq_state state = view->state;

        /* Part 0 waits with the others although its own work is done. */
        if (i > 0 && !(own->in_pass[i] && queue_part_is_open(view)))
            continue;
        if (i == 0 && queue_part_is_held(view))
            continue;
        if (i == 0 && !own->in_pass[0] && queue_part_is_open(view))
            continue;
        if (state.status != SYNCQ_STATUS_FLUSHING)
            state.status = (uint8_t)status;
        state.last_attempt_s = retry_now_s();
        state.next_attempt_s = next_attempt_s;
        if (state.attempts < UINT16_MAX)
            state.attempts++;
        queue_source_parse_status(pass->status, &state);
        backlog_update(queue_source_backlog(pass), view, &state);
    }
}

static void queue_source_corrupt(struct pass *pass)
{
    log_error("%s: a delivery agent could not read %s/%s; the message is "
              "held",
              pass->message->queue_id, pass->queue_name,
              pass->message->queue_id);
    queue_source_defer(pass, SYNCQ_STATUS_HELD, 0);
    backlog_group(queue_source_backlog(pass), pass->message, &pass->envelope);
    delivery_file_remove(pass);
    pass->message->stage = MESSAGE_HELD;
}

static void queue_source_close(struct pass *pass, int done,
                               uint32_t next_attempt_s)
{
    struct backlog *backlog = queue_source_backlog(pass);
    struct queue_pass *own = pass->own;
    uint32_t i;

    delivery_file_remove(pass);
    if (!done) {
        queue_source_defer(pass, SYNCQ_STATUS_DEFERRED, next_attempt_s);
        backlog_group(backlog, pass->message, &pass->envelope);
        backlog_place(backlog, pass->message);
        return;
    }
    for (i = pass->message->part_count; i-- > 0;) {
        struct syncq_state state = own->views[i].state;

        if (syncq_status_is_final(state.status))
            continue;
        state.status = SYNCQ_STATUS_DONE;
        backlog_update(backlog, &own->views[i], &state);
    }
}

static void queue_source_clear(struct pass *pass)
{
    struct queue_pass *own = pass->own;

    if (own == NULL)
        return;
    syncq_envelope_clear(&pass->envelope);
    free(own->views);
    free(own->in_pass);
    free(own->work_part);
    free(own->bytes);
    free(own);
    pass->own = NULL;
}

const struct source queue_source = {
    .load = queue_source_load,
    .progress = queue_source_progress,
    .flushing = queue_source_flushing,
    .warned = queue_source_warned,
    .traced = queue_source_traced,
    .corrupt = queue_source_corrupt,
    .close = queue_source_close,
    .clear = queue_source_clear,
};
