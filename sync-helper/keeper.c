/* SPDX-License-Identifier: MIT */
/*
 * keeper.c - the helper's second thread: everything that no writer waits for
 */
#include <errno.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/helper.h"

enum { LOOK_US = 1000000 };

void keeper_wake(struct helper *helper)
{
    atomic_fetch_add(&helper->keeper_bell, 1);
    syncq_futex_wake(&helper->keeper_bell);
}

/* A free segment, or SYNCQ_SEGMENT_NONE; *more: there is another one. */
static uint32_t find_free_segment(struct helper *helper, int *more)
{
    uint32_t found = SYNCQ_SEGMENT_NONE;

    *more = 0;
    for (uint32_t i = 0; i < helper->queue->data.segment_count; i++) {
        if (helper->pages[i].state != SYNCQ_SEGMENT_FREE)
            continue;
        if (found != SYNCQ_SEGMENT_NONE) {
            *more = 1;
            break;
        }
        found = i;
    }
    return found;
}

/*
 * lsn_limit is raised and synced before any LSN of the segment can be given;
 * the page with its base is synced before the segment can be reserved from.
 * A crash in between leaves an open segment without records.
 */
static int open_segment(struct helper *helper, uint32_t segment)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_superblock *superblock = &queue->data.superblock;
    struct syncq_segment_page *page = &helper->pages[segment];
    struct syncq_segment_page opened = *page;
    int result;

    opened.base_lsn = superblock->lsn_limit;
    opened.generation++;
    opened.state = SYNCQ_SEGMENT_OPEN;
    opened.part_count = 0;
    opened.end_lsn = 0;
    superblock->lsn_limit += queue->data.segment_size;
    superblock->checkpoint = atomic_load(&helper->channel->checkpoint);
    result = syncq_data_write_superblock(&queue->data, &queue->key);
    SYNCQ_FAILPOINT("segment.limit-raised");
    if (result == 0)
        result =
            syncq_data_write_segment_page(&queue->data, &queue->key, &opened);
    SYNCQ_FAILPOINT("segment.opened");
    if (result != 0)
        return result;
    *page = opened;
    atomic_store(&helper->channel->segments[segment].base_lsn, opened.base_lsn);
    atomic_store(&helper->channel->segments[segment].state, SYNCQ_SEGMENT_OPEN);
    return 0;
}

static int publish_segment(struct helper *helper, uint32_t segment, int last)
{
    struct syncq_channel *channel = helper->channel;
    int result = syncq_reserve_lock(helper->queue);

    if (result != 0)
        return result;
    channel->next_is_last = (uint32_t)last;
    channel->next_segment = segment;
    if (channel->head_segment == SYNCQ_SEGMENT_NONE) {
        channel->head_segment = segment;
        channel->head_lsn =
            atomic_load(&channel->segments[segment].base_lsn) + SYNCQ_PAGE_SIZE;
        channel->next_segment = SYNCQ_SEGMENT_NONE;
        /* Nothing below was left unsettled, and nothing lies in between. */
        atomic_store(&channel->durable_lsn, channel->head_lsn);
    }
    syncq_reserve_unlock(helper->queue);
    return 0;
}

int keeper_prepare_segment(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    int result = 0;
    int more;

    /* One was retired since the last free segment was prepared. */
    if (find_free_segment(helper, &more) != SYNCQ_SEGMENT_NONE &&
        channel->next_is_last && channel->next_segment != SYNCQ_SEGMENT_NONE) {
        result = syncq_reserve_lock(helper->queue);
        if (result != 0)
            return result;
        channel->next_is_last = 0;
        syncq_reserve_unlock(helper->queue);
    }
    while (result == 0 && channel->next_segment == SYNCQ_SEGMENT_NONE) {
        uint32_t segment = find_free_segment(helper, &more);

        atomic_store(&channel->segments_exhausted,
                     segment == SYNCQ_SEGMENT_NONE);
        if (segment == SYNCQ_SEGMENT_NONE)
            break;
        result = open_segment(helper, segment);
        if (result == 0)
            result = publish_segment(helper, segment, !more);
        SYNCQ_FAILPOINT("segment.published");
    }
    atomic_fetch_add(&channel->segment_bell, 1);
    syncq_futex_wake(&channel->segment_bell);
    return result;
}

int keeper_close_segments(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result = 0;

    for (uint32_t i = 0; i < helper->queue->data.segment_count && result == 0;
         i++) {
        struct syncq_segment_page *page = &helper->pages[i];

        if (page->state != SYNCQ_SEGMENT_OPEN ||
            atomic_load(&helper->channel->segments[i].state) !=
                SYNCQ_SEGMENT_CLOSED)
            continue;
        page->state = SYNCQ_SEGMENT_CLOSED;
        page->end_lsn =
            page->base_lsn + queue->data.segment_size - SYNCQ_PAGE_SIZE;
        result = syncq_data_write_segment_page(&queue->data, &queue->key, page);
        SYNCQ_FAILPOINT("segment.closed");
    }
    return result;
}

void keeper_index_failed(struct helper *helper, int error)
{
    int result;

    if (atomic_exchange(&helper->index_failed, 1))
        return;
    log_error("the sync of the index failed: %s; the next start replays the "
              "whole log",
              syncq_strerror(error));
    result = syncq_latch_set_index(helper->queue->directory_fd);
    if (result != 0)
        log_error("the latch cannot be written: %s", syncq_strerror(result));
}

static void sync_index(struct helper *helper)
{
    int result = checkpoint_write(helper, 0);

    if (result != 0)
        keeper_index_failed(helper, result);
}

/* Nobody finds a channel that was removed, and its writers leave it. */
static void check_channel(struct helper *helper)
{
    if (atomic_load(&helper->removed) ||
        syncq_channel_usable(&helper->queue->handle) != SYNCQ_ERR_DETACHED)
        return;
    log_error("somebody has removed the channel from %s: stopping, so that "
              "the next helper makes another",
              helper->queue->run_directory);
    atomic_store(&helper->removed, 1);
    atomic_store(&helper->stop, 1);
    syncq_channel_ring(helper->channel);
}

void *keeper_run(void *context)
{
    struct helper *helper = context;
    uint64_t synced_us = syncq_clock_us();

    log_set_subject(helper->subject);
    while (!atomic_load(&helper->stop)) {
        uint32_t bell = atomic_load(&helper->keeper_bell);
        int failed =
            atomic_load(&helper->channel->state) == SYNCQ_CHANNEL_FAILED;
        uint64_t interval_us = failed ? helper->config->marks_interval_ms
                                      : helper->config->index_sync_interval_ms;
        int result = 0;

        if (!failed)
            result = grow_serve(helper);
        if (!failed && result == 0)
            result = keeper_prepare_segment(helper);
        if (!failed && result == 0)
            result = keeper_close_segments(helper);
        if (!failed && result == 0)
            result = retire_segments(helper);
        if (result != 0)
            helper_fail(helper, "opening a segment", result);
        writers_check(helper);
        check_channel(helper);
        if (syncq_clock_us() - synced_us >= interval_us * 1000 &&
            !atomic_load(&helper->index_failed)) {
            sync_index(helper);
            synced_us = syncq_clock_us();
        }
        (void)syncq_futex_wait(&helper->keeper_bell, bell, LOOK_US);
    }
    return NULL;
}
