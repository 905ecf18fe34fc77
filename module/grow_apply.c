/* SPDX-License-Identifier: MIT */
/*
 * grow_apply.c - use what was appended to the files
 *
 * The superblock goes first: an index that was lost is made again with the
 * number of entries that it says, and the log may hold as many parts as the
 * longer index could.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/grow_internal.h"
#include "module/index_extent.h"

static uint64_t data_size(const struct syncq_queue *queue,
                          uint32_t segment_count)
{
    return SYNCQ_DATA_OFFSET + queue->data.segment_size * segment_count;
}

static int check_data(struct syncq_queue *queue, uint32_t segment_count)
{
    const struct syncq_data *data = &queue->data;
    uint64_t size = data_size(queue, segment_count);
    struct syncq_segment_page page;
    struct stat status;
    off_t hole;

    if (fstat(data->fd, &status) != 0)
        return errno;
    if ((uint64_t)status.st_size < size)
        return SYNCQ_ERR_TRUNCATED;
    hole = lseek(data->fd, (off_t)data->file_size, SEEK_HOLE);
    if (hole < 0 && segment_count > data->segment_count)
        return errno;
    if (segment_count > data->segment_count && (uint64_t)hole < size)
        return SYNCQ_ERR_HOLES;
    for (uint32_t i = data->segment_count; i < segment_count; i++)
        if (syncq_data_read_segment_page(data, &queue->key, i, &page) != 0 ||
            page.state != SYNCQ_SEGMENT_FREE)
            return SYNCQ_ERR_BAD_RECORD;
    return 0;
}

static int check_index(struct syncq_queue *queue, uint32_t entry_count)
{
    struct stat status;

    if (fstat(queue->index.fd, &status) != 0)
        return errno;
    return (uint64_t)status.st_size < syncq_index_file_size(entry_count)
               ? SYNCQ_ERR_INDEX
               : 0;
}

int syncq_grow_check(struct syncq_queue *queue, uint32_t segment_count,
                     uint32_t entry_count)
{
    int result;

    if (segment_count < queue->data.segment_count ||
        segment_count > SYNCQ_SEGMENT_COUNT_MAX ||
        entry_count < queue->index.entry_count ||
        entry_count > SYNCQ_ENTRY_COUNT_MAX)
        return SYNCQ_ERR_RANGE;
    result = check_data(queue, segment_count);
    return result != 0 ? result : check_index(queue, entry_count);
}

/*
 * Both copies, before any of the segments is opened: losing either of them
 * later must not take the segments away.
 */
int syncq_grow_superblock(struct syncq_queue *queue, uint32_t segment_count,
                          uint32_t entry_count)
{
    struct syncq_superblock *superblock = &queue->data.superblock;
    int result = 0;

    if (segment_count > superblock->segment_count) {
        superblock->segment_count = segment_count;
        superblock->file_size = data_size(queue, segment_count);
    }
    if (entry_count > superblock->entry_count)
        superblock->entry_count = entry_count;
    for (int i = 0; i < 2 && result == 0; i++)
        result = syncq_data_write_superblock(&queue->data, &queue->key);
    return result == 0 ? syncq_data_follow(&queue->data, segment_count)
                       : result;
}

int syncq_grow_index(struct syncq_queue *queue, uint32_t entry_count)
{
    return syncq_index_extend(&queue->index, entry_count);
}

int syncq_grow_finish(struct syncq_queue *queue)
{
    struct syncq_index *index = &queue->index;
    uint32_t wanted = queue->data.superblock.entry_count;
    int result;

    if (index->entry_count >= wanted)
        return 0;
    result = syncq_index_fill(index->fd, queue->key.uuid, index->entry_count,
                              wanted);
    return result == 0 ? syncq_index_extend(index, wanted) : result;
}
