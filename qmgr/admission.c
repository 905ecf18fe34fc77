/* SPDX-License-Identifier: MIT */
#include "qmgr/admission.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/read.h"
#include "program/log.h"
#include "qmgr/admission_files.h"
#include "qmgr/backlog.h"
#include "qmgr/importer.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"
#include "qmgr/resolver_rules.h"
#include "qmgr/retry.h"
#include "qmgr/taken.h"

#define ADMISSION_TICK_US 50000 /* while cleanup is at work */
/* A reservation that never became a record; if it does, we hear of it. */
#define ADMISSION_NEW_S 300
#define ADMISSION_FEW   256 /* messages looked at in every tick */
#define ADMISSION_EVENT_SIZE                                                   \
    (64 * (sizeof(struct inotify_event) + NAME_MAX + 1))

struct admission {
    struct backlog *backlog;
    uint64_t *waiting; /* sequences; some may be decided already */
    uint32_t count, capacity;
    uint32_t next; /* where the next tick goes on */
    int watch;
    struct event *readable, *timer;
};

/* The cancel mark is durable: now the file may be taken. */
struct admission_cancel {
    struct admission *admission;
    uint64_t sequence;
};

static void admission_on_cancelled(void *context, int failed);

static void admission_cancel_again(int fd, short events, void *context)
{
    struct admission_cancel *cancel = context;

    (void)fd;
    (void)events;
    marks_flush(cancel->admission->backlog->marks, admission_on_cancelled,
                cancel);
}

static void admission_on_cancelled(void *context, int failed)
{
    struct timeval second = {1, 0};
    struct admission_cancel *cancel = context;
    struct backlog *backlog = cancel->admission->backlog;
    struct message *message = message_find_sequence(
        &backlog->qmgr->messages, backlog->number, cancel->sequence);

    /*
     * Without a mark the entry still says so.  A latched queue never gets one:
     * its parts without a word are held by the repair, so the file can go.
     */
    if (failed && !backlog->latched)
        log_warning("%s: cancelled, but that is not durable yet",
                    message != NULL && message->queue_id != NULL
                        ? message->queue_id
                        : "NOQUEUE");
    if (failed && !backlog->latched && message != NULL) {
        (void)event_base_once(backlog->qmgr->base, -1, EV_TIMEOUT,
                              admission_cancel_again, cancel, &second);
        return;
    }
    if (message != NULL)
        message_remove(&backlog->qmgr->messages, message);
    importer_scan(backlog->qmgr->importer, IMPORTER_ACTIVE, 0);
    importer_scan(backlog->qmgr->importer, IMPORTER_INCOMING, 0);
    free(cancel);
}

static void admission_cancel(struct admission *admission,
                             struct message *message)
{
    struct backlog *backlog = admission->backlog;
    struct admission_cancel *cancel = memory_new(sizeof(*cancel));

    log_info("%s: cancelled, Postfix has kept this mail", message->queue_id);
    cancel->admission = admission;
    cancel->sequence = message->sequence;
    message->stage = MESSAGE_CANCELLING;
    backlog_set_status(backlog, message, SYNCQ_STATUS_CANCELLED);
    marks_flush(backlog->marks, admission_on_cancelled, cancel);
}

static void admission_accept(struct admission *admission,
                             struct message *message,
                             struct syncq_record *record)
{
    struct backlog *backlog = admission->backlog;
    const struct qmgr *qmgr = backlog->qmgr;
    int hold = resolver_rules_hold(record->envelope.instructions);

    backlog_set_status(backlog, message,
                       hold ? SYNCQ_STATUS_HELD : SYNCQ_STATUS_READY);
    if (hold)
        log_info("%s: held: %s", message->queue_id,
                 record->envelope.instructions +
                     strlen(RESOLVER_HOLD_TRANSPORT));
    /* Mail that starts at once leaves the groups at once. */
    if (hold || qmgr->active_count >= qmgr->settings.active_limit)
        backlog_group(backlog, message, &record->envelope);
    if (!hold)
        message_keep_record(message, record);
    backlog_place(backlog, message);
}

/* 1: decided; 0: wait. */
static int admission_decide(struct admission *admission,
                            struct message *message,
                            struct syncq_record *record)
{
    struct qmgr *qmgr = admission->backlog->qmgr;
    enum admission_verdict verdict =
        admission_look_at_files(qmgr, message, &record->envelope);

    if (verdict == ADMISSION_WAIT &&
        retry_now_s() - message->checking_since_s >= ADMISSION_WAIT_S) {
        log_warning("%s: cleanup(8) has not finished for %d s; delivering",
                    message->queue_id, ADMISSION_WAIT_S);
        /* Should it finish yet, its file is the same mail once more. */
        taken_add_late(
            qmgr->taken, message->queue_id,
            syncq_envelope_attribute_text(&record->envelope, "arrival", ""));
        verdict = ADMISSION_ACCEPT;
    }
    if (verdict == ADMISSION_ACCEPT)
        admission_accept(admission, message, record);
    else if (verdict == ADMISSION_CANCEL)
        admission_cancel(admission, message);
    else if (verdict == ADMISSION_FORGET)
        message_remove(&qmgr->messages, message);
    return verdict != ADMISSION_WAIT;
}

/* What the entries say: 0 wait, 1 look at the files, -1 nothing to do. */
static int admission_is_synced(struct admission *admission,
                               struct message *message, uint64_t *lsn)
{
    uint32_t i;
    int final = 1;

    for (i = 0; i < message->part_count; i++) {
        struct syncq_entry_view view;

        if (backlog_read_part(admission->backlog, message, i, &view) != 0)
            return 0; /* being written right now */
        if (view.state.status == SYNCQ_STATUS_NEW)
            return 0;
        final &= syncq_status_is_final(view.state.status);
        /* The writer gave up; the log must know, should the index be lost. */
        if (view.state.status == SYNCQ_STATUS_CANCELLED)
            marks_note(admission->backlog->marks, view.slot, view.sequence);
        if (i == 0 && view.state.lsn == 0)
            return -1; /* the whole message is gone */
        if (i == 0)
            *lsn = view.state.lsn;
    }
    return final ? -1 : 1;
}

/* 1: decided, the message may be gone; 0: wait. */
static int admission_check(struct admission *admission, struct message *message)
{
    struct backlog *backlog = admission->backlog;
    struct syncq_record record = {0};
    uint64_t lsn = 0;
    int synced = admission_is_synced(admission, message, &lsn);
    int result;

    if (synced < 0) {
        message_remove(&backlog->qmgr->messages, message);
        return 1;
    }
    if (synced == 0 &&
        retry_now_s() - message->checking_since_s >= ADMISSION_NEW_S) {
        message_remove(&backlog->qmgr->messages, message);
        return 1;
    }
    if (synced == 0)
        return 0;
    if (!message_take_record(message, &record)) {
        result =
            syncq_record_read(backlog->queue, lsn, message->sequence, &record);
        if (result != 0) {
            backlog_lose(backlog, message, result);
            return 1;
        }
    }
    message_set_id(
        &backlog->qmgr->messages, message,
        syncq_envelope_attribute_text(&record.envelope, "queue_id", "NOQUEUE"));
    result = admission_decide(admission, message, &record);
    /* Empty when it was kept; while waiting it is worth keeping, too. */
    if (result == 0)
        message_keep_record(message, &record);
    else
        syncq_record_clear(&record);
    return result;
}

static void admission_wait(struct admission *admission, uint64_t sequence)
{
    struct timeval tick = {0, ADMISSION_TICK_US};

    if (admission->count == admission->capacity) {
        admission->capacity = admission->capacity * 2 + 256;
        admission->waiting = memory_grow(
            admission->waiting, admission->capacity * sizeof(uint64_t));
    }
    admission->waiting[admission->count++] = sequence;
    if (!event_pending(admission->timer, EV_TIMEOUT, NULL))
        (void)event_add(admission->timer, &tick);
}

void admission_add(struct admission *admission, struct message *message)
{
    uint64_t sequence = message->sequence;

    message->stage = MESSAGE_CHECKING;
    message->checking_since_s = retry_now_s();
    if (!admission_check(admission, message))
        admission_wait(admission, sequence);
}

/* Look again at some, in turn; forget those that were decided meanwhile. */
static void admission_on_tick(int fd, short events, void *context)
{
    struct admission *admission = context;
    struct timeval tick = {0, ADMISSION_TICK_US};
    uint32_t looked = 0;

    (void)fd;
    (void)events;
    while (looked++ < ADMISSION_FEW && admission->count > 0) {
        uint32_t i = admission->next < admission->count ? admission->next : 0;
        struct message *message = message_find_sequence(
            &admission->backlog->qmgr->messages, admission->backlog->number,
            admission->waiting[i]);

        if (message == NULL || message->stage != MESSAGE_CHECKING ||
            admission_check(admission, message)) {
            admission->waiting[i] = admission->waiting[--admission->count];
        } else {
            admission->next = i + 1;
            if (admission->next >= admission->count)
                break; /* once around */
        }
    }
    if (admission->next >= admission->count)
        admission->next = 0;
    if (admission->count > 0)
        (void)event_add(admission->timer, &tick);
}

/* cleanup(8) has removed, finished or renamed a file. */
static void admission_on_file(struct admission *admission, const char *name)
{
    struct message *message =
        message_find_id(&admission->backlog->qmgr->messages, name);

    while (message != NULL) {
        struct message *next = message_next_id(message);

        if (message->origin == MESSAGE_QUEUE &&
            message->file == admission->backlog->number &&
            message->stage == MESSAGE_CHECKING)
            (void)admission_check(admission, message);
        message = next;
    }
}

static void admission_on_readable(int fd, short events, void *context)
{
    struct admission *admission = context;
    char bytes[ADMISSION_EVENT_SIZE]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got = read(fd, bytes, sizeof(bytes));
    ssize_t done = 0;

    (void)events;
    /* After an overflow the ticks find what was missed. */
    while (done < got) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(bytes + done);

        if (event->len > 0)
            admission_on_file(admission, event->name);
        done += (ssize_t)(sizeof(*event) + event->len);
    }
}

struct admission *admission_new(struct backlog *backlog)
{
    struct admission *admission = memory_new(sizeof(*admission));
    struct event_base *base = backlog->qmgr->base;

    admission->backlog = backlog;
    admission->timer = evtimer_new(base, admission_on_tick, admission);
    admission->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (admission->watch < 0 ||
        inotify_add_watch(admission->watch, "incoming",
                          IN_DELETE | IN_ATTRIB | IN_MOVED_FROM) < 0)
        /* The ticks do it as well, only later. */
        log_warning("watch directory incoming: %s", strerror(errno));
    if (admission->watch >= 0) {
        admission->readable =
            event_new(base, admission->watch, EV_READ | EV_PERSIST,
                      admission_on_readable, admission);
        (void)event_add(admission->readable, NULL);
    }
    return admission;
}

void admission_free(struct admission *admission)
{
    if (admission == NULL)
        return;
    if (admission->readable != NULL)
        event_free(admission->readable);
    if (admission->watch >= 0)
        (void)close(admission->watch);
    event_free(admission->timer);
    free(admission->waiting);
    free(admission);
}
