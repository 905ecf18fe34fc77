/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include "admin/json.h"
#include "admin/status.h"
#include "module/error.h"

double status_batch_mean(const struct syncq_statistics *statistics)
{
    return statistics->batches
               ? (double)statistics->appends / (double)statistics->batches
               : 0;
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *uuid_text(const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    char text[2 * SYNCQ_UUID_SIZE + 1];
    int i;

    for (i = 0; i < SYNCQ_UUID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
    return json_string(text);
}

static json_t *troubles_array(const struct status *status)
{
    json_t *array = json_array();
    int i;

    for (i = 0; i < status->trouble_count; i++)
        json_append(&array, json_text(status->troubles[i]));
    return array;
}

static json_t *parts_object(const struct status *status)
{
    json_t *object = json_object();
    int i;

    for (i = SYNCQ_STATUS_NEW; i < STATUS_COUNT; i++)
        json_add(&object, syncq_status_name((unsigned)i),
                 number(status->parts[i]));
    return object;
}

static json_t *times_object(const struct syncq_histogram *histogram)
{
    json_t *object = json_object();

    json_add(&object, "p50_us",
             number(syncq_histogram_quantile(histogram, 0.5)));
    json_add(&object, "p99_us",
             number(syncq_histogram_quantile(histogram, 0.99)));
    return object;
}

static json_t *statistics_object(const struct syncq_statistics *statistics)
{
    json_t *object = json_object();

    json_add(&object, "accepted", number(statistics->appends));
    json_add(&object, "accepted_bytes", number(statistics->append_bytes));
    json_add(&object, "moved", number(statistics->copies));
    json_add(&object, "moved_bytes", number(statistics->copied_size));
    json_add(&object, "failed", number(statistics->failed));
    json_add(&object, "abandoned", number(statistics->abandoned));
    json_add(&object, "voided", number(statistics->voided));
    json_add(&object, "batches", number(statistics->batches));
    json_add(&object, "batch_bytes", number(statistics->batch_bytes));
    json_add(&object, "batch_mean", json_real(status_batch_mean(statistics)));
    json_add(&object, "stragglers", number(statistics->stragglers));
    json_add(&object, "index_syncs", number(statistics->index_syncs));
    json_add(&object, "checkpoint", number(statistics->checkpoint));
    json_add(&object, "head_lsn", number(statistics->head_lsn));
    json_add(&object, "durable_lsn", number(statistics->durable_lsn));
    json_add(&object, "synced_lsn", number(statistics->synced_lsn));
    json_add(&object, "sync_time", times_object(&statistics->sync_us));
    json_add(&object, "confirm_time", times_object(&statistics->confirm_us));
    return object;
}

static json_t *damage_object(const struct syncq_damage_summary *damage)
{
    json_t *object = json_object();

    json_add(&object, "places", number(damage->found_count));
    json_add(&object, "bytes", number(damage->found_size));
    json_add(&object, "repaired_places", number(damage->repaired_count));
    json_add(&object, "repaired_bytes", number(damage->repaired_size));
    return object;
}

static void add_queue(json_t **object, const struct syncq_queue_status *queue)
{
    json_add(object, "uuid", uuid_text(queue->uuid));
    json_add(object, "epoch", number(queue->epoch));
    json_add(object, "failed", json_boolean(queue->latched));
    if (queue->latched)
        json_add(object, "failed_lsn", number(queue->latched_lsn));
    json_add(object, "size",
             number(queue->segment_size * queue->segment_count));
    json_add(object, "free_size", number(queue->free_size));
    json_add(object, "segments", number(queue->segment_count));
    json_add(object, "segments_free", number(queue->segments_free));
    json_add(object, "entries", number(queue->entry_count));
    json_add(object, "entries_free", number(queue->entries_free));
    json_add(object, "message_size_max", number(queue->message_size_max));
}

static json_t *full_in(const struct status *status, uint64_t seconds)
{
    return status->report_error || seconds == SYNCQ_FULL_UNKNOWN ||
                   seconds == SYNCQ_FULL_NEVER
               ? json_null()
               : number(seconds);
}

static json_t *refusals_object(const struct status *status)
{
    json_t *object = json_object();
    int i;

    for (i = 0; i < SYNCQ_LIMIT_COUNT; i++)
        json_add(&object, syncq_limit_name((enum syncq_limit)i),
                 number(status->refusals[i]));
    return object;
}

static json_t *space_object(const struct status *status)
{
    const struct syncq_space *space = &status->space;
    const struct syncq_space_report *report = &status->report;
    int filling =
        !status->report_error && report->bytes_full_in_s != SYNCQ_FULL_UNKNOWN;
    json_t *object = json_object();

    json_add(&object, "free_size", number(syncq_space_free(space)));
    json_add(&object, "free_size_after_cleaning",
             number(syncq_space_free(space) + status->reclaimable));
    json_add(&object, "live_size", number(space->live_size));
    json_add(&object, "used_percent", number(syncq_space_used_percent(space)));
    json_add(&object, "entries_used_percent",
             number(syncq_space_entries_used_percent(space)));
    json_add(&object, "rate_known", json_boolean(filling));
    json_add(&object, "full_in_s", full_in(status, report->bytes_full_in_s));
    json_add(&object, "entries_full_in_s",
             full_in(status, report->entries_full_in_s));
    json_add(&object, "alarm_percent",
             number(status->report_error ? 0 : report->bytes_alarm));
    json_add(&object, "entries_alarm_percent",
             number(status->report_error ? 0 : report->entries_alarm));
    json_add(&object, "refused", refusals_object(status));
    return object;
}

json_t *status_json(const struct status *status)
{
    json_t *object = json_object();

    json_add(&object, "queue_directory", json_text(status->directory));
    json_add(&object, "well", json_boolean(!status->trouble_count));
    json_add(&object, "troubles", troubles_array(status));
    if (status->error)
        return object;
    if (status->drain) {
        json_add(&object, "draining", json_true());
        json_add(&object, "parts_left", number(status_live_count(status)));
    }
    add_queue(&object, &status->queue);
    json_add(&object, "space", space_object(status));
    json_add(
        &object, "helper",
        json_text(status->helper ? syncq_strerror(status->helper) : "running"));
    json_add(&object, "manager_running", json_boolean(!status->manager));
    if (!status->statistics_error) {
        json_add(&object, "captures", json_boolean(status->gate_open));
        json_add(&object, "captures_refused",
                 status->gate_open ? json_null() : json_text(status->gate));
    }
    json_add(&object, "damage", damage_object(&status->damage));
    json_add(&object, "parts", parts_object(status));
    if (!status->statistics_error)
        json_add(&object, "statistics", statistics_object(&status->statistics));
    return object;
}
