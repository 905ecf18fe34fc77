/* SPDX-License-Identifier: MIT */
#include "qmgr/retry.h"

#include <stdlib.h>
#include <time.h>

#include "qmgr/context.h"
#include "qmgr/memory.h"
#include "qmgr/pass.h"

#define RETRY_BATCH 64 /* passes started in one turn of the event loop */

struct retry {
    struct qmgr *qmgr;
    struct message **heap; /* from 1: the children of n are 2n and 2n + 1 */
    uint32_t count, capacity;
    struct event *timer;
    uint32_t seen_s; /* the clock when the timer was set last */
};

uint32_t retry_now_s(void)
{
    return (uint32_t)time(NULL);
}

/* Older mail first among what is due at the same second. */
static int retry_before(const struct message *a, const struct message *b)
{
    if (a->next_attempt_s != b->next_attempt_s)
        return a->next_attempt_s < b->next_attempt_s;
    return a->sequence < b->sequence;
}

static void retry_place(struct retry *retry, struct message *message,
                        uint32_t index)
{
    retry->heap[index] = message;
    message->heap_index = index;
}

static void retry_up(struct retry *retry, uint32_t index)
{
    struct message *message = retry->heap[index];

    while (index > 1 && retry_before(message, retry->heap[index / 2])) {
        retry_place(retry, retry->heap[index / 2], index);
        index /= 2;
    }
    retry_place(retry, message, index);
}

static void retry_down(struct retry *retry, uint32_t index)
{
    struct message *message = retry->heap[index];

    while (index * 2 <= retry->count) {
        uint32_t child = index * 2;

        if (child < retry->count &&
            retry_before(retry->heap[child + 1], retry->heap[child]))
            child++;
        if (!retry_before(retry->heap[child], message))
            break;
        retry_place(retry, retry->heap[child], index);
        index = child;
    }
    retry_place(retry, message, index);
}

/* What anything may wait for. */
static uint32_t retry_latest_s(const struct retry *retry)
{
    int64_t wait = retry->qmgr->settings.maximal_backoff_s;
    int64_t latest = retry_now_s() + wait + wait / RETRY_JITTER_DIVISOR;

    return latest < UINT32_MAX ? (uint32_t)latest : UINT32_MAX;
}

/* Later times are cut: the order of a heap survives that but for equal ones,
 * which are ordered by sequence. */
static void retry_cut(struct retry *retry, uint32_t latest_s)
{
    uint32_t i;

    for (i = 1; i <= retry->count; i++)
        if (retry->heap[i]->next_attempt_s > latest_s)
            retry->heap[i]->next_attempt_s = latest_s;
    /* From the leaves up. */
    for (i = retry->count / 2; i >= 1; i--)
        retry_down(retry, i);
}

/* Set the timer for the first message, unless all places are taken. */
static void retry_arm(struct retry *retry)
{
    struct timeval wait = {0, 0};
    uint32_t now = retry_now_s();
    uint32_t latest = retry_latest_s(retry);

    if (retry->count == 0 || retry->qmgr->stopping ||
        retry->qmgr->active_count >= retry->qmgr->settings.active_limit) {
        (void)event_del(retry->timer);
        return;
    }
    if (now < retry->seen_s || retry->heap[1]->next_attempt_s > latest)
        retry_cut(retry, latest); /* the clock was set back */
    retry->seen_s = now;
    if (retry->heap[1]->next_attempt_s > now)
        wait.tv_sec = retry->heap[1]->next_attempt_s - now;
    (void)event_add(retry->timer, &wait);
}

static void retry_on_timer(int fd, short events, void *context)
{
    struct retry *retry = context;
    struct qmgr *qmgr = retry->qmgr;
    uint32_t now = retry_now_s();
    unsigned started;

    (void)fd;
    (void)events;
    for (started = 0; started < RETRY_BATCH; started++) {
        struct message *message;

        if (retry->count == 0 || qmgr->stopping ||
            qmgr->active_count >= qmgr->settings.active_limit)
            break;
        message = retry->heap[1];
        if (message->next_attempt_s > now)
            break;
        retry_remove(retry, message);
        pass_start(qmgr, message);
    }
    retry_arm(retry);
}

struct retry *retry_new(struct qmgr *qmgr)
{
    struct retry *retry = memory_new(sizeof(*retry));

    retry->qmgr = qmgr;
    retry->timer = evtimer_new(qmgr->base, retry_on_timer, retry);
    return retry;
}

void retry_free(struct retry *retry)
{
    if (retry == NULL)
        return;
    event_free(retry->timer);
    free(retry->heap);
    free(retry);
}

void retry_add(struct qmgr *qmgr, struct message *message,
               uint32_t next_attempt_s)
{
    struct retry *retry = qmgr->retry;
    uint32_t latest = retry_latest_s(retry);

    if (message->heap_index != 0)
        retry_remove(retry, message);
    if (retry->count + 2 > retry->capacity) {
        retry->capacity = retry->capacity == 0 ? 1024 : retry->capacity * 2;
        retry->heap = memory_grow(retry->heap,
                                  retry->capacity * sizeof(struct message *));
    }
    message->stage = MESSAGE_WAITING;
    message->next_attempt_s = next_attempt_s < latest ? next_attempt_s : latest;
    retry_place(retry, message, ++retry->count);
    retry_up(retry, retry->count);
    if (message->heap_index == 1)
        retry_arm(retry);
}

void retry_remove(struct retry *retry, struct message *message)
{
    uint32_t index = message->heap_index;
    struct message *last;

    if (index == 0)
        return;
    last = retry->heap[retry->count--];
    message->heap_index = 0;
    if (last == message)
        return;
    retry_place(retry, last, index);
    retry_up(retry, index);
    retry_down(retry, last->heap_index);
}

void retry_wake(struct retry *retry)
{
    retry_arm(retry);
}

void retry_all_now(struct qmgr *qmgr, unsigned flags)
{
    struct retry *retry = qmgr->retry;
    uint32_t now = retry_now_s();
    uint32_t i;

    for (i = 1; i <= retry->count; i++)
        retry->heap[i]->flags |=
            (uint8_t)((flags & MESSAGE_FLUSH) | MESSAGE_NOW);
    retry_cut(retry, now);
    retry_arm(retry);
}

uint32_t retry_count(const struct retry *retry)
{
    return retry->count;
}
