/* SPDX-License-Identifier: MIT */
/*
 * batch.c - gather, close, sync, confirm
 *
 * Closing a batch seals the head's page: the next record starts on a page of
 * its own, so a page with confirmed bytes is never dirtied again.  The sync
 * starts when every reservation below the seal is copied or void; a straggler
 * is waited for 20 ms at most and then rides in a later batch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/recovery_internal.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/batch.h"

enum { IDLE_WAIT_US = 1000000, STRAGGLER_LOOK_US = 200 };

/* Is a request with this state still the helper's to sync? */
static int is_pending(uint32_t state)
{
    return state == SYNCQ_REQUEST_SENT || state == SYNCQ_REQUEST_RECEIPT ||
           state == SYNCQ_REQUEST_ABANDONED || state == SYNCQ_REQUEST_LEFT ||
           state == SYNCQ_REQUEST_WITHDRAWN;
}

static int add_member(struct helper *helper, struct batch *batch,
                      uint32_t number, int is_void)
{
    struct syncq_request request = helper->channel->requests[number];
    struct batch_member *member = &batch->members[batch->count];
    uint64_t offset;
    int result = helper_request_place(helper, &request, &offset);

    if (result != 0)
        return result;
    *member = (struct batch_member){
        .lsn = request.lsn,
        .extent = is_void ? SYNCQ_RECORD_STEP : request.size,
        .offset = offset,
        .request = number,
        .segment = request.segment,
        .is_void = is_void,
    };
    batch->count++;
    SYNCQ_FAILPOINT("batch.member-added");
    return is_void ? syncq_void_write(helper->queue, request.segment,
                                      member->offset, request.lsn, request.size)
                   : 0;
}

/* All that is ready to be synced, and how many are still being copied. */
static int collect(struct helper *helper, struct batch *batch,
                   uint32_t *copying)
{
    struct syncq_channel *channel = helper->channel;
    int result = 0;

    batch->count = *copying = 0;
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX && result == 0; i++) {
        uint32_t state =
            atomic_load_explicit(&channel->states[i], memory_order_acquire);

        /* Above the seal: its page would be dirtied again. */
        if (channel->requests[i].lsn >= batch->boundary_lsn)
            continue;
        switch (state) {
        case SYNCQ_REQUEST_RESERVED:
            ++*copying;
            break;
        case SYNCQ_REQUEST_RECEIPT:
        case SYNCQ_REQUEST_ABANDONED:
        case SYNCQ_REQUEST_LEFT:
            result = add_member(helper, batch, i, 0);
            break;
        case SYNCQ_REQUEST_WITHDRAWN:
            result = add_member(helper, batch, i, 1);
            break;
        default:
            break;
        }
    }
    return result;
}

static int seal(struct helper *helper, struct batch *batch)
{
    struct syncq_reservation reservation;
    int sealed;

    /* Its request is WITHDRAWN and so becomes a void member of this batch. */
    return syncq_reserve_seal(helper->queue, &reservation, &batch->boundary_lsn,
                              &sealed);
}

static int compare_members(const void *a, const void *b)
{
    const struct batch_member *left = a, *right = b;

    return left->lsn < right->lsn ? -1 : left->lsn > right->lsn;
}

/*
 * Keep the members that lie together, by the caps; the others wait for the
 * next batch (the patent's "temporary storage").
 */
static void cut(struct helper *helper, struct batch *batch)
{
    const struct config *config = helper->config;
    uint64_t bytes = 0;
    uint32_t kept = 0;

    qsort(batch->members, batch->count, sizeof batch->members[0],
          compare_members);
    for (; kept < batch->count; kept++) {
        const struct batch_member *member = &batch->members[kept];
        const struct batch_member *last = member - 1;

        if (kept > 0 &&
            (member->segment != last->segment ||
             member->lsn - (last->lsn + last->extent) > config->gap_max ||
             bytes + member->extent > config->batch_bytes_max ||
             kept >= config->batch_requests_max))
            break;
        bytes += member->extent;
    }
    batch->count = kept;
}

static int close_batch(struct helper *helper, struct batch *batch)
{
    uint64_t limit_us = syncq_clock_us() + SYNCQ_STRAGGLER_TIME_MS * 1000;
    uint32_t copying;
    int result = seal(helper, batch);

    while (result == 0) {
        uint32_t bell = atomic_load(&helper->channel->bell);

        (void)batch_take_requests(helper);
        result = collect(helper, batch, &copying);
        if (result != 0 || copying == 0)
            break;
        if (syncq_clock_us() >= limit_us) {
            helper->channel->statistics.stragglers++;
            break;
        }
        atomic_store(&helper->channel->sleeping, 1);
        (void)syncq_futex_wait(&helper->channel->bell, bell, STRAGGLER_LOOK_US);
        atomic_store(&helper->channel->sleeping, 0);
    }
    if (result == 0)
        cut(helper, batch);
    SYNCQ_FAILPOINT("batch.closed");
    return result;
}

static void count_sync(struct helper *helper, struct batch *batch,
                       uint64_t bytes, uint64_t time_us)
{
    struct syncq_statistics *statistics = &helper->channel->statistics;

    statistics->batches++;
    statistics->batch_bytes += bytes;
    statistics->sync_us.counts[syncq_histogram_bucket(time_us)]++;
    batch->sync_average_us = batch->sync_average_us == 0
                                 ? time_us
                                 : (batch->sync_average_us * 7 + time_us) / 8;
    atomic_store(&helper->channel->sync_average_us, batch->sync_average_us);
}

/* One msync over the hull of the members. */
static int sync_batch(struct helper *helper, struct batch *batch)
{
    const struct batch_member *first = &batch->members[0];
    const struct batch_member *last = &batch->members[batch->count - 1];
    uint64_t size = last->offset + last->extent - first->offset;
    uint64_t start_us = syncq_clock_us();
    int result;

    atomic_store(&helper->channel->sync_started_us, start_us);
    result = syncq_data_sync(&helper->queue->data, first->segment,
                             first->offset, size);
    atomic_store(&helper->channel->sync_ended_us, syncq_clock_us());
    atomic_store(&helper->channel->sync_started_us, 0);

    SYNCQ_FAILPOINT("batch.synced");

    if (result == 0)
        count_sync(helper, batch, size, syncq_clock_us() - start_us);
    return result;
}

static void confirm_member(struct helper *helper,
                           const struct batch_member *member, uint64_t now_us)
{
    struct syncq_channel *channel = helper->channel;
    struct syncq_statistics *statistics = &channel->statistics;
    _Atomic uint32_t *word = &channel->states[member->request];
    uint64_t sent_us = channel->requests[member->request].sent_us;
    uint32_t state = SYNCQ_REQUEST_RECEIPT;

    if (member->is_void) {
        atomic_store(word, SYNCQ_REQUEST_FREE);
        return;
    }
    statistics->appends++;
    statistics->append_bytes += member->extent;
    statistics->confirm_us.counts[syncq_histogram_bucket(
        now_us > sent_us ? now_us - sent_us : 0)]++;
    if (atomic_compare_exchange_strong(word, &state, SYNCQ_REQUEST_CONFIRM)) {
        SYNCQ_FAILPOINT("batch.confirmed");
        syncq_futex_wake(word);
        SYNCQ_FAILPOINT("batch.woken");
        return;
    }
    statistics->abandoned++;
    while (state == SYNCQ_REQUEST_ABANDONED || state == SYNCQ_REQUEST_LEFT) {
        uint32_t next = state == SYNCQ_REQUEST_LEFT ? SYNCQ_REQUEST_FREE
                                                    : SYNCQ_REQUEST_FAILED;

        if (atomic_compare_exchange_weak(word, &state, next))
            break;
    }
}

/* The lowest reservation that is neither durable nor void, else the seal. */
static void publish_durable_lsn(struct helper *helper,
                                const struct batch *batch)
{
    struct syncq_channel *channel = helper->channel;
    uint64_t durable = batch->boundary_lsn;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);

        if ((state == SYNCQ_REQUEST_RESERVED || is_pending(state)) &&
            channel->requests[i].lsn < durable)
            durable = channel->requests[i].lsn;
    }
    if (durable > atomic_load(&channel->durable_lsn))
        atomic_store(&channel->durable_lsn, durable);
}

static void serve(struct helper *helper, struct batch *batch)
{
    uint64_t now_us;
    int result = close_batch(helper, batch);

    if (result == 0 && batch->count > 0)
        result = sync_batch(helper, batch);
    if (result != 0) {
        SYNCQ_FAILPOINT("fail.begins");
        helper_fail(helper, "the sync of the data file", result);
        return;
    }
    if (batch->count == 0)
        return;
    now_us = syncq_clock_us();
    for (uint32_t i = 0; i < batch->count; i++)
        confirm_member(helper, &batch->members[i], now_us);
    SYNCQ_FAILPOINT("batch.all-confirmed");
    publish_durable_lsn(helper, batch);
    SYNCQ_FAILPOINT("batch.published");
    batch_learn(batch, batch->count);
}

static int anything_waits(struct helper *helper)
{
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load_explicit(&helper->channel->states[i],
                                              memory_order_relaxed);

        if (is_pending(state))
            return 1;
    }
    return 0;
}

static void sleep_until_rung(struct helper *helper, uint32_t bell)
{
    atomic_store(&helper->channel->sleeping, 1);
    (void)syncq_futex_wait(&helper->channel->bell, bell, IDLE_WAIT_US);
    atomic_store(&helper->channel->sleeping, 0);
}

int batch_run(struct helper *helper)
{
    struct batch *batch = calloc(1, sizeof *batch);
    struct syncq_channel *channel = helper->channel;
    uint32_t asked = atomic_load(&channel->asks);
    int stopping = 0;

    if (batch == NULL)
        return ENOMEM;
    for (;;) {
        uint32_t bell = atomic_load(&channel->bell);
        uint32_t asks = atomic_load(&channel->asks);
        int waits = anything_waits(helper);

        if ((channel->next_segment == SYNCQ_SEGMENT_NONE &&
             !atomic_load(&channel->segments_exhausted)) ||
            asks != asked || atomic_load(&channel->grow) == SYNCQ_GROW_ASKED)
            keeper_wake(helper);
        asked = asks;
        /* Told to stop: one more batch, then the rest is the successor's. */
        if (stopping || (!waits && atomic_load(&helper->stop)))
            break;
        stopping = atomic_load(&helper->stop);
        if (!waits)
            sleep_until_rung(helper, bell);
        else if (atomic_load(&channel->state) == SYNCQ_CHANNEL_FAILED)
            helper_fail(helper, "an earlier sync", SYNCQ_ERR_LATCHED);
        else {
            batch_gather(helper, batch);
            serve(helper, batch);
        }
    }
    free(batch);
    return 0;
}
