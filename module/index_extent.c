/* SPDX-License-Identifier: MIT */
/*
 * index_extent.c - make the index longer, and see that another process did
 *
 * Entries are written and synced before the header names them, so a crash
 * leaves the shorter index or the longer one.  All processes map the header,
 * which is how they learn of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "module/error.h"
#include "module/file.h"
#include "module/index_extent.h"

uint64_t syncq_index_file_size(uint32_t entry_count)
{
    return SYNCQ_INDEX_ENTRIES_OFFSET +
           (uint64_t)entry_count * SYNCQ_ENTRY_SIZE;
}

uint64_t syncq_index_seed(const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    return XXH3_64bits(uuid, SYNCQ_UUID_SIZE);
}

uint64_t syncq_index_header_checksum(const struct syncq_index_header *header)
{
    return XXH3_64bits(header, offsetof(struct syncq_index_header, checksum));
}

int syncq_index_map(struct syncq_index *index)
{
    int protection = PROT_READ | (index->writable ? PROT_WRITE : 0);
    void *map =
        mmap(NULL, syncq_index_file_size(SYNCQ_ENTRY_COUNT_MAX), PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        return errno;
    index->map = map;
    if (mmap(map, index->map_size, protection, MAP_SHARED | MAP_FIXED,
             index->fd, 0) == MAP_FAILED)
        return errno;
    return 0;
}

void syncq_index_unmap(struct syncq_index *index)
{
    if (index->map != NULL)
        munmap(index->map, syncq_index_file_size(SYNCQ_ENTRY_COUNT_MAX));
    index->map = NULL;
}

/* Map up to entry_count; the lock is held. */
static int map_more(struct syncq_index *index, uint32_t entry_count)
{
    int protection = PROT_READ | (index->writable ? PROT_WRITE : 0);
    uint64_t size = syncq_index_file_size(entry_count);
    uint64_t start = (index->map_size + SYNCQ_PAGE_SIZE - 1) &
                     ~(SYNCQ_PAGE_SIZE - 1); /* the last page is there whole */
    struct stat status;

    if (entry_count > SYNCQ_ENTRY_COUNT_MAX)
        return SYNCQ_ERR_RANGE;
    if (fstat(index->fd, &status) != 0)
        return errno;
    if ((uint64_t)status.st_size < size)
        return SYNCQ_ERR_TRUNCATED;
    if (size > start &&
        mmap(index->map + start, size - start, protection,
             MAP_SHARED | MAP_FIXED, index->fd, (off_t)start) == MAP_FAILED)
        return errno;
    index->map_size = size;
    index->entry_count = entry_count;
    return 0;
}

static uint32_t *header_count(const struct syncq_index *index)
{
    return &((struct syncq_index_header *)(void *)index->map)->entry_count;
}

int syncq_index_follow(struct syncq_index *index)
{
    uint32_t count = __atomic_load_n(header_count(index), __ATOMIC_ACQUIRE);
    int result = 0;

    if (count <= index->entry_count)
        return 0;
    (void)pthread_mutex_lock(&index->follow_lock);
    if (count > index->entry_count)
        result = map_more(index, count);
    (void)pthread_mutex_unlock(&index->follow_lock);
    return result;
}

int syncq_index_has(const struct syncq_index *index, uint32_t slot)
{
    if (slot < index->entry_count)
        return 1;
    /* What is mapped is only a view of the index: it is the same one. */
    return slot < SYNCQ_ENTRY_COUNT_MAX &&
           syncq_index_follow((struct syncq_index *)(uintptr_t)index) == 0 &&
           slot < index->entry_count;
}

int syncq_index_fill(int fd, const uint8_t uuid[SYNCQ_UUID_SIZE], uint32_t from,
                     uint32_t entry_count)
{
    enum { CHUNK = 8192 }; /* 1 MiB */
    struct syncq_entry *chunk = calloc(CHUNK, sizeof *chunk);
    struct syncq_index index = {.seed = syncq_index_seed(uuid)};
    int result = chunk == NULL ? ENOMEM : 0;

    for (uint32_t done = from; done < entry_count && result == 0;) {
        uint32_t count =
            entry_count - done < CHUNK ? entry_count - done : CHUNK;

        /* Slot numbers are part of the checksums: shift the view. */
        index.entries = chunk - done;
        for (uint32_t i = 0; i < count; i++)
            syncq_index_write_free(&index, done + i);
        result = syncq_file_write(fd, chunk, count * sizeof *chunk,
                                  (off_t)syncq_index_file_size(done));
        done += count;
    }
    free(chunk);
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    return result;
}

int syncq_index_extend(struct syncq_index *index, uint32_t entry_count)
{
    struct syncq_index_header *header = (void *)index->map;
    struct syncq_index_header next = *header;
    int result;

    if (entry_count <= index->entry_count)
        return 0;
    (void)pthread_mutex_lock(&index->follow_lock);
    result = map_more(index, entry_count);
    (void)pthread_mutex_unlock(&index->follow_lock);
    if (result != 0)
        return result;
    next.entry_count = entry_count;
    header->checksum = syncq_index_header_checksum(&next);
    __atomic_store_n(&header->entry_count, entry_count, __ATOMIC_RELEASE);
    return msync(index->map, SYNCQ_PAGE_SIZE, MS_SYNC) == 0 ? 0 : errno;
}
