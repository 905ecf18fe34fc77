/* SPDX-License-Identifier: MIT */
#include "module/error.h"
#include "module/queue_internal.h"

int syncq_statistics_read(struct syncq_queue *queue,
                          struct syncq_statistics *statistics)
{
    struct syncq_channel *channel = queue->handle.channel;

    if (channel == NULL)
        return SYNCQ_ERR_NO_HELPER;
    *statistics = channel->statistics; /* counters; a torn one only informs */
    statistics->head_lsn = channel->head_lsn;
    statistics->durable_lsn = atomic_load(&channel->durable_lsn);
    statistics->synced_lsn = atomic_load(&channel->synced_lsn);
    statistics->checkpoint = atomic_load(&channel->checkpoint);
    statistics->copies = atomic_load(&channel->copies);
    statistics->copied_size = atomic_load(&channel->copied_size);
    for (unsigned i = 0; i < 8; i++)
        statistics->captures[i] = atomic_load(&channel->captures[i]);
    return 0;
}

void syncq_statistics_capture(struct syncq_queue *queue, unsigned outcome)
{
    if (queue->handle.channel != NULL && queue->mode == SYNCQ_OPEN_WRITE &&
        outcome < 8)
        atomic_fetch_add(&queue->handle.channel->captures[outcome], 1);
}
