/* SPDX-License-Identifier: MIT */
#include "qmgr/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "qmgr/memory.h"
#include "qmgr/pass.h"
#include "qmgr/transport.h"

#define SCHEDULER_TABLE_SIZE    4096 /* hash chains; a power of two */
#define SCHEDULER_BUSY_AGAIN_US 20000

void request_free(struct request *request)
{
    free(request->nexthop);
    free(request->work);
    free(request);
}

static struct destination **scheduler_chain(const struct scheduler *scheduler,
                                            const struct transport *transport,
                                            const char *name)
{
    uint64_t hash = XXH3_64bits_withSeed(name, strlen(name),
                                         (uint64_t)(uintptr_t)transport);

    return &scheduler->by_name[hash & (scheduler->name_size - 1)];
}

struct destination *scheduler_destination(struct scheduler *scheduler,
                                          struct transport *transport,
                                          const char *name)
{
    struct destination **chain = scheduler_chain(scheduler, transport, name);
    struct destination *destination = *chain;

    while (destination != NULL && (destination->transport != transport ||
                                   strcmp(destination->name, name) != 0))
        destination = destination->next_of_name;
    if (destination != NULL)
        return destination;
    destination = destination_new(transport, name);
    destination->next_of_name = *chain;
    *chain = destination;
    scheduler->name_count++;
    return destination;
}

void scheduler_forget(struct destination *destination)
{
    struct scheduler *scheduler = destination->transport->scheduler;
    struct destination **at =
        scheduler_chain(scheduler, destination->transport, destination->name);

    while (*at != destination)
        at = &(*at)->next_of_name;
    *at = destination->next_of_name;
    scheduler->name_count--;
}

/* Retry after the agents' socket was full. */
static void scheduler_on_busy_again(int fd, short events, void *context)
{
    struct transport *transport = context;

    (void)fd;
    (void)events;
    transport->paused = 0;
    scheduler_wake(transport->scheduler);
}

static void scheduler_on_transport_wake(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    transport_revive(context);
}

struct transport *scheduler_transport(struct scheduler *scheduler,
                                      const char *name)
{
    struct transport *transport = scheduler->transports;
    struct qmgr *qmgr = scheduler->qmgr;

    while (transport != NULL && strcmp(transport->name, name) != 0)
        transport = transport->next;
    if (transport != NULL)
        return transport;
    transport = memory_new(sizeof(*transport));
    transport->scheduler = scheduler;
    transport->name = memory_text(name);
    settings_transport(&qmgr->settings, name, &transport->limits);
    transport->wake =
        evtimer_new(qmgr->base, scheduler_on_transport_wake, transport);
    transport->busy_again =
        evtimer_new(qmgr->base, scheduler_on_busy_again, transport);
    transport->next = scheduler->transports;
    scheduler->transports = transport;
    return transport;
}

/* Open connections wherever something could be delivered. */
static void scheduler_on_turn(int fd, short events, void *context)
{
    struct scheduler *scheduler = context;
    struct transport *transport;

    (void)fd;
    (void)events;
    if (scheduler->qmgr->stopping)
        return;
    for (transport = scheduler->transports; transport != NULL;
         transport = transport->next) {
        while (transport_selectable(transport)) {
            struct timeval wait = {0, SCHEDULER_BUSY_AGAIN_US};
            int result = agent_start(transport);

            if (result == 0)
                continue;
            if (result == EAGAIN) {
                transport->paused = 1;
                (void)event_add(transport->busy_again, &wait);
            }
            break;
        }
    }
}

void scheduler_wake(struct scheduler *scheduler)
{
    event_active(scheduler->turn, EV_TIMEOUT, 0);
}

struct scheduler *scheduler_new(struct qmgr *qmgr)
{
    struct scheduler *scheduler = memory_new(sizeof(*scheduler));

    scheduler->qmgr = qmgr;
    scheduler->name_size = SCHEDULER_TABLE_SIZE;
    scheduler->by_name =
        memory_new(scheduler->name_size * sizeof(struct destination *));
    scheduler->turn = evtimer_new(qmgr->base, scheduler_on_turn, scheduler);
    return scheduler;
}

void scheduler_free(struct scheduler *scheduler)
{
    size_t i;

    if (scheduler == NULL)
        return;
    for (i = 0; i < scheduler->name_size; i++) {
        while (scheduler->by_name[i] != NULL) {
            struct destination *destination = scheduler->by_name[i];

            scheduler->by_name[i] = destination->next_of_name;
            destination_free(destination);
        }
    }
    while (scheduler->transports != NULL) {
        struct transport *transport = scheduler->transports;

        scheduler->transports = transport->next;
        transport_free(transport);
    }
    event_free(scheduler->turn);
    free(scheduler->by_name);
    free(scheduler);
}

void scheduler_add(struct scheduler *scheduler, struct request *request)
{
    destination_add(request->destination, request);
    scheduler_wake(scheduler);
}

void scheduler_divert(struct scheduler *scheduler, struct request *request,
                      const char *nexthop)
{
    const char *service = scheduler->qmgr->settings.retry_service;
    struct transport *retry = scheduler_transport(scheduler, service);

    if (retry->dead != NULL ||
        strcmp(request->destination->transport->name, service) == 0) {
        pass_request_undeliverable(request->pass, request, nexthop);
        return;
    }
    free(request->nexthop);
    request->nexthop = memory_text(nexthop);
    request->destination = scheduler_destination(scheduler, retry, nexthop);
    scheduler_add(scheduler, request);
}

void scheduler_revive_all(struct scheduler *scheduler)
{
    struct transport *transport;
    size_t i;

    for (transport = scheduler->transports; transport != NULL;
         transport = transport->next)
        transport_revive(transport);
    for (i = 0; i < scheduler->name_size; i++) {
        struct destination *destination = scheduler->by_name[i];

        while (destination != NULL) {
            struct destination *next = destination->next_of_name;

            destination_revive(destination);
            destination_release(destination);
            destination = next;
        }
    }
}

unsigned scheduler_running(const struct scheduler *scheduler)
{
    return scheduler->running;
}
