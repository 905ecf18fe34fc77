/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "module/error.h"
#include "module/log_scan.h"

struct scan {
    struct syncq_log_reader *reader;
    const struct syncq_scan_area *area;
    const struct syncq_log_visitor *visitor;
    uint64_t gap_start; /* in the area; its size when there is no open gap */
    struct syncq_gap gap;
};

static void open_gap(struct scan *scan, uint64_t at)
{
    const struct syncq_scan_area *area = scan->area;

    if (scan->gap_start != area->size)
        return;
    scan->gap_start = at;
    scan->gap = (struct syncq_gap){.lsn = area->any_lsn ? 0 : area->lsn + at,
                                   .offset = area->offset + at,
                                   .segment = area->segment};
}

/* A header that is genuine tells what was here, although the rest is lost. */
static void explain_gap(struct scan *scan,
                        const struct syncq_record_header *header)
{
    struct syncq_gap *gap = &scan->gap;

    if (gap->type == 0) {
        gap->type = header->type;
        gap->sequence = header->sequence;
    }
    if (syncq_record_type_is_message(header->type))
        gap->explained += header->size;
}

static int report_gap(struct scan *scan, uint64_t at)
{
    struct syncq_gap *gap = &scan->gap;

    if (scan->gap_start >= at)
        return 0;
    gap->size = at - scan->gap_start;
    gap->tail = at == scan->area->size;
    gap->unreadable =
        syncq_log_reader_bad_size(scan->reader, gap->offset, gap->size);
    scan->gap_start = scan->area->size;
    return scan->visitor->gap(gap, scan->visitor->context);
}

static int get(struct scan *scan, uint64_t at, uint64_t size,
               const uint8_t **bytes)
{
    const struct syncq_scan_area *area = scan->area;

    return syncq_log_reader_get(scan->reader, area->offset + at, size,
                                area->offset + area->size, bytes);
}

/* A void record's own bytes mean nothing, yet a medium that is examined has to
 * be read everywhere. */
static int read_over(struct scan *scan, uint64_t at, uint64_t size)
{
    const uint8_t *bytes;
    int result = 0;

    for (uint64_t i = 0; i < size && scan->reader->direct && result == 0;
         i += SYNCQ_RECORD_STEP)
        result = get(scan, at + i, SYNCQ_RECORD_STEP, &bytes);
    return result;
}

static int header_check(const struct syncq_scan_area *area,
                        const struct syncq_record_header *header, uint64_t at)
{
    uint64_t lsn = area->any_lsn ? header->lsn : area->lsn + at;

    if (header->signature != SYNCQ_RECORD_SIGNATURE)
        return SYNCQ_ERR_BAD_RECORD;
    /* Even so it has to be one that can stand here. */
    if (area->any_lsn && lsn % SYNCQ_RECORD_STEP != 0)
        return SYNCQ_ERR_BAD_RECORD;
    return syncq_record_header_check(header, area->key, lsn, area->size - at);
}

/* The record at offset at; *size is how far to go on. */
static int scan_step(struct scan *scan, uint64_t at, uint64_t *size)
{
    const struct syncq_scan_area *area = scan->area;
    struct syncq_record_header header;
    const uint8_t *bytes;
    int is_void;
    int result = get(scan, at, SYNCQ_RECORD_STEP, &bytes);

    if (result != 0)
        return result;
    *size = SYNCQ_RECORD_STEP;
    memcpy(&header, bytes, sizeof header);
    if (header_check(area, &header, at) != 0) {
        open_gap(scan, at);
        return 0;
    }
    *size = header.size;
    is_void = header.type == SYNCQ_RECORD_VOID;
    result = is_void ? read_over(scan, at, header.size)
                     : get(scan, at, header.size, &bytes);
    if (result != 0)
        return result;
    if (!is_void && syncq_record_body_check(&header, bytes + sizeof header)) {
        open_gap(scan, at);
        explain_gap(scan, &header);
        if (area->key == NULL) /* anybody can have written such a header */
            *size = SYNCQ_RECORD_STEP;
        return 0;
    }
    result = report_gap(scan, at);
    if (result != 0)
        return result;
    scan->reader->record_offset = area->offset + at;
    return scan->visitor->record(&header,
                                 is_void ? NULL : bytes + sizeof header,
                                 scan->visitor->context);
}

int syncq_log_scan_area(struct syncq_log_reader *reader,
                        const struct syncq_scan_area *area,
                        const struct syncq_log_visitor *visitor)
{
    struct scan scan = {.reader = reader,
                        .area = area,
                        .visitor = visitor,
                        .gap_start = area->size};
    int result = 0;

    if (area->offset % SYNCQ_RECORD_STEP != 0 ||
        area->size % SYNCQ_RECORD_STEP != 0)
        return SYNCQ_ERR_RANGE;
    syncq_log_reader_restart(reader);
    for (uint64_t at = 0, size; at < area->size && result == 0; at += size)
        result = scan_step(&scan, at, &size);
    return result == 0 ? report_gap(&scan, area->size) : result;
}

int syncq_log_scan_with(struct syncq_log_reader *reader,
                        struct syncq_queue *queue, uint32_t segment,
                        uint64_t base_lsn, uint64_t start,
                        const struct syncq_log_visitor *visitor)
{
    uint64_t end = queue->data.segment_size - SYNCQ_PAGE_SIZE;
    struct syncq_scan_area area = {.key = &queue->key,
                                   .lsn = base_lsn + start,
                                   .size = end - start,
                                   .segment = segment};

    if (start < SYNCQ_PAGE_SIZE || start > end)
        return SYNCQ_ERR_RANGE;
    area.offset = syncq_data_segment_offset(&queue->data, segment) + start;
    return syncq_log_scan_area(reader, &area, visitor);
}

int syncq_log_scan(struct syncq_queue *queue, uint32_t segment,
                   uint64_t base_lsn, uint64_t start,
                   const struct syncq_log_visitor *visitor)
{
    struct syncq_log_reader reader;
    int result = syncq_log_reader_init(&reader, queue->data.fd, 0);

    if (result == 0)
        result = syncq_log_scan_with(&reader, queue, segment, base_lsn, start,
                                     visitor);
    syncq_log_reader_clear(&reader);
    return result;
}

struct base_search {
    const struct syncq_log_reader *reader;
    uint64_t start;    /* of the segment in the file */
    uint64_t base_lsn; /* 0: no record yet */
};

/* Records of earlier laps may still be there: the newest counts. */
static int see_base(const struct syncq_record_header *header,
                    const uint8_t *body, void *context)
{
    struct base_search *search = context;
    uint64_t at = search->reader->record_offset - search->start;

    (void)body;
    if (header->lsn >= at && header->lsn - at > search->base_lsn)
        search->base_lsn = header->lsn - at;
    return 0;
}

static int ignore_gap(const struct syncq_gap *gap, void *context)
{
    (void)gap;
    (void)context;
    return 0;
}

int syncq_log_find_base_in(struct syncq_log_reader *reader,
                           const struct syncq_scan_area *area,
                           uint64_t *base_lsn)
{
    struct base_search search = {.reader = reader,
                                 .start = area->offset - SYNCQ_PAGE_SIZE};
    const struct syncq_log_visitor visitor = {see_base, ignore_gap, &search};
    struct syncq_scan_area anywhere = *area;
    int result;

    anywhere.any_lsn = 1;
    result = syncq_log_scan_area(reader, &anywhere, &visitor);
    if (result == 0 && search.base_lsn == 0)
        result = SYNCQ_ERR_BAD_RECORD;
    if (result == 0)
        *base_lsn = search.base_lsn;
    return result;
}

int syncq_log_find_base(struct syncq_queue *queue, uint32_t segment,
                        uint64_t *base_lsn)
{
    struct syncq_log_reader reader;
    const struct syncq_scan_area area = {
        .key = &queue->key,
        .offset =
            syncq_data_segment_offset(&queue->data, segment) + SYNCQ_PAGE_SIZE,
        .size = queue->data.segment_size - 2 * SYNCQ_PAGE_SIZE,
        .segment = segment};
    int result = syncq_log_reader_init(&reader, queue->data.fd, 0);

    if (result == 0)
        result = syncq_log_find_base_in(&reader, &area, base_lsn);
    syncq_log_reader_clear(&reader);
    return result;
}
