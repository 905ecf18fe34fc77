/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/file.h"
#include "module/queue_internal.h"
#include "module/read.h"
#include "module/segment_format.h"

int syncq_segment_base(struct syncq_queue *queue, uint32_t segment,
                       uint64_t *base_lsn)
{
    struct syncq_channel *channel = queue->handle.channel;
    struct syncq_segment_page page;
    uint32_t state;
    int result;

    if (channel != NULL &&
        atomic_load(&channel->state) != SYNCQ_CHANNEL_STARTING) {
        state = atomic_load(&channel->segments[segment].state);
        *base_lsn = atomic_load(&channel->segments[segment].base_lsn);
        return state == SYNCQ_SEGMENT_FREE || *base_lsn == 0
                   ? SYNCQ_ERR_BAD_RECORD
                   : 0;
    }
    result =
        syncq_data_read_segment_page(&queue->data, &queue->key, segment, &page);
    if (result != 0 || page.state == SYNCQ_SEGMENT_FREE)
        return SYNCQ_ERR_BAD_RECORD;
    *base_lsn = page.base_lsn;
    return 0;
}

static int find_known(struct syncq_queue *queue, uint64_t lsn,
                      uint32_t *segment, uint64_t *base_lsn)
{
    for (uint32_t i = 0; i < queue->data.segment_count; i++) {
        uint64_t base;

        if (syncq_segment_base(queue, i, &base) != 0 || lsn < base ||
            lsn - base >= queue->data.segment_size)
            continue;
        *segment = i;
        *base_lsn = base;
        return 0;
    }
    return SYNCQ_ERR_BAD_RECORD;
}

int syncq_segment_find(struct syncq_queue *queue, uint64_t lsn,
                       uint32_t *segment, uint64_t *base_lsn)
{
    uint32_t known = queue->data.segment_count;
    int result = find_known(queue, lsn, segment, base_lsn);

    if (result == 0)
        return 0;
    /* It may lie in a segment that was added since. */
    if (queue->handle.channel == NULL)
        (void)syncq_data_follow_superblock(&queue->data, &queue->key);
    else
        (void)syncq_queue_follow(queue);
    return queue->data.segment_count > known
               ? find_known(queue, lsn, segment, base_lsn)
               : result;
}

uint64_t syncq_record_size_max(const struct syncq_queue *queue)
{
    return queue->data.segment_size - 2 * SYNCQ_PAGE_SIZE;
}

/* Read and check the header at lsn; *offset is its place in the file. */
static int read_header(struct syncq_queue *queue, uint64_t lsn,
                       struct syncq_record_header *header, uint64_t *offset)
{
    uint64_t base, in_segment, end;
    uint32_t segment;
    int result = syncq_segment_find(queue, lsn, &segment, &base);

    if (result != 0)
        return result;
    in_segment = lsn - base;
    end = queue->data.segment_size - SYNCQ_PAGE_SIZE;
    if (in_segment < SYNCQ_PAGE_SIZE || in_segment >= end ||
        in_segment % SYNCQ_RECORD_STEP != 0)
        return SYNCQ_ERR_BAD_RECORD;
    *offset = syncq_data_segment_offset(&queue->data, segment) + in_segment;
    result =
        syncq_file_read(queue->data.fd, header, sizeof *header, (off_t)*offset);
    if (result != 0)
        return result;
    return syncq_record_header_check(header, &queue->key, lsn,
                                     end - in_segment);
}

static int read_body(struct syncq_queue *queue, uint64_t offset,
                     struct syncq_record *record)
{
    const struct syncq_record_header *header = &record->header;
    uint64_t size;
    int result = syncq_record_body_size(header, &size);

    if (result != 0)
        return SYNCQ_ERR_BAD_RECORD;
    record->memory = malloc(size == 0 ? 1 : size);
    if (record->memory == NULL)
        return ENOMEM;
    result = syncq_file_read(queue->data.fd, record->memory, size,
                             (off_t)(offset + sizeof *header));
    if (result == 0)
        result = syncq_record_body_check(header, record->memory);
    record->content = record->memory + header->envelope_size;
    record->content_size = header->content_size;
    record->states = record->content + header->content_size;
    return result;
}

int syncq_record_read(struct syncq_queue *queue, uint64_t lsn,
                      uint64_t sequence, struct syncq_record *record)
{
    uint64_t offset;
    int result;

    memset(record, 0, sizeof *record);
    result = read_header(queue, lsn, &record->header, &offset);
    if (result != 0)
        return result;
    if (record->header.type == SYNCQ_RECORD_VOID ||
        (sequence != 0 && record->header.sequence != sequence))
        return SYNCQ_ERR_BAD_RECORD;
    result = read_body(queue, offset, record);
    if (result == 0 && syncq_record_type_is_message(record->header.type)) {
        result = syncq_envelope_decode(
            record->memory, record->header.envelope_size, &record->envelope);
        if (result == 0 &&
            (record->envelope.part_count != record->header.part_count ||
             record->envelope.recipient_count !=
                 record->header.recipient_count))
            result = SYNCQ_ERR_BAD_ENVELOPE;
    }
    if (result != 0)
        syncq_record_clear(record);
    return result;
}

int syncq_record_is_void(struct syncq_queue *queue, uint64_t lsn)
{
    struct syncq_record_header header;
    uint64_t offset;

    return read_header(queue, lsn, &header, &offset) == 0 &&
           header.type == SYNCQ_RECORD_VOID;
}

int syncq_record_read_header(struct syncq_queue *queue, uint64_t lsn,
                             struct syncq_record_header *header)
{
    uint64_t offset;

    return read_header(queue, lsn, header, &offset);
}

void syncq_record_clear(struct syncq_record *record)
{
    syncq_envelope_clear(&record->envelope);
    free(record->memory);
    memset(record, 0, sizeof *record);
}
