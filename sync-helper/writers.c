/* SPDX-License-Identifier: MIT */
/*
 * writers.c - finish for writers that died
 *
 * A sent request is synced like any other, then its parts become `synced` and
 * the manager is made to look.  A reservation without a request becomes a void
 * record; its slots are given back once that is durable.
 */
#include "module/failpoint.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/helper.h"

static void count_arrivals(struct helper *helper, uint32_t count)
{
    /* Counted and never sent: the manager finds them in the index. */
    atomic_fetch_add(&helper->channel->arrivals, count);
}

/* Call visit for each slot that this request took. */
static void for_each_slot(struct helper *helper, uint32_t number,
                          void (*visit)(struct helper *helper, uint32_t slot))
{
    struct syncq_index *index = &helper->queue->index;
    uint32_t left = helper->channel->requests[number].slot_count;

    for (uint32_t slot = 0; slot < index->entry_count && left > 0; slot++) {
        if (index->entries[slot].lock != number + 1)
            continue;
        visit(helper, slot);
        left--;
    }
}

static void set_status(struct helper *helper, uint32_t slot, unsigned status)
{
    struct syncq_index *index = &helper->queue->index;
    struct syncq_entry_view view;

    if (syncq_index_read(index, slot, &view) == 0 &&
        view.state.status == SYNCQ_STATUS_NEW) {
        view.state.status = (uint8_t)status;
        syncq_index_write_state(index, &view);
    }
    index->entries[slot].lock = 0;
}

static void set_synced(struct helper *helper, uint32_t slot)
{
    set_status(helper, slot, SYNCQ_STATUS_SYNCED);
}

static void set_cancelled(struct helper *helper, uint32_t slot)
{
    set_status(helper, slot, SYNCQ_STATUS_CANCELLED);
}

static void give_back(struct helper *helper, uint32_t slot)
{
    helper->queue->index.entries[slot].lock = 0;
    syncq_index_give_back(&helper->queue->index, slot);
}

static void withdraw(struct helper *helper, uint32_t number)
{
    struct syncq_channel *channel = helper->channel;

    if (syncq_reserve_lock(helper->queue) != 0)
        return;
    for_each_slot(helper, number, give_back);
    SYNCQ_FAILPOINT("writers.slots-back");
    channel->requests[number].slot_count = 0;
    atomic_store(&channel->requests[number].entries_written, 1);
    syncq_reserve_unlock(helper->queue);
    SYNCQ_FAILPOINT("writers.withdrawing");
    channel->statistics.voided++;
    atomic_store(&channel->states[number], SYNCQ_REQUEST_WITHDRAWN);
    syncq_channel_ring(channel);
}

static void finish(struct helper *helper, uint32_t number, uint32_t state)
{
    struct syncq_channel *channel = helper->channel;

    switch (state) {
    case SYNCQ_REQUEST_RESERVED:
        withdraw(helper, number);
        break;
    case SYNCQ_REQUEST_CONFIRM:
        /* Entries that have to name the copy are the next manager's. */
        if (syncq_request_is_copy(&channel->requests[number]))
            break;
        for_each_slot(helper, number, set_synced);
        SYNCQ_FAILPOINT("writers.synced");
        count_arrivals(helper, channel->requests[number].slot_count);
        atomic_store(&channel->states[number], SYNCQ_REQUEST_FREE);
        break;
    case SYNCQ_REQUEST_FAILED:
        for_each_slot(helper, number, set_cancelled);
        atomic_store(&channel->states[number], SYNCQ_REQUEST_FREE);
        break;
    default: /* sent: the next batch answers, then the case above */
        break;
    }
}

/* Is this request held by a writer that died?  Then *state is the last one
 * it saw; only the batch thread and this one change it any more. */
static int is_left_behind(struct helper *helper, uint32_t number,
                          uint32_t *state)
{
    struct syncq_channel *channel = helper->channel;

    *state = atomic_load(&channel->states[number]);
    /* A withdrawn one is the helper's own already. */
    return *state != SYNCQ_REQUEST_FREE && *state != SYNCQ_REQUEST_CONFCONF &&
           *state != SYNCQ_REQUEST_WITHDRAWN &&
           !syncq_channel_owner_alive(&helper->queue->handle,
                                      channel->requests[number].owner);
}

void writers_check(struct helper *helper)
{
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state;
        int dead;

        if (!is_left_behind(helper, i, &state))
            continue;
        /* State and owner were read one after the other, and in between the
         * slot may have got a new owner: only under the lock it cannot. */
        if (syncq_reserve_lock(helper->queue) != 0)
            return;
        dead = is_left_behind(helper, i, &state);
        syncq_reserve_unlock(helper->queue);
        if (dead)
            finish(helper, i, state);
    }
}
