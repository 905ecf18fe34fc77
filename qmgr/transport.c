/* SPDX-License-Identifier: MIT */
/*
 * transport.c - one delivery agent's service
 */
#include "qmgr/transport.h"

#include <stdlib.h>
#include <string.h>

#include "qmgr/memory.h"

int transport_selectable(const struct transport *transport)
{
    const struct destination *destination = transport->ring;
    unsigned deliverable = 0;

    if (destination == NULL || transport->dead != NULL || transport->paused ||
        transport->pending >= TRANSPORT_PENDING_MAX)
        return 0;
    do {
        deliverable += destination_deliverable(destination);
        destination = destination->next;
    } while (deliverable <= transport->pending &&
             destination != transport->ring);
    return deliverable > transport->pending;
}

struct request *transport_select(struct transport *transport)
{
    struct destination *destination = transport->ring;
    struct request *request;

    if (destination == NULL || transport->dead != NULL)
        return NULL;
    transport->ring = destination->next;
    request = destination_take(destination);
    destination_started(destination);
    return request;
}

void transport_revive(struct transport *transport)
{
    if (transport->dead == NULL)
        return;
    free(transport->dead);
    transport->dead = NULL;
    (void)event_del(transport->wake);
    scheduler_wake(transport->scheduler);
}

void transport_die(struct transport *transport, const char *reason)
{
    struct scheduler *scheduler = transport->scheduler;
    struct timeval wait = {0, 0};
    size_t i;

    if (transport->dead != NULL)
        return;
    wait.tv_sec = scheduler->qmgr->settings.transport_retry_s;
    transport->dead = memory_text(reason);
    (void)event_add(transport->wake, &wait);
    for (i = 0; i < scheduler->name_size && transport->waiting > 0; i++) {
        struct destination *destination = scheduler->by_name[i];

        while (destination != NULL && transport->waiting > 0) {
            struct destination *next = destination->next_of_name;

            if (destination->transport == transport) {
                destination_divert(destination, transport->dead);
                destination_release(destination);
            }
            destination = next;
        }
    }
}

void transport_free(struct transport *transport)
{
    event_free(transport->wake);
    event_free(transport->busy_again);
    free(transport->name);
    free(transport->dead);
    free(transport);
}

unsigned transport_recipient_limit(const struct transport *transport)
{
    return transport->limits.recipient_limit;
}

const char *transport_name(const struct transport *transport)
{
    return transport->name;
}

const char *transport_dead_reason(const struct transport *transport)
{
    return transport->dead;
}
