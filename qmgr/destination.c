/* SPDX-License-Identifier: MIT */
/*
 * destination.c - deliveries at a time to one destination, and its troubles
 *
 * The window is stock Postfix's with its default feedback: it grows by one
 * with every delivery, shrinks with failures, and a destination with too many
 * failures in a row (in units of the window) is dead for minimal_backoff_time.
 */
#include "qmgr/transport.h"

#include <stdlib.h>
#include <time.h>

#include "qmgr/memory.h"

#define DESTINATION_CONN_LOAD  2048u
#define DESTINATION_CONN_STORE 4096u
#define DESTINATION_CACHE_MS   1000 /* smtp(8) keeps a session for 2 s */

static int64_t destination_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The end of being dead, or of the delay between deliveries. */
static void destination_on_wake(int fd, short events, void *context)
{
    struct destination *destination = context;
    struct scheduler *scheduler = destination->transport->scheduler;

    (void)fd;
    (void)events;
    destination->suspended = 0;
    destination_revive(destination);
    destination_update(destination);
    scheduler_wake(scheduler);
    destination_release(destination);
}

struct destination *destination_new(struct transport *transport,
                                    const char *name)
{
    struct destination *destination = memory_new(sizeof(*destination));

    destination->transport = transport;
    destination->name = memory_text(name);
    destination->last = &destination->first;
    destination->window = transport->limits.initial_concurrency;
    destination->wake = evtimer_new(transport->scheduler->qmgr->base,
                                    destination_on_wake, destination);
    return destination;
}

void destination_free(struct destination *destination)
{
    while (destination->first != NULL) {
        struct request *request = destination->first;

        destination->first = request->next;
        request_free(request);
    }
    event_free(destination->wake);
    free(destination->name);
    free(destination->dead);
    free(destination);
}

unsigned destination_deliverable(const struct destination *destination)
{
    unsigned room;

    if (destination->dead != NULL || destination->suspended ||
        destination->window <= destination->busy)
        return 0;
    room = destination->window - destination->busy;
    return room < destination->waiting ? room : destination->waiting;
}

static void destination_enter_ring(struct destination *destination)
{
    struct transport *transport = destination->transport;

    if (transport->ring == NULL) {
        destination->next = destination->previous = destination;
        transport->ring = destination;
        return;
    }
    /* Last in turn: just before the one whose turn it is. */
    destination->next = transport->ring;
    destination->previous = transport->ring->previous;
    destination->previous->next = destination;
    destination->next->previous = destination;
}

static void destination_leave_ring(struct destination *destination)
{
    struct transport *transport = destination->transport;

    if (destination->next == destination) {
        transport->ring = NULL;
    } else {
        destination->next->previous = destination->previous;
        destination->previous->next = destination->next;
        if (transport->ring == destination)
            transport->ring = destination->next;
    }
    destination->next = destination->previous = NULL;
}

void destination_update(struct destination *destination)
{
    int wanted = destination_deliverable(destination) > 0;

    if (wanted && destination->next == NULL)
        destination_enter_ring(destination);
    else if (!wanted && destination->next != NULL)
        destination_leave_ring(destination);
}

void destination_add(struct destination *destination, struct request *request)
{
    request->next = NULL;
    *destination->last = request;
    destination->last = &request->next;
    destination->waiting++;
    destination->transport->waiting++;
    destination_update(destination);
}

struct request *destination_take(struct destination *destination)
{
    struct request *request = destination->first;

    if (request == NULL)
        return NULL;
    destination->first = request->next;
    if (destination->first == NULL)
        destination->last = &destination->first;
    request->next = NULL;
    destination->waiting--;
    destination->transport->waiting--;
    destination_update(destination);
    return request;
}

void destination_revive(struct destination *destination)
{
    unsigned initial = destination->transport->limits.initial_concurrency;

    if (destination->dead == NULL)
        return;
    free(destination->dead);
    destination->dead = NULL;
    (void)event_del(destination->wake);
    destination->window = destination->busy > 0 ? destination->busy : initial;
    destination->success = destination->failure = destination->cohorts = 0;
    destination_update(destination);
    scheduler_wake(destination->transport->scheduler);
}

const char *destination_dead_reason(const struct destination *destination)
{
    return destination->dead;
}

static void destination_succeed(struct destination *destination)
{
    const struct settings_transport *limits = &destination->transport->limits;

    if (destination->dead != NULL) {
        destination_revive(destination);
        return;
    }
    destination->cohorts = 0;
    if ((limits->concurrency_limit != 0 &&
         destination->window >= limits->concurrency_limit) ||
        destination->window >= destination->busy + limits->initial_concurrency)
        return;
    destination->success += 1;
    while (destination->success + 0.5 >= 1) {
        destination->window++;
        destination->success -= 1;
        destination->failure = 0;
    }
    if (limits->concurrency_limit != 0 &&
        destination->window > limits->concurrency_limit)
        destination->window = limits->concurrency_limit;
}

void destination_divert(struct destination *destination, const char *nexthop)
{
    struct scheduler *scheduler = destination->transport->scheduler;
    struct request *request;

    while ((request = destination_take(destination)) != NULL)
        scheduler_divert(scheduler, request, nexthop);
}

static void destination_die(struct destination *destination,
                            const struct request_result *result)
{
    struct timeval wait = {0, 0};

    wait.tv_sec =
        destination->transport->scheduler->qmgr->settings.minimal_backoff_s;
    destination->dead = memory_print("%s delivery temporarily suspended: %s",
                                     result->status, result->reason);
    destination->cache_flags = 0;
    (void)event_add(destination->wake, &wait);
    destination_divert(destination, destination->dead);
}

static void destination_fail(struct destination *destination,
                             const struct request_result *result)
{
    unsigned limit = destination->transport->limits.cohort_limit;

    if (destination->dead != NULL)
        return;
    destination->cohorts += 1.0 / destination->window;
    /* Three thirds are a whole, whatever floating point says. */
    if (limit > 0 && destination->cohorts >= limit - 1e-9) {
        destination_die(destination, result);
        return;
    }
    destination->failure -= 1;
    while (destination->failure - 0.5 < 0) {
        if (destination->window > 1)
            destination->window--;
        destination->success = 0;
        destination->failure += 1;
    }
}

void destination_started(struct destination *destination)
{
    destination->busy++;
    destination->transport->busy++;
    destination_update(destination);
}

/* destination_rate_delay: one delivery, then a pause. */
static void destination_suspend(struct destination *destination)
{
    struct timeval wait = {0, 0};

    wait.tv_sec = destination->transport->limits.rate_delay_s;
    if (wait.tv_sec == 0 || destination->dead != NULL)
        return;
    destination->suspended = 1;
    (void)event_add(destination->wake, &wait);
}

void destination_done(struct destination *destination,
                      const struct request_result *result)
{
    destination->last_done_ms = destination_now_ms();
    if (*result->reason != '\0')
        destination_fail(destination, result);
    else
        destination_succeed(destination);
    destination->busy--;
    destination->transport->busy--;
    destination_suspend(destination);
    destination_update(destination);
    scheduler_wake(destination->transport->scheduler);
    destination_release(destination);
}

void destination_release(struct destination *destination)
{
    if (destination->waiting > 0 || destination->busy > 0 ||
        destination->dead != NULL || destination->suspended)
        return;
    if (destination->next != NULL)
        destination_leave_ring(destination);
    scheduler_forget(destination);
    destination_free(destination);
}

unsigned destination_connection_flags(struct destination *destination)
{
    int back_to_back = destination->last_done_ms > 0 &&
                       destination_now_ms() - destination->last_done_ms <=
                           DESTINATION_CACHE_MS;

    if (back_to_back)
        destination->cache_flags |=
            DESTINATION_CONN_LOAD | DESTINATION_CONN_STORE;
    else if (destination->busy <= 1)
        destination->cache_flags &= ~DESTINATION_CONN_STORE;
    return destination->cache_flags;
}
