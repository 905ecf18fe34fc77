/* SPDX-License-Identifier: MIT */
/*
 * data_map.c - mapping and syncing the data file
 *
 * A store to a page that lies in a large folio of the page cache makes the
 * whole folio dirty: 1 MiB would go to the device for one small mail.  So the
 * file is advised as random before its first touch (data.c, create.c), and
 * each mapping too.
 *
 * The kernel tells each open file of a failed write only once.  With two
 * threads in msync on the same open file one could take the error that the
 * other's pages had, and the other would confirm them.  So there is one msync
 * at a time, and its first error is everybody's.
 */
#include <errno.h>
#include <sys/mman.h>

#include "module/data.h"
#include "module/error.h"
#include "module/limits.h"

int syncq_data_map(struct syncq_data *data, uint32_t segment, uint8_t **map)
{
    int protection = PROT_READ | (data->writable ? PROT_WRITE : 0);
    uint8_t *known = NULL;
    void *made;

    if (segment >= data->segment_count)
        return SYNCQ_ERR_RANGE;
    known = atomic_load_explicit(&data->maps[segment], memory_order_acquire);
    if (known != NULL) {
        *map = known;
        return 0;
    }
    made = mmap(NULL, data->segment_size, protection, MAP_SHARED, data->fd,
                (off_t)syncq_data_segment_offset(data, segment));
    if (made == MAP_FAILED)
        return errno;
    (void)madvise(made, data->segment_size, MADV_RANDOM);
    if (atomic_compare_exchange_strong(&data->maps[segment], &known, made)) {
        *map = made;
        return 0;
    }
    munmap(made, data->segment_size); /* another thread was faster */
    *map = known;
    return 0;
}

int syncq_data_sync_map(struct syncq_data *data, uint8_t *map, uint64_t size)
{
    int result;

    (void)pthread_mutex_lock(&data->sync_lock);
    result = data->sync_error;
    /* msync returns 0 even after the file was truncated under the mapping. */
    if (result == 0)
        result = syncq_data_unchanged(data);
    if (result == 0 && msync(map, size, MS_SYNC) != 0)
        result = errno;
    if (result == 0)
        result = syncq_data_unchanged(data);
    data->sync_error = result;
    (void)pthread_mutex_unlock(&data->sync_lock);
    return result;
}

int syncq_data_sync(struct syncq_data *data, uint32_t segment, uint64_t offset,
                    uint64_t size)
{
    uint64_t start = offset & ~(SYNCQ_PAGE_SIZE - 1);
    uint64_t end =
        (offset + size + SYNCQ_PAGE_SIZE - 1) & ~(SYNCQ_PAGE_SIZE - 1);
    uint8_t *map;
    int result;

    if (end > data->segment_size || start >= end)
        return SYNCQ_ERR_RANGE;
    result = syncq_data_map(data, segment, &map);
    if (result != 0)
        return result;
    return syncq_data_sync_map(data, map + start, end - start);
}
