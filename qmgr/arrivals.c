/* SPDX-License-Identifier: MIT */
#include "qmgr/arrivals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/append.h"
#include "program/log.h"
#include "qmgr/backlog.h"
#include "qmgr/cleaner.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"

#define ARRIVALS_READ_COUNT 512 /* notices read at once */
#define ARRIVALS_CHECK_S    1   /* between looks at the counter */

struct arrivals {
    struct backlog *backlog;
    int fd;
    struct event *readable, *timer;
    uint64_t seen;       /* notices read, or covered by a walk */
    uint64_t last_count; /* of the channel, at the last look */
    char rest[sizeof(struct syncq_arrival)];
    size_t rest_size; /* bytes of a notice that is not whole yet */
};

static void arrivals_take(struct backlog *backlog,
                          const struct syncq_arrival *arrival)
{
    struct syncq_entry_view view;
    struct message *message;

    /* The notice is a hint from outside: only the entry counts. */
    if (syncq_entry_read(backlog->queue, arrival->slot, &view) != 0 ||
        view.sequence != arrival->sequence)
        return;
    /* The writer gave up: the log must know, should the index be lost. */
    if (view.state.status == SYNCQ_STATUS_CANCELLED) {
        marks_note(backlog->marks, view.slot, view.sequence);
        return;
    }
    message = backlog_collect(backlog, &view);
    if (message != NULL)
        backlog_place(backlog, message);
}

/* Read once; false when nothing is left. */
static int arrivals_read(struct arrivals *arrivals)
{
    char bytes[ARRIVALS_READ_COUNT * sizeof(struct syncq_arrival)];
    size_t have = arrivals->rest_size;
    size_t done;
    ssize_t got;

    memcpy(bytes, arrivals->rest, have);
    got = read(arrivals->fd, bytes + have, sizeof(bytes) - have);
    if (got <= 0)
        return 0;
    have += (size_t)got;
    for (done = 0; have - done >= sizeof(struct syncq_arrival);
         done += sizeof(struct syncq_arrival)) {
        struct syncq_arrival arrival;

        memcpy(&arrival, bytes + done, sizeof(arrival));
        arrivals->seen++;
        arrivals_take(arrivals->backlog, &arrival);
    }
    arrivals->rest_size = have - done;
    memcpy(arrivals->rest, bytes + done, arrivals->rest_size);
    return 1;
}

void arrivals_drain(struct backlog *backlog)
{
    if (backlog->queue == NULL || backlog->arrivals == NULL)
        return;
    while (arrivals_read(backlog->arrivals))
        ;
}

static void arrivals_on_readable(int fd, short events, void *context)
{
    struct arrivals *arrivals = context;

    (void)fd;
    (void)events;
    (void)arrivals_read(arrivals);
    cleaner_notice(arrivals->backlog->cleaner);
}

/*
 * A notice may be counted a moment before or after it is written, so only a
 * difference that stays the same between two looks means a lost one.
 */
static void arrivals_on_timer(int fd, short events, void *context)
{
    struct arrivals *arrivals = context;
    struct timeval wait = {ARRIVALS_CHECK_S, 0};
    uint64_t count = syncq_arrivals_count(arrivals->backlog->queue);

    (void)fd;
    (void)events;
    arrivals_drain(arrivals->backlog);
    if (count != arrivals->seen && count == arrivals->last_count) {
        arrivals->seen = count;
        backlog_walk(arrivals->backlog);
    }
    arrivals->last_count = count;
    (void)event_add(arrivals->timer, &wait);
}

int arrivals_new(struct backlog *backlog, struct arrivals **out)
{
    struct arrivals *arrivals = memory_new(sizeof(*arrivals));
    struct event_base *base = backlog->qmgr->base;
    struct timeval wait = {ARRIVALS_CHECK_S, 0};
    char bytes[4096];
    int result;

    arrivals->backlog = backlog;
    result = syncq_arrivals_open(backlog->queue, &arrivals->fd);
    if (result != 0) {
        free(arrivals);
        return result;
    }
    while (read(arrivals->fd, bytes, sizeof(bytes)) > 0)
        ;
    arrivals->seen = arrivals->last_count =
        syncq_arrivals_count(backlog->queue);
    arrivals->readable = event_new(base, arrivals->fd, EV_READ | EV_PERSIST,
                                   arrivals_on_readable, arrivals);
    arrivals->timer = evtimer_new(base, arrivals_on_timer, arrivals);
    (void)event_add(arrivals->readable, NULL);
    (void)event_add(arrivals->timer, &wait);
    *out = arrivals;
    return 0;
}

void arrivals_free(struct arrivals *arrivals)
{
    if (arrivals == NULL)
        return;
    event_free(arrivals->readable);
    event_free(arrivals->timer);
    (void)close(arrivals->fd);
    free(arrivals);
}
