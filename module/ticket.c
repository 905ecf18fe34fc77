/* SPDX-License-Identifier: MIT */
/*
 * ticket.c - the writer's half of the sync protocol after the request
 */
#include <errno.h>
#include <stdlib.h>

#include "module/append.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/queue_internal.h"

enum { LOOK_AGAIN_US = 1000000 }; /* for a channel that was replaced */

static int answer(uint32_t state)
{
    switch (state) {
    case SYNCQ_REQUEST_CONFIRM:
        return 0;
    case SYNCQ_REQUEST_FAILED:
        return SYNCQ_ERR_SYNC_FAILED;
    case SYNCQ_REQUEST_ABANDONED:
        return SYNCQ_ERR_ABANDONED;
    default:
        return SYNCQ_ERR_TIMEOUT;
    }
}

int syncq_ticket_wait(struct syncq_queue *queue, struct syncq_ticket *ticket,
                      int timeout_ms)
{
    struct syncq_channel *channel = queue->handle.channel;
    _Atomic uint32_t *word = &channel->states[ticket->request];
    uint64_t end_us = syncq_clock_us() + (uint64_t)timeout_ms * 1000;

    for (;;) {
        uint32_t state = atomic_load_explicit(word, memory_order_acquire);
        int result = answer(state);
        uint64_t now_us, left_us;

        if (result == 0)
            ticket->confirmed = 1;
        if (result != SYNCQ_ERR_TIMEOUT) {
            SYNCQ_FAILPOINT("ticket.answered");
            return result;
        }
        now_us = syncq_clock_us();
        if (now_us >= end_us)
            return result;
        left_us = end_us - now_us;
        SYNCQ_FAILPOINT("ticket.waiting");
        if (syncq_futex_wait(word, state,
                             left_us < LOOK_AGAIN_US
                                 ? (int64_t)left_us
                                 : LOOK_AGAIN_US) == ETIMEDOUT &&
            syncq_channel_usable(&queue->handle) == SYNCQ_ERR_DETACHED &&
            answer(atomic_load(word)) == SYNCQ_ERR_TIMEOUT)
            return SYNCQ_ERR_DETACHED;
    }
}

int syncq_ticket_abandon(struct syncq_queue *queue, struct syncq_ticket *ticket)
{
    _Atomic uint32_t *word = &queue->handle.channel->states[ticket->request];
    uint32_t state = atomic_load(word);

    while (state == SYNCQ_REQUEST_SENT || state == SYNCQ_REQUEST_RECEIPT)
        if (atomic_compare_exchange_weak(word, &state, SYNCQ_REQUEST_ABANDONED))
            return 0;
    if (state != SYNCQ_REQUEST_CONFIRM)
        return 0; /* failed: there is nothing left to give up */
    ticket->confirmed = 1;
    return SYNCQ_ERR_EXISTS;
}

void syncq_ticket_finish(struct syncq_queue *queue, struct syncq_ticket *ticket,
                         unsigned status)
{
    struct syncq_channel *channel = queue->handle.channel;
    _Atomic uint32_t *word = &channel->states[ticket->request];
    uint32_t state = atomic_load(word);

    for (uint32_t i = 0; i < ticket->slot_count; i++) {
        struct syncq_entry_view view = {0};

        if (syncq_index_read(&queue->index, ticket->slots[i], &view) != 0 ||
            view.sequence != ticket->sequence)
            continue;
        view.state.status =
            (uint8_t)(ticket->confirmed ? status : SYNCQ_STATUS_CANCELLED);
        syncq_index_write_state(&queue->index, &view);
        queue->index.entries[ticket->slots[i]].lock = 0;
        SYNCQ_FAILPOINT("ticket.part-set");
    }
    SYNCQ_FAILPOINT("ticket.parts-set");
    /* What was given up and is not synced yet is the helper's to free. */
    if (state == SYNCQ_REQUEST_ABANDONED)
        (void)atomic_compare_exchange_strong(word, &state, SYNCQ_REQUEST_LEFT);
    if (state == SYNCQ_REQUEST_CONFIRM || state == SYNCQ_REQUEST_FAILED)
        atomic_store_explicit(word, SYNCQ_REQUEST_CONFCONF,
                              memory_order_release);
    SYNCQ_FAILPOINT("ticket.finished");
    free(ticket->slots);
    ticket->slots = NULL;
    ticket->slot_count = 0;
}

void syncq_ticket_withdraw(struct syncq_queue *queue,
                           struct syncq_ticket *ticket)
{
    struct syncq_channel *channel = queue->handle.channel;

    syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_CANCELLED);
    SYNCQ_FAILPOINT("ticket.withdrawing");
    atomic_store(&channel->requests[ticket->request].entries_written, 1);
    atomic_store(&channel->states[ticket->request], SYNCQ_REQUEST_WITHDRAWN);
    syncq_channel_ring(channel);
}
