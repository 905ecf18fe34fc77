/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/file.h"
#include "module/log_scan.h"

/*
 * Read size bytes; where a sector cannot be read, zeros, which hold no valid
 * record.  Large reads first, single pages only around the trouble.
 */
static void read_what_can_be(int fd, uint8_t *bytes, uint64_t size,
                             uint64_t offset)
{
    const uint64_t large = UINT64_C(1) << 20;

    for (uint64_t done = 0; done < size;) {
        uint64_t count = size - done < large ? size - done : large;

        if (syncq_file_read(fd, bytes + done, count, (off_t)(offset + done)) !=
            0) {
            for (uint64_t i = 0; i < count; i += SYNCQ_PAGE_SIZE) {
                uint64_t rest =
                    count - i < SYNCQ_PAGE_SIZE ? count - i : SYNCQ_PAGE_SIZE;

                if (syncq_file_read(fd, bytes + done + i, rest,
                                    (off_t)(offset + done + i)) != 0)
                    memset(bytes + done + i, 0, rest);
            }
        }
        done += count;
    }
}

struct scan {
    struct syncq_queue *queue;
    const struct syncq_log_visitor *visitor;
    uint8_t *bytes; /* from offset start to the end of the records' area */
    uint64_t base_lsn, start, end;
    uint32_t segment;
    uint64_t gap_start; /* offset; end when there is no open gap */
};

static int report_gap(struct scan *scan, uint64_t at)
{
    struct syncq_gap gap = {.lsn = scan->base_lsn + scan->gap_start,
                            .size = at - scan->gap_start,
                            .segment = scan->segment,
                            .tail = at == scan->end};

    if (scan->gap_start >= at)
        return 0;
    scan->gap_start = scan->end;
    return scan->visitor->gap(&gap, scan->visitor->context);
}

/* The record at offset at; *size is how far to go on. */
static int scan_step(struct scan *scan, uint64_t at, uint64_t *size)
{
    struct syncq_record_header header;
    const uint8_t *place = scan->bytes + (at - scan->start);
    const uint8_t *body = place + sizeof header;
    int result;

    *size = SYNCQ_RECORD_STEP;
    memcpy(&header, place, sizeof header);
    if (header.signature != SYNCQ_RECORD_SIGNATURE ||
        syncq_record_header_check(&header, &scan->queue->key,
                                  scan->base_lsn + at, scan->end - at) != 0) {
        if (scan->gap_start == scan->end)
            scan->gap_start = at;
        return 0;
    }
    *size = header.size;
    if (header.type != SYNCQ_RECORD_VOID &&
        syncq_record_body_check(&header, body) != 0) {
        if (scan->gap_start == scan->end)
            scan->gap_start = at;
        return 0;
    }
    result = report_gap(scan, at);
    if (result != 0)
        return result;
    return scan->visitor->record(&header,
                                 header.type == SYNCQ_RECORD_VOID ? NULL : body,
                                 scan->visitor->context);
}

int syncq_log_scan(struct syncq_queue *queue, uint32_t segment,
                   uint64_t base_lsn, uint64_t start,
                   const struct syncq_log_visitor *visitor)
{
    uint64_t end = queue->data.segment_size - SYNCQ_PAGE_SIZE;
    struct scan scan = {.queue = queue,
                        .visitor = visitor,
                        .base_lsn = base_lsn,
                        .start = start,
                        .end = end,
                        .segment = segment,
                        .gap_start = end};
    int result = 0;

    if (start < SYNCQ_PAGE_SIZE || start > end ||
        start % SYNCQ_RECORD_STEP != 0)
        return SYNCQ_ERR_RANGE;
    scan.bytes = malloc(end - start + 1);
    if (scan.bytes == NULL)
        return ENOMEM;
    read_what_can_be(queue->data.fd, scan.bytes, end - start,
                     syncq_data_segment_offset(&queue->data, segment) + start);
    for (uint64_t at = start, size; at < end && result == 0; at += size)
        result = scan_step(&scan, at, &size);
    if (result == 0)
        result = report_gap(&scan, end);
    free(scan.bytes);
    return result;
}

int syncq_log_find_base(struct syncq_queue *queue, uint32_t segment,
                        uint64_t *base_lsn)
{
    uint64_t end = queue->data.segment_size - SYNCQ_PAGE_SIZE;
    uint64_t start = syncq_data_segment_offset(&queue->data, segment);
    struct syncq_record_header header;
    int found = 0;

    for (uint64_t at = SYNCQ_PAGE_SIZE; at < end; at += SYNCQ_RECORD_STEP) {
        if (syncq_file_read(queue->data.fd, &header, sizeof header,
                            (off_t)(start + at)) != 0 ||
            header.signature != SYNCQ_RECORD_SIGNATURE || header.lsn < at ||
            syncq_record_header_check(&header, &queue->key, header.lsn,
                                      end - at) != 0)
            continue;
        /* Records of earlier laps may still be there: the newest counts. */
        if (!found || header.lsn - at > *base_lsn)
            *base_lsn = header.lsn - at;
        found = 1;
    }
    return found ? 0 : SYNCQ_ERR_BAD_RECORD;
}
