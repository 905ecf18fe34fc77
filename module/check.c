/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/check.h"
#include "module/error.h"
#include "module/log_scan.h"
#include "module/read.h"

#define SUSPECTS_MAX 1024 /* more bad entries than this are no coincidence */

struct check {
    struct syncq_queue *queue;
    const struct syncq_check_visitor *visitor;
    struct syncq_check_report *report;
    uint64_t durable_lsn;   /* all below was durable before it was read */
    struct syncq_gap *gaps; /* of all segments so far */
    size_t gap_count, gap_capacity;
    uint64_t last_lsn, last_sequence; /* the record read last by an entry */
    int last_result;
    uint32_t suspects[SUSPECTS_MAX]; /* slots */
    size_t suspect_count;
};

static void raise_durable(struct check *check, uint64_t durable_lsn)
{
    if (durable_lsn > check->durable_lsn)
        check->durable_lsn = durable_lsn;
}

/*
 * What is known of the head before anything is read.  The channel's word holds
 * even when its helper is dead: it is of this boot.
 */
static void find_durable(struct check *check)
{
    struct syncq_channel *channel = check->queue->handle.channel;
    struct syncq_checkpoint checkpoint;

    if (channel != NULL)
        raise_durable(check, atomic_load(&channel->durable_lsn));
    if (check->report->index_error == 0 &&
        syncq_index_read_checkpoint(&check->queue->index, &checkpoint) == 0)
        raise_durable(check, checkpoint.durable_lsn);
}

static int see_record(const struct syncq_record_header *header,
                      const uint8_t *body, void *context)
{
    struct check *check = context;

    (void)body;
    if (header->type == SYNCQ_RECORD_VOID)
        check->report->voids++;
    else if (header->type == SYNCQ_RECORD_MARKS)
        check->report->marks++;
    else
        check->report->messages++;
    raise_durable(check, header->durable_lsn);
    return 0;
}

static int see_gap(const struct syncq_gap *gap, void *context)
{
    struct check *check = context;
    size_t capacity = check->gap_capacity;
    struct syncq_gap *gaps;

    if (check->gap_count == capacity) {
        capacity = capacity == 0 ? 64 : capacity * 2;
        gaps = reallocarray(check->gaps, capacity, sizeof *gaps);
        if (gaps == NULL)
            return ENOMEM;
        check->gaps = gaps;
        check->gap_capacity = capacity;
    }
    check->gaps[check->gap_count++] = *gap;
    return 0;
}

/* Drop the gaps from number first on that lie behind the segment's end. */
static void drop_tail(struct check *check, size_t first, uint64_t end_lsn)
{
    size_t kept = first;

    for (size_t i = first; i < check->gap_count; i++) {
        struct syncq_gap *gap = &check->gaps[i];

        if (gap->lsn >= end_lsn)
            continue;
        if (gap->lsn + gap->size > end_lsn)
            gap->size = end_lsn - gap->lsn;
        check->gaps[kept++] = *gap;
    }
    check->gap_count = kept;
}

/* Only while a helper runs can a page change between two looks at it. */
static int is_same_lap(struct check *check, uint32_t segment,
                       const struct syncq_segment_page *page)
{
    struct syncq_segment_page now;

    return syncq_data_read_segment_page(&check->queue->data, &check->queue->key,
                                        segment, &now) == 0 &&
           now.base_lsn == page->base_lsn && now.state != SYNCQ_SEGMENT_FREE;
}

static int check_segment(struct check *check, uint32_t segment)
{
    const struct syncq_data *data = &check->queue->data;
    const struct syncq_log_visitor visitor = {see_record, see_gap, check};
    struct syncq_segment_page page = {0};
    size_t first = check->gap_count;
    int page_error, result;

    page_error =
        syncq_data_read_segment_page(data, &check->queue->key, segment, &page);
    if (page_error != 0) {
        check->report->pages_damaged++;
        if (check->visitor->page != NULL)
            check->visitor->page(segment, check->visitor->context);
        if (syncq_log_find_base(check->queue, segment, &page.base_lsn) != 0)
            return 0;
    } else if (page.state == SYNCQ_SEGMENT_FREE) {
        return 0;
    }
    result = syncq_log_scan(check->queue, segment, page.base_lsn,
                            SYNCQ_PAGE_SIZE, &visitor);
    if (result != 0)
        return result;
    check->report->scanned_size += data->segment_size;
    if (page_error == 0 && !is_same_lap(check, segment, &page))
        check->gap_count = first;
    else if (page.end_lsn != 0)
        drop_tail(check, first, page.end_lsn);
    return 0;
}

static void report_gap(struct check *check, const struct syncq_gap *gap)
{
    const struct syncq_data *data = &check->queue->data;
    struct syncq_damage damage = {.lsn = gap->lsn, .size = gap->size};
    uint64_t base;

    if (gap->lsn >= check->durable_lsn)
        return; /* a torn or unused tail */
    if (gap->lsn + gap->size > check->durable_lsn)
        damage.size = check->durable_lsn - gap->lsn;
    damage.offset = syncq_data_segment_offset(data, gap->segment);
    if (syncq_segment_base(check->queue, gap->segment, &base) == 0 &&
        gap->lsn >= base)
        damage.offset += gap->lsn - base;
    check->report->damage_count++;
    check->report->damage_size += damage.size;
    if (check->visitor->damage != NULL)
        check->visitor->damage(&damage, check->visitor->context);
}

static void tell_progress(struct check *check, uint64_t done, uint64_t total)
{
    if (check->visitor->progress != NULL)
        check->visitor->progress(done, total, check->visitor->context);
}

/* The data file is nearly all of the work; the index shares in its end. */
static int check_log(struct check *check)
{
    uint32_t count = check->queue->data.segment_count;
    int result = 0;

    for (uint32_t i = 0; i < count && result == 0; i++) {
        tell_progress(check, i, (uint64_t)count + 1);
        result = check_segment(check, i);
    }
    for (size_t i = 0; i < check->gap_count && result == 0; i++)
        report_gap(check, &check->gaps[i]);
    return result;
}

static int read_record(struct check *check,
                       const struct syncq_entry_view *entry)
{
    struct syncq_record record;

    /* The parts of one message mostly follow each other. */
    if (entry->state.lsn == check->last_lsn &&
        entry->sequence == check->last_sequence)
        return check->last_result;
    check->last_lsn = entry->state.lsn;
    check->last_sequence = entry->sequence;
    check->last_result = syncq_record_read(check->queue, entry->state.lsn,
                                           entry->sequence, &record);
    if (check->last_result == 0)
        syncq_record_clear(&record);
    return check->last_result;
}

/* Is the slot free, or does its used entry name what is there? */
static int judge_entry(struct check *check, uint32_t slot,
                       struct syncq_entry_view *entry)
{
    const struct syncq_index *index = &check->queue->index;
    int result;

    memset(entry, 0, sizeof *entry);
    if (syncq_index_read(index, slot, entry) != 0) {
        memset(entry, 0, sizeof *entry);
        return index->entries[slot].kind == SYNCQ_ENTRY_FREE &&
                       syncq_entry_identity_valid(index, slot)
                   ? 0
                   : SYNCQ_ERR_BAD_ENTRY;
    }
    if (syncq_status_is_final(entry->state.status) ||
        entry->state.status == SYNCQ_STATUS_NEW)
        return 0;
    result = read_record(check, entry);
    if (result != 0)
        return result;
    /* Recovery has found it lost, and says so until it is dealt with. */
    return entry->state.status == SYNCQ_STATUS_LOST ? SYNCQ_ERR_BAD_RECORD : 0;
}

static void report_entry(struct check *check, uint32_t slot, int error,
                         const struct syncq_entry_view *entry)
{
    if (error == SYNCQ_ERR_BAD_ENTRY)
        check->report->entries_damaged++;
    else
        check->report->parts_lost++;
    if (check->visitor->entry != NULL)
        check->visitor->entry(slot, entry->sequence, entry->part, error,
                              check->visitor->context);
}

static int check_entries(struct check *check)
{
    uint32_t count = check->queue->index.entry_count;
    struct syncq_entry_view entry;
    int result;

    for (uint32_t slot = 0; slot < count; slot++) {
        result = judge_entry(check, slot, &entry);
        if (result == ENOMEM)
            return result;
        check->report->entries_used += entry.part_count > 0;
        if (result == 0)
            continue;
        if (check->suspect_count == SUSPECTS_MAX)
            report_entry(check, slot, result, &entry);
        else
            check->suspects[check->suspect_count++] = slot;
    }
    /* It may have been written just then, or its record moved or retired. */
    check->last_lsn = check->last_sequence = 0;
    for (size_t i = 0; i < check->suspect_count; i++) {
        result = judge_entry(check, check->suspects[i], &entry);
        if (result != 0)
            report_entry(check, check->suspects[i], result, &entry);
    }
    return 0;
}

static int open_queue(const char *directory, const char *run_directory,
                      struct check *check)
{
    struct syncq_check_report *report = check->report;
    int result =
        syncq_queue_open_files(directory, run_directory, 0, &check->queue);
    struct syncq_queue *queue = check->queue;

    if (result != 0)
        return result;
    report->latched =
        syncq_latch_read(queue->directory_fd, &report->latched_lsn) != 0;
    report->index_error = syncq_index_open(queue->directory_fd, 0,
                                           queue->key.uuid, &queue->index);
    if (report->index_error == SYNCQ_ERR_NO_QUEUE)
        report->index_error = SYNCQ_ERR_INDEX;
    /* Without a helper there is no channel, and that is fine. */
    (void)syncq_channel_attach(run_directory, 0, queue->key.uuid,
                               &queue->handle);
    return 0;
}

int syncq_check(const char *directory, const char *run_directory,
                const struct syncq_check_visitor *visitor,
                struct syncq_check_report *report)
{
    struct check *check = calloc(1, sizeof *check);
    int result;

    if (check == NULL)
        return ENOMEM;
    memset(report, 0, sizeof *report);
    check->visitor = visitor;
    check->report = report;
    result = open_queue(directory, run_directory, check);
    if (result == 0) {
        find_durable(check);
        result = check_log(check);
    }
    if (result == 0 && report->index_error == 0)
        result = check_entries(check);
    if (result == 0)
        tell_progress(check, 1, 1);
    syncq_queue_close(check->queue);
    free(check->gaps);
    free(check);
    return result;
}

int syncq_check_is_good(const struct syncq_check_report *report)
{
    return report->damage_count == 0 && report->pages_damaged == 0 &&
           report->index_error == 0 && report->entries_damaged == 0 &&
           report->parts_lost == 0 && !report->latched;
}
