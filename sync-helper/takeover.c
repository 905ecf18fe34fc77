/* SPDX-License-Identifier: MIT */
/*
 * takeover.c - go on where a helper died while its writers live
 */
#include <errno.h>
#include <inttypes.h>

#include "module/dirty.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/read.h"
#include "module/recovery_internal.h"
#include "program/log.h"
#include "sync-helper/helper.h"

/* What is there is not the writer's record: no confirm, and no hole. */
static int refuse_request(struct helper *helper, uint32_t number,
                          const struct syncq_request *request, uint64_t offset)
{
    struct syncq_queue *queue = helper->queue;
    _Atomic uint32_t *word = &helper->channel->states[number];
    uint32_t state = atomic_load(word);
    int result = syncq_void_write(queue, request->segment, offset, request->lsn,
                                  request->size);

    if (result == 0)
        result = syncq_data_sync(&queue->data, request->segment, offset,
                                 SYNCQ_RECORD_STEP);
    while (result == 0 &&
           !atomic_compare_exchange_weak(word, &state,
                                         state == SYNCQ_REQUEST_LEFT
                                             ? SYNCQ_REQUEST_FREE
                                             : SYNCQ_REQUEST_FAILED))
        ;
    syncq_futex_wake(word);
    return result;
}

/*
 * The predecessor may have died between an error of msync and its report, and
 * the kernel then calls the failed pages clean.  So each page that it had not
 * answered for is dirtied again, and each record checked, before it counts.
 */
static int redo_requests(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_channel *channel = helper->channel;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);
        struct syncq_request request = channel->requests[i];
        struct syncq_record record;
        uint64_t offset;
        uint8_t *map;
        int result;

        /* One that is still being copied may have been in a sync, too. */
        if (state != SYNCQ_REQUEST_RESERVED && state != SYNCQ_REQUEST_SENT &&
            state != SYNCQ_REQUEST_RECEIPT &&
            state != SYNCQ_REQUEST_ABANDONED && state != SYNCQ_REQUEST_LEFT)
            continue;
        result = helper_request_place(helper, &request, &offset);
        if (result == 0)
            result = syncq_data_map(&queue->data, request.segment, &map);
        if (result != 0)
            return result;
        if (state != SYNCQ_REQUEST_RESERVED) {
            result = syncq_record_read(queue, request.lsn, 0, &record);
            if (result == ENOMEM)
                return result;
            if (result != 0)
                result = refuse_request(helper, i, &request, offset);
            else
                syncq_record_clear(&record);
            if (result != 0)
                return result;
        }
        dirty_pages(map + offset, request.size);
        SYNCQ_FAILPOINT("takeover.request-dirtied");
        if (state == SYNCQ_REQUEST_RECEIPT)
            (void)atomic_compare_exchange_strong(&channel->states[i], &state,
                                                 SYNCQ_REQUEST_SENT);
    }
    return 0;
}

/* Before the first checkpoint: segment and index pages once more. */
static int redo_pages(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result = 0;

    for (uint32_t i = 0; i < queue->data.segment_count && result == 0; i++)
        if (helper->pages[i].state != SYNCQ_SEGMENT_FREE)
            result = syncq_data_write_segment_page(&queue->data, &queue->key,
                                                   &helper->pages[i]);
    dirty_pages(queue->index.map, queue->index.map_size);
    return result;
}

/*
 * Can the channel be served?  SYNCQ_ERR_NO_HELPER: it was replaced, closed, or
 * its maker died during recovery.  A predecessor that failed may have died
 * before the latch was on disk.
 */
static int check_channel(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result = syncq_channel_usable(&queue->handle);

    if (result == SYNCQ_ERR_LATCHED) {
        int latched = syncq_latch_set(
            queue->directory_fd, atomic_load(&helper->channel->durable_lsn));

        return latched != 0 ? latched : result;
    }
    return result == 0 ? 0 : SYNCQ_ERR_NO_HELPER;
}

int takeover_serve(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result = syncq_channel_attach(queue->run_directory, 1, queue->key.uuid,
                                      &queue->handle);

    if (result != 0)
        return result;
    helper->channel = queue->handle.channel;
    result = syncq_channel_register_helper(&queue->handle);
    if (result == 0)
        result = syncq_data_lock(&queue->data, 0);
    if (result == 0)
        result = check_channel(helper);
    SYNCQ_FAILPOINT("takeover.attached");
    /* What was read before the lock may be older than the predecessor's. */
    if (result == 0)
        result = syncq_data_reread_superblock(&queue->data, &queue->key);
    if (result == 0)
        result = syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                  &queue->index);
    if (result == 0)
        result = helper_load_pages(helper);
    if (result == 0)
        result = grow_take_over(helper);
    if (result == 0)
        result = helper_reclaim_segments(helper);
    SYNCQ_FAILPOINT("takeover.segments-reclaimed");
    if (result == 0)
        result = redo_requests(helper);
    SYNCQ_FAILPOINT("takeover.requests-redone");
    if (result == 0)
        result = redo_pages(helper);
    SYNCQ_FAILPOINT("takeover.pages-redone");
    if (result == 0)
        result = retire_leftovers(helper);
    SYNCQ_FAILPOINT("takeover.done");
    if (result == 0)
        log_info("took over the channel of epoch %" PRIu64,
                 helper->channel->epoch);
    return result;
}
