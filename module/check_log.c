/* SPDX-License-Identifier: MIT */
/*
 * check_log.c - superblocks, segment pages and records
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/check_internal.h"
#include "module/error.h"

enum { LOOKS_MAX = 3 }; /* at a page that a helper may be writing */

static int see_record(const struct syncq_record_header *header,
                      const uint8_t *body, void *context)
{
    struct syncq_check *check = context;

    (void)body;
    if (header->type == SYNCQ_RECORD_VOID)
        check->report->voids++;
    else if (header->type == SYNCQ_RECORD_MARKS)
        check->report->marks++;
    else
        check->report->messages++;
    if (header->durable_lsn > check->durable_lsn)
        check->durable_lsn = header->durable_lsn;
    return 0;
}

static int see_gap(const struct syncq_gap *gap, void *context)
{
    struct syncq_check *check = context;
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
static void drop_tail(struct syncq_check *check, size_t first, uint64_t end_lsn)
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
static int is_same_lap(struct syncq_check *check, uint32_t segment,
                       const struct syncq_segment_page *page)
{
    struct syncq_segment_page now;

    return syncq_data_read_segment_page(&check->queue->data, &check->queue->key,
                                        segment, &now) == 0 &&
           now.base_lsn == page->base_lsn && now.state != SYNCQ_SEGMENT_FREE;
}

/* One page of the file, as it is now. */
static int read_page(struct syncq_check *check, uint64_t offset,
                     const uint8_t **bytes)
{
    syncq_log_reader_restart(&check->reader);
    return syncq_log_reader_get(&check->reader, offset, SYNCQ_PAGE_SIZE,
                                offset + SYNCQ_PAGE_SIZE, bytes);
}

static int check_superblocks(struct syncq_check *check)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        struct syncq_superblock superblock;
        const uint8_t *bytes;
        int error = SYNCQ_ERR_SUPERBLOCK;

        for (int look = 0; look < LOOKS_MAX && error != 0; look++) {
            int result = read_page(check, copy * SYNCQ_PAGE_SIZE, &bytes);

            if (result != 0)
                return result;
            memcpy(&superblock, bytes, sizeof superblock);
            error = syncq_superblock_check(&superblock, &check->queue->key);
        }
        if (error == 0)
            continue;
        check->report->superblocks_damaged++;
        if (check->visitor->superblock != NULL)
            check->visitor->superblock(copy, error, check->visitor->context);
    }
    return 0;
}

/* Both copies; *page is the one to believe, state 0 if there is none. */
static int check_pages(struct syncq_check *check, uint32_t segment,
                       struct syncq_segment_page *page)
{
    const struct syncq_data *data = &check->queue->data;
    const uint64_t places[] = {0, data->segment_size - SYNCQ_PAGE_SIZE};
    uint64_t start = syncq_data_segment_offset(data, segment);

    page->state = 0;
    for (int end = 0; end < 2; end++) {
        struct syncq_segment_page copy;
        int is_valid = 0;

        for (int look = 0; look < LOOKS_MAX && !is_valid; look++) {
            const uint8_t *bytes;
            int result = read_page(check, start + places[end], &bytes);

            if (result != 0)
                return result;
            memcpy(&copy, bytes, sizeof copy);
            is_valid =
                syncq_segment_page_valid(&copy, &check->queue->key, segment);
        }
        if (is_valid && (page->state == 0 || copy.change > page->change))
            *page = copy;
        if (is_valid)
            continue;
        check->report->pages_damaged++;
        if (check->visitor->page != NULL)
            check->visitor->page(segment, end, check->visitor->context);
    }
    return 0;
}

static int check_segment(struct syncq_check *check, uint32_t segment)
{
    const struct syncq_log_visitor visitor = {see_record, see_gap, check};
    struct syncq_segment_page page = {0};
    size_t first = check->gap_count;
    int result = check_pages(check, segment, &page);
    int is_known = page.state != 0;

    if (result != 0 || page.state == SYNCQ_SEGMENT_FREE)
        return result;
    if (!is_known) {
        check->report->segments_unknown++;
        result = syncq_log_find_base(check->queue, segment, &page.base_lsn);
        if (result != 0)
            return result == SYNCQ_ERR_BAD_RECORD ? 0 : result;
    }
    result = syncq_log_scan_with(&check->reader, check->queue, segment,
                                 page.base_lsn, SYNCQ_PAGE_SIZE, &visitor);
    if (result != 0)
        return result;
    if (is_known && !is_same_lap(check, segment, &page))
        check->gap_count = first;
    else if (page.end_lsn != 0)
        drop_tail(check, first, page.end_lsn);
    return 0;
}

static void report_gap(struct syncq_check *check, const struct syncq_gap *gap)
{
    struct syncq_check_report *report = check->report;
    struct syncq_damage damage = {.lsn = gap->lsn,
                                  .offset = gap->offset,
                                  .size = gap->size,
                                  .sequence = gap->sequence,
                                  .unreadable = gap->unreadable,
                                  .type = gap->type};
    const struct syncq_damage *known;

    if (gap->lsn >= check->durable_lsn && gap->unreadable == 0)
        return; /* a torn or unused tail */
    if (gap->lsn < check->durable_lsn &&
        gap->lsn + gap->size > check->durable_lsn)
        damage.size = check->durable_lsn - gap->lsn;
    known = syncq_damage_list_find(&check->known, damage.lsn, damage.size);
    if (known != NULL) {
        damage.state = known->state;
        damage.date_s = known->date_s;
    }
    if (damage.state == SYNCQ_DAMAGE_REPAIRED) {
        report->repaired_count++;
        report->repaired_size += damage.size;
    } else {
        report->damage_count++;
        report->damage_size += damage.size;
    }
    if (check->visitor->damage != NULL)
        check->visitor->damage(&damage, check->visitor->context);
}

static int compare_gaps(const void *left, const void *right)
{
    const struct syncq_gap *a = left, *b = right;

    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

int syncq_check_log(struct syncq_check *check)
{
    uint32_t count = check->queue->data.segment_count;
    int result = check_superblocks(check);

    for (uint32_t i = 0; i < count && result == 0; i++)
        result = check_segment(check, i);
    if (result != 0 || check->gap_count == 0)
        return result;
    qsort(check->gaps, check->gap_count, sizeof *check->gaps, compare_gaps);
    if (check->report->index_error == 0)
        syncq_check_name_gaps(check);
    for (size_t i = 0; i < check->gap_count; i++)
        report_gap(check, &check->gaps[i]);
    return 0;
}
