/* SPDX-License-Identifier: MIT */
/*
 * retire.c - the helper's part of retiring a segment
 *
 * The page says `free` on disk before any slot is given back: a crash in
 * between leaves entries of a free segment, which recovery frees.  The other
 * way round a reused slot could leave a delivered mail without its mark.
 */
#include "module/error.h"
#include "module/failpoint.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/helper.h"

enum { SLOTS_PER_LOCK = 256 };

static int in_segment(const struct helper *helper, uint32_t segment,
                      uint64_t lsn)
{
    return lsn - helper->pages[segment].base_lsn <
           helper->queue->data.segment_size;
}

/* Is a request still open in it?  Its writer may be stopped, not dead. */
static int has_request(const struct helper *helper, uint32_t segment)
{
    struct syncq_channel *channel = helper->channel;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);

        if (state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF &&
            channel->requests[i].segment == segment)
            return 1;
    }
    return 0;
}

static int has_live_part(const struct helper *helper, uint32_t segment)
{
    const struct syncq_index *index = &helper->queue->index;

    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view view = {0};
        int result = syncq_index_read(index, slot, &view);

        if (result != 0 && view.state.status == SYNCQ_STATUS_LOST)
            return 1;
        if (result == 0 && in_segment(helper, segment, view.state.lsn) &&
            !syncq_status_is_final(view.state.status))
            return 1;
    }
    return 0;
}

/* Give back the slots for which `gone` says so, some at a time. */
static int free_slots(struct helper *helper,
                      int (*gone)(struct helper *helper, uint64_t lsn,
                                  uint32_t segment),
                      uint32_t segment)
{
    struct syncq_index *index = &helper->queue->index;

    for (uint32_t start = 0; start < index->entry_count;
         start += SLOTS_PER_LOCK) {
        int result = syncq_reserve_lock(helper->queue);

        if (result != 0)
            return result;
        for (uint32_t slot = start;
             slot < start + SLOTS_PER_LOCK && slot < index->entry_count;
             slot++) {
            struct syncq_entry_view view;

            if (syncq_index_read(index, slot, &view) == 0 &&
                index->entries[slot].lock == 0 &&
                gone(helper, view.state.lsn, segment))
                syncq_index_give_back(index, slot);
        }
        syncq_reserve_unlock(helper->queue);
        SYNCQ_FAILPOINT("retire.some-slots-freed");
    }
    return 0;
}

static int gone_with_segment(struct helper *helper, uint64_t lsn,
                             uint32_t segment)
{
    return in_segment(helper, segment, lsn);
}

static int gone_with_any(struct helper *helper, uint64_t lsn, uint32_t unused)
{
    (void)unused;
    for (uint32_t i = 0; i < helper->channel->segment_count; i++)
        if (helper->pages[i].state != SYNCQ_SEGMENT_FREE &&
            in_segment(helper, i, lsn))
            return 0;
    return 1;
}

static int retire_segment(struct helper *helper, uint32_t segment)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_segment_page *page = &helper->pages[segment];
    int result;

    page->state = SYNCQ_SEGMENT_FREE;
    result = syncq_data_write_segment_page(&queue->data, &queue->key, page);
    if (result != 0)
        return result;
    SYNCQ_FAILPOINT("retire.page-written");
    atomic_store(&helper->channel->segments[segment].state, SYNCQ_SEGMENT_FREE);
    SYNCQ_FAILPOINT("retire.published");
    return free_slots(helper, gone_with_segment, segment);
}

/*
 * Copies of the records of a segment that is being emptied lie above it.  If
 * one went first, with the last word about its mail, the original would count
 * again.
 */
static int waits_for_another(const struct helper *helper, uint32_t segment)
{
    for (uint32_t i = 0; i < helper->channel->segment_count; i++)
        if (helper->pages[i].state == SYNCQ_SEGMENT_EMPTYING && i != segment &&
            helper->pages[i].base_lsn < helper->pages[segment].base_lsn)
            return 1;
    return 0;
}

static int is_any_emptied(const struct helper *helper)
{
    for (uint32_t i = 0; i < helper->channel->segment_count; i++)
        if (helper->pages[i].state == SYNCQ_SEGMENT_EMPTYING)
            return 1;
    return 0;
}

/* On disk before the manager may copy anything: it looks at the channel. */
static int empty_segment(struct helper *helper, uint32_t segment)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_segment_page *page = &helper->pages[segment];
    int result;

    page->state = SYNCQ_SEGMENT_EMPTYING;
    result = syncq_data_write_segment_page(&queue->data, &queue->key, page);
    if (result == 0)
        atomic_store(&helper->channel->segments[segment].state,
                     SYNCQ_SEGMENT_EMPTYING);
    return result;
}

static int do_asked(struct helper *helper, uint32_t segment, uint32_t what)
{
    uint32_t state = helper->pages[segment].state;
    int result = 0;

    if (what == SYNCQ_ASK_EMPTY && state == SYNCQ_SEGMENT_CLOSED &&
        !is_any_emptied(helper) && !has_request(helper, segment))
        result = empty_segment(helper, segment);
    if (what == SYNCQ_ASK_RETIRE &&
        (state == SYNCQ_SEGMENT_CLOSED || state == SYNCQ_SEGMENT_EMPTYING) &&
        !waits_for_another(helper, segment) && !has_request(helper, segment) &&
        !has_live_part(helper, segment)) {
        result = retire_segment(helper, segment);
        if (result == 0)
            result = keeper_prepare_segment(helper);
    }
    return result;
}

int retire_segments(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    int result = 0;

    for (uint32_t i = 0; i < channel->segment_count && result == 0; i++) {
        uint32_t what = atomic_load(&channel->segments[i].ask);

        if (what == SYNCQ_ASK_NOTHING)
            continue;
        result = do_asked(helper, i, what);
        /* Only now: the manager takes it for the answer. */
        atomic_store(&channel->segments[i].ask, SYNCQ_ASK_NOTHING);
        atomic_fetch_add(&channel->segment_bell, 1);
        syncq_futex_wake(&channel->segment_bell);
    }
    return result;
}

int retire_leftovers(struct helper *helper)
{
    return free_slots(helper, gone_with_any, 0);
}
