/* SPDX-License-Identifier: MIT */
#include "module/error.h"
#include "module/failpoint.h"
#include "module/reserve.h"
#include "sync-helper/helper.h"

/*
 * Everything below this LSN, records and marks, is in the index by now: the
 * lowest reservation whose entries are not yet written (a relocated copy's: do
 * not yet name it), else the head.
 */
static int sample_synced_lsn(struct helper *helper, uint64_t *synced_lsn)
{
    struct syncq_channel *channel = helper->channel;
    int result = syncq_reserve_lock(helper->queue);

    if (result != 0)
        return result;
    *synced_lsn = channel->head_lsn;
    syncq_reserve_unlock(helper->queue);
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++)
        if (syncq_request_is_taken(atomic_load(&channel->states[i])) &&
            !atomic_load(&channel->requests[i].entries_written) &&
            channel->requests[i].lsn < *synced_lsn)
            *synced_lsn = channel->requests[i].lsn;
    return 0;
}

int checkpoint_write(struct helper *helper, uint32_t flags)
{
    struct syncq_channel *channel = helper->channel;
    struct syncq_checkpoint checkpoint = {.flags = flags};
    int failed = atomic_load(&channel->state) == SYNCQ_CHANNEL_FAILED;
    int result;

    /* marks_lsn before the sample: a mark below synced_lsn is counted. */
    checkpoint.marks_lsn = atomic_load(&channel->marks_lsn);
    checkpoint.durable_lsn = atomic_load(&channel->durable_lsn);
    result = sample_synced_lsn(helper, &checkpoint.synced_lsn);
    SYNCQ_FAILPOINT("checkpoint.sampled");
    if (result == 0)
        result = syncq_index_sync_entries(&helper->queue->index);
    SYNCQ_FAILPOINT("checkpoint.entries-synced");
    if (result != 0 || failed)
        return result; /* a failed queue gets no checkpoint any more */
    checkpoint.number = atomic_load(&channel->checkpoint) + 1;
    checkpoint.epoch = channel->epoch;
    checkpoint.date_us = syncq_date_us();
    result = syncq_index_write_checkpoint(&helper->queue->index, &checkpoint);
    SYNCQ_FAILPOINT("checkpoint.page-synced");
    if (result != 0)
        return result;
    atomic_store(&channel->checkpoint, checkpoint.number);
    atomic_store(&channel->synced_lsn, checkpoint.synced_lsn);
    channel->statistics.index_syncs++;
    return 0;
}
