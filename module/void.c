/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "module/record_format.h"
#include "module/recovery_internal.h"

int syncq_void_write(struct syncq_queue *queue, uint32_t segment,
                     uint64_t offset, uint64_t lsn, uint64_t size)
{
    struct syncq_channel *channel = queue->handle.channel;
    struct syncq_record_header header = {
        .type = SYNCQ_RECORD_VOID,
        .lsn = lsn,
        .size = size,
        .date_us = syncq_date_us(),
    };
    uint8_t *map;
    int result = syncq_data_map(&queue->data, segment, &map);

    if (result != 0)
        return result;
    if (channel != NULL) {
        header.durable_lsn = atomic_load(&channel->durable_lsn);
        header.checkpoint = atomic_load(&channel->checkpoint);
    }
    syncq_record_header_seal(&header, &queue->key);
    memcpy(map + offset, &header, sizeof header);
    return 0;
}
