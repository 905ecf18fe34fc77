/* SPDX-License-Identifier: MIT */
/*
 * grow.c - the helper's part of growing a queue
 *
 * Another process has appended to the files and synced them; nothing that it
 * says is believed.  Superblock, then index, each synced; then the channel
 * names the segments, and the slots go into the free list, some at a time.
 * Every step may be done again: a successor begins anew.
 */
#include "module/error.h"
#include "module/grow_internal.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/helper.h"

static void publish_segments(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    uint32_t count = helper->queue->data.segment_count;

    for (uint32_t i = atomic_load(&channel->segment_count); i < count; i++) {
        helper_load_page(helper, i);
        atomic_store(&channel->segments[i].base_lsn, helper->pages[i].base_lsn);
        atomic_store(&channel->segments[i].state, helper->pages[i].state);
    }
    atomic_store(&channel->segment_count, count);
}

static int list_slots(struct helper *helper)
{
    struct syncq_index *index = &helper->queue->index;
    int more = index->lists->listed_count < index->entry_count;

    while (more) {
        int result;

        syncq_index_list_touch(index);
        result = syncq_reserve_lock(helper->queue);
        if (result != 0)
            return result;
        more = syncq_index_list_more(index);
        syncq_reserve_unlock(helper->queue);
    }
    return 0;
}

static int grow_index(struct helper *helper, uint32_t entry_count)
{
    int result = syncq_grow_index(helper->queue, entry_count);

    if (result == 0)
        return list_slots(helper);
    keeper_index_failed(helper, result);
    return result;
}

static void answer(struct helper *helper, int result)
{
    struct syncq_channel *channel = helper->channel;
    const struct syncq_queue *queue = helper->queue;

    if (result == 0)
        log_info("grown: segments=%u, entries=%u",
                 (unsigned)queue->data.segment_count,
                 (unsigned)queue->index.entry_count);
    else
        log_warning("the queue did not grow: %s", syncq_strerror(result));
    atomic_store(&channel->grow_result, result);
    atomic_store(&channel->grow, SYNCQ_GROW_ANSWERED);
    syncq_futex_wake(&channel->grow);
}

int grow_serve(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    uint32_t state = SYNCQ_GROW_ASKED;
    uint32_t segment_count, entry_count;
    int result;

    if (!atomic_compare_exchange_strong(&channel->grow, &state,
                                        SYNCQ_GROW_TAKEN))
        return 0;
    segment_count = atomic_load(&channel->grow_segment_count);
    entry_count = atomic_load(&channel->grow_entry_count);
    result = atomic_load(&helper->index_failed)
                 ? SYNCQ_ERR_INDEX
                 : syncq_grow_check(helper->queue, segment_count, entry_count);
    if (result != 0) {
        answer(helper, result);
        return 0;
    }
    result = syncq_grow_superblock(helper->queue, segment_count, entry_count);
    if (result != 0) {
        answer(helper, SYNCQ_ERR_SYNC_FAILED);
        return result;
    }
    publish_segments(helper);
    /* Before the answer: who has heard it finds room. */
    result = keeper_prepare_segment(helper);
    answer(helper, result != 0 ? SYNCQ_ERR_SYNC_FAILED
                               : grow_index(helper, entry_count));
    return result;
}

int grow_take_over(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    uint32_t state = SYNCQ_GROW_TAKEN;
    int result;

    if (atomic_load(&channel->segment_count) >
        helper->queue->data.segment_count)
        return SYNCQ_ERR_RANGE;
    publish_segments(helper);
    result = syncq_grow_finish(helper->queue);
    if (result == 0)
        result = list_slots(helper);
    (void)atomic_compare_exchange_strong(&channel->grow, &state,
                                         SYNCQ_GROW_ASKED);
    return result;
}
