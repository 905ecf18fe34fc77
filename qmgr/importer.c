/* SPDX-License-Identifier: MIT */
/*
 * importer.c - which files are taken, and when
 *
 * import.c takes one.
 */
#include "qmgr/importer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/import.h"
#include "qmgr/memory.h"
#include "qmgr/message_file.h"
#include "qmgr/retry.h"
#include "qmgr/scan.h"

#define IMPORTER_BATCH     64  /* files looked at in one turn */
#define IMPORTER_UNDER_WAY 256 /* imports that wait for the disk */
#define IMPORTER_FUTURE_S  1   /* as stock: clocks may differ a little */

static const char *const importer_names[IMPORTER_QUEUES] = {
    "active", "incoming", "deferred"};

struct importer_request {
    int wanted;
    unsigned flags;
};

struct importer {
    struct qmgr *qmgr;
    struct importer_request requests[IMPORTER_QUEUES];
    struct scan scan;
    enum importer_queue current; /* of the open scan */
    unsigned flags;              /* of the open scan */
    struct event *turn, *deferred_timer;
};

int importer_has(const struct qmgr *qmgr, const char *queue_id)
{
    const struct message *message = message_find_id(&qmgr->messages, queue_id);

    while (message != NULL && (message->origin != MESSAGE_FILE ||
                               message->stage != MESSAGE_PARKED))
        message = message_next_id(message);
    return message != NULL;
}

/* Has cleanup(8) finished with it, and is it due? */
static int importer_is_due(const struct importer *importer,
                           const struct stat *status)
{
    return S_ISREG(status->st_mode) && (status->st_mode & 0700) == 0700 &&
           ((importer->flags & MESSAGE_NOW) != 0 ||
            importer->current == IMPORTER_ACTIVE ||
            importer->current == IMPORTER_DEFERRED ||
            status->st_mtime <= time(NULL) + IMPORTER_FUTURE_S);
}

/*
 * What is known of this id decides whether the file may be taken.  A capture
 * of the same mail that was not confirmed by the MTA's silence is cancelled by
 * admission, which calls again; one that was is the mail itself.
 */
static int importer_may_take(struct importer *importer, const char *queue_id)
{
    struct qmgr *qmgr = importer->qmgr;
    struct message *message = message_find_id(&qmgr->messages, queue_id);
    const char *name = importer_names[importer->current];

    while (message != NULL) {
        struct message *next = message_next_id(message);

        if (message->origin == MESSAGE_FILE &&
            message->stage == MESSAGE_WAITING) {
            if (importer->current == IMPORTER_DEFERRED &&
                (importer->flags & MESSAGE_NOW) == 0 &&
                !backlogs_accept(qmgr->backlogs))
                return 0; /* its timer knows when */
            retry_remove(qmgr->retry, message);
            message_remove(&qmgr->messages, message);
        } else if (message->origin == MESSAGE_FILE) {
            return 0;
        } else if (message->stage == MESSAGE_CHECKING ||
                   message->stage == MESSAGE_CANCELLING ||
                   message->stage == MESSAGE_PARTIAL) {
            return 0;
        } else if (import_is_same(qmgr, message, name)) {
            import_drop_file(qmgr, queue_id, name);
            return 0;
        }
        message = next;
    }
    return 1;
}

static void importer_consider(struct importer *importer, const char *queue_id)
{
    struct qmgr *qmgr = importer->qmgr;
    const char *name = importer_names[importer->current];
    struct stat status;

    if (message_file_stat(&qmgr->settings, name, queue_id, &status) != 0 ||
        !importer_is_due(importer, &status) ||
        !importer_may_take(importer, queue_id))
        return;
    import_take(qmgr, queue_id, name, importer->flags);
}

/* Open the next wanted scan; false when there is none. */
static int importer_next_scan(struct importer *importer)
{
    unsigned i;

    for (i = 0; i < IMPORTER_QUEUES; i++) {
        struct importer_request *request = &importer->requests[i];
        int result;

        if (!request->wanted)
            continue;
        request->wanted = 0;
        importer->flags = request->flags;
        request->flags = 0;
        importer->current = (enum importer_queue)i;
        result = scan_open(&importer->scan, importer_names[i]);
        if (result == 0)
            return 1;
        log_warning("open directory %s: %s", importer_names[i],
                    strerror(result));
    }
    return 0;
}

static void importer_on_turn(int fd, short events, void *context)
{
    struct importer *importer = context;
    struct qmgr *qmgr = importer->qmgr;
    char queue_id[SCAN_ID_SIZE];
    unsigned count;

    (void)fd;
    (void)events;
    if (qmgr->stopping || !backlogs_are_settled(qmgr->backlogs))
        return;
    /* A capture is announced before its file can be seen: read that first. */
    backlogs_drain_arrivals(qmgr->backlogs);
    for (count = 0; count < IMPORTER_BATCH; count++) {
        if (import_under_way() >= IMPORTER_UNDER_WAY)
            return; /* the end of one wakes us */
        if (importer->scan.depth == 0 && !importer_next_scan(importer))
            return;
        if (scan_next(&importer->scan, queue_id))
            importer_consider(importer, queue_id);
    }
    importer_wake(importer);
}

void importer_wake(struct importer *importer)
{
    event_active(importer->turn, EV_TIMEOUT, 0);
}

void importer_scan(struct importer *importer, enum importer_queue queue,
                   unsigned flags)
{
    importer->requests[queue].wanted = 1;
    importer->requests[queue].flags |= flags;
    importer_wake(importer);
}

/* Mail released from hold/ appears in deferred/ without a word to us. */
static void importer_on_deferred_timer(int fd, short events, void *context)
{
    struct importer *importer = context;
    struct timeval wait = {0, 0};

    (void)fd;
    (void)events;
    importer_scan(importer, IMPORTER_DEFERRED, 0);
    importer_scan(importer, IMPORTER_INCOMING, 0);
    wait.tv_sec = importer->qmgr->settings.queue_run_delay_s;
    if (wait.tv_sec < 1)
        wait.tv_sec = 1;
    (void)event_add(importer->deferred_timer, &wait);
}

struct importer *importer_new(struct qmgr *qmgr)
{
    struct importer *importer = memory_new(sizeof(*importer));

    importer->qmgr = qmgr;
    importer->turn = evtimer_new(qmgr->base, importer_on_turn, importer);
    importer->deferred_timer =
        evtimer_new(qmgr->base, importer_on_deferred_timer, importer);
    importer_scan(importer, IMPORTER_ACTIVE, 0);
    event_active(importer->deferred_timer, EV_TIMEOUT, 0);
    return importer;
}

void importer_free(struct importer *importer)
{
    if (importer == NULL)
        return;
    scan_close(&importer->scan);
    event_free(importer->turn);
    event_free(importer->deferred_timer);
    free(importer);
}
