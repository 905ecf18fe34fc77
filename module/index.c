/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "module/error.h"
#include "module/file.h"
#include "module/index.h"
#include "module/index_extent.h"

enum { HEADER_TRIES = 5, HEADER_WAIT_US = 2000 };

static uint64_t checkpoint_checksum(const struct syncq_checkpoint *checkpoint)
{
    return XXH3_64bits(checkpoint, offsetof(struct syncq_checkpoint, checksum));
}

int syncq_index_create(int directory_fd, const char *name,
                       const uint8_t uuid[SYNCQ_UUID_SIZE],
                       uint32_t entry_count)
{
    static const uint8_t zeros[SYNCQ_INDEX_ENTRIES_OFFSET];
    struct syncq_index_header header = {.version = SYNCQ_INDEX_VERSION,
                                        .entry_count = entry_count};
    int fd = -1;
    int result = syncq_file_create(directory_fd, name, &fd);

    if (result != 0)
        return result;
    memcpy(header.magic, SYNCQ_INDEX_MAGIC, sizeof header.magic);
    memcpy(header.uuid, uuid, sizeof header.uuid);
    header.checksum = syncq_index_header_checksum(&header);
    result = syncq_file_write(fd, zeros, sizeof zeros, 0);
    if (result == 0)
        result = syncq_index_fill(fd, uuid, 0, entry_count);
    if (result == 0)
        result = syncq_file_write(fd, &header, sizeof header, 0);
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    close(fd);
    if (result != 0)
        (void)unlinkat(directory_fd, name, 0);
    return result;
}

static int check_header(const struct syncq_index_header *header,
                        const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    if (memcmp(header->magic, SYNCQ_INDEX_MAGIC, sizeof header->magic) != 0 ||
        header->checksum != syncq_index_header_checksum(header) ||
        memcmp(header->uuid, uuid, sizeof header->uuid) != 0)
        return SYNCQ_ERR_INDEX;
    return header->version != SYNCQ_INDEX_VERSION ? SYNCQ_ERR_VERSION : 0;
}

static int read_header(struct syncq_index *index, uint64_t file_size,
                       const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    struct syncq_index_header header;
    int result = SYNCQ_ERR_INDEX;

    if (file_size < SYNCQ_INDEX_ENTRIES_OFFSET)
        return result;
    /* It may be between two stores of syncq_index_extend. */
    for (int i = 0; i < HEADER_TRIES && result == SYNCQ_ERR_INDEX; i++) {
        if (i > 0)
            (void)usleep(HEADER_WAIT_US);
        result = syncq_file_read(index->fd, &header, sizeof header, 0);
        if (result == 0)
            result = check_header(&header, uuid);
    }
    if (result != 0)
        return result;
    index->entry_count = header.entry_count;
    index->map_size = syncq_index_file_size(header.entry_count);
    if (header.entry_count < SYNCQ_ENTRY_COUNT_MIN ||
        header.entry_count > SYNCQ_ENTRY_COUNT_MAX ||
        file_size < index->map_size)
        return SYNCQ_ERR_INDEX;
    return 0;
}

int syncq_index_open(int directory_fd, int writable,
                     const uint8_t uuid[SYNCQ_UUID_SIZE],
                     struct syncq_index *index)
{
    return syncq_index_open_as(directory_fd, SYNCQ_INDEX_FILE, writable, uuid,
                               index);
}

int syncq_index_open_as(int directory_fd, const char *name, int writable,
                        const uint8_t uuid[SYNCQ_UUID_SIZE],
                        struct syncq_index *index)
{
    struct stat status;
    int result;

    memset(index, 0, sizeof *index);
    (void)pthread_mutex_init(&index->follow_lock, NULL);
    index->fd = -1;
    index->writable = writable;
    index->seed = syncq_index_seed(uuid);
    result = syncq_file_open(directory_fd, name, writable, &index->fd, &status);
    if (result != 0)
        return result;
    result = read_header(index, (uint64_t)status.st_size, uuid);
    if (result != 0)
        goto out;
    result = syncq_index_map(index);
    if (result != 0)
        goto out;
    index->entries =
        (struct syncq_entry *)(index->map + SYNCQ_INDEX_ENTRIES_OFFSET);
    index->lists =
        (struct syncq_index_lists *)(index->map + 3 * SYNCQ_PAGE_SIZE);
out:
    if (result != 0)
        syncq_index_close(index);
    return result;
}

void syncq_index_close(struct syncq_index *index)
{
    syncq_index_unmap(index);
    if (index->fd >= 0)
        close(index->fd);
    index->fd = -1;
}

int syncq_index_read_checkpoint(const struct syncq_index *index,
                                struct syncq_checkpoint *checkpoint)
{
    int found = 0;

    for (uint64_t page = 1; page <= 2; page++) {
        struct syncq_checkpoint copy;
        const struct syncq_index_header *header =
            (const struct syncq_index_header *)index->map;

        memcpy(&copy, index->map + page * SYNCQ_PAGE_SIZE, sizeof copy);
        if (copy.magic != SYNCQ_CHECKPOINT_MAGIC ||
            copy.checksum != checkpoint_checksum(&copy) ||
            memcmp(copy.uuid, header->uuid, sizeof copy.uuid) != 0)
            continue;
        if (!found || copy.number > checkpoint->number)
            *checkpoint = copy;
        found = 1;
    }
    return found ? 0 : SYNCQ_ERR_INDEX;
}

static int check_index_size(const struct syncq_index *index)
{
    struct stat status;

    if (fstat(index->fd, &status) != 0)
        return errno;
    return (uint64_t)status.st_size < index->map_size ? SYNCQ_ERR_TRUNCATED : 0;
}

int syncq_index_sync_entries(struct syncq_index *index)
{
    if (msync(index->map, index->map_size, MS_SYNC) != 0)
        return errno;
    return check_index_size(index);
}

int syncq_index_write_checkpoint(struct syncq_index *index,
                                 struct syncq_checkpoint *checkpoint)
{
    const struct syncq_index_header *header =
        (const struct syncq_index_header *)index->map;
    uint8_t *page =
        index->map + (1 + (checkpoint->number & 1)) * SYNCQ_PAGE_SIZE;

    checkpoint->magic = SYNCQ_CHECKPOINT_MAGIC;
    memcpy(checkpoint->uuid, header->uuid, sizeof checkpoint->uuid);
    checkpoint->checksum = checkpoint_checksum(checkpoint);
    memcpy(page, checkpoint, sizeof *checkpoint);
    if (msync(page, SYNCQ_PAGE_SIZE, MS_SYNC) != 0)
        return errno;
    return check_index_size(index);
}
