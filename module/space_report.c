/* SPDX-License-Identifier: MIT */
#include "module/space_report.h"

#include "module/error.h"
#include "module/queue_internal.h"

static_assert(SYNCQ_LIMIT_COUNT <= SYNCQ_REFUSALS_SIZE, "room in the channel");

void syncq_space_report_write(struct syncq_queue *queue,
                              const struct syncq_space_report *report)
{
    struct syncq_channel_space *space = &queue->handle.channel->space;

    atomic_store(&space->live_size, report->live_size);
    atomic_store(&space->bytes_full_in_s, report->bytes_full_in_s);
    atomic_store(&space->entries_full_in_s, report->entries_full_in_s);
    atomic_store(&space->bytes_percent, report->bytes_percent);
    atomic_store(&space->entries_percent, report->entries_percent);
    atomic_store(&space->bytes_alarm, report->bytes_alarm);
    atomic_store(&space->entries_alarm, report->entries_alarm);
    atomic_store(&space->reported, 1);
}

int syncq_space_report_read(struct syncq_queue *queue,
                            struct syncq_space_report *report)
{
    struct syncq_channel_space *space;

    if (queue->handle.channel == NULL ||
        !atomic_load(&queue->handle.channel->space.reported))
        return SYNCQ_ERR_NO_HELPER;
    space = &queue->handle.channel->space;
    *report = (struct syncq_space_report){
        .live_size = atomic_load(&space->live_size),
        .bytes_full_in_s = atomic_load(&space->bytes_full_in_s),
        .entries_full_in_s = atomic_load(&space->entries_full_in_s),
        .bytes_percent = atomic_load(&space->bytes_percent),
        .entries_percent = atomic_load(&space->entries_percent),
        .bytes_alarm = atomic_load(&space->bytes_alarm),
        .entries_alarm = atomic_load(&space->entries_alarm),
    };
    return 0;
}

const char *syncq_limit_name(enum syncq_limit limit)
{
    static const char *const names[SYNCQ_LIMIT_COUNT] = {
        [SYNCQ_LIMIT_SEGMENTS] = "segments",
        [SYNCQ_LIMIT_ENTRIES] = "entries",
        [SYNCQ_LIMIT_REQUESTS] = "requests in flight",
        [SYNCQ_LIMIT_BYTES] = "bytes in flight",
        [SYNCQ_LIMIT_RECIPIENTS] = "recipients",
        [SYNCQ_LIMIT_SIZE] = "size",
    };

    return limit < SYNCQ_LIMIT_COUNT ? names[limit] : "none";
}

enum syncq_limit syncq_limit_of(int result)
{
    switch (result) {
    case SYNCQ_ERR_SEGMENTS_FULL:
        return SYNCQ_LIMIT_SEGMENTS;
    case SYNCQ_ERR_ENTRIES_FULL:
        return SYNCQ_LIMIT_ENTRIES;
    case SYNCQ_ERR_REQUESTS_FULL:
        return SYNCQ_LIMIT_REQUESTS;
    case SYNCQ_ERR_BYTES_FULL:
        return SYNCQ_LIMIT_BYTES;
    case SYNCQ_ERR_RECIPIENTS:
        return SYNCQ_LIMIT_RECIPIENTS;
    case SYNCQ_ERR_TOO_LARGE:
        return SYNCQ_LIMIT_SIZE;
    default:
        return SYNCQ_LIMIT_COUNT;
    }
}

void syncq_refusal_count(struct syncq_queue *queue, int result)
{
    enum syncq_limit limit = syncq_limit_of(result);

    if (limit < SYNCQ_LIMIT_COUNT)
        atomic_fetch_add(&queue->handle.channel->refusals[limit], 1);
}

int syncq_refusals_read(struct syncq_queue *queue,
                        uint64_t counts[SYNCQ_LIMIT_COUNT])
{
    if (queue->handle.channel == NULL)
        return SYNCQ_ERR_NO_HELPER;
    for (int i = 0; i < SYNCQ_LIMIT_COUNT; i++)
        counts[i] = atomic_load(&queue->handle.channel->refusals[i]);
    return 0;
}
