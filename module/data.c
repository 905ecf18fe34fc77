/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "module/data.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/file.h"
#include "module/limits.h"
#include "module/queue.h"

/*
 * Pick the copy to believe.  A wrong key or version is reported as such only
 * when no copy is good: one copy may be torn while it was being written.
 */
static int choose_superblock(const struct syncq_data *data,
                             const struct syncq_key *key,
                             struct syncq_superblock *superblock)
{
    struct syncq_superblock copies[2];
    int results[2], best = -1;

    for (int i = 0; i < 2; i++) {
        results[i] = syncq_file_read(data->fd, &copies[i], sizeof copies[i],
                                     i * (off_t)SYNCQ_PAGE_SIZE);
        if (results[i] == 0)
            results[i] = syncq_superblock_check(&copies[i], key);
        if (results[i] == 0 &&
            (best < 0 || copies[i].generation > copies[best].generation))
            best = i;
    }
    if (best >= 0) {
        *superblock = copies[best];
        return 0;
    }
    for (int i = 0; i < 2; i++)
        if (results[i] == SYNCQ_ERR_KEY || results[i] == SYNCQ_ERR_VERSION)
            return results[i];
    return results[0];
}

/* Longer is fine: a grow that was cut off leaves that. */
static int check_size(struct syncq_data *data, uint64_t size)
{
    const struct syncq_superblock *superblock = &data->superblock;
    uint64_t needed = SYNCQ_DATA_OFFSET +
                      superblock->segment_size * superblock->segment_count;

    if (superblock->file_size != needed)
        return SYNCQ_ERR_RANGE;
    return size < needed ? SYNCQ_ERR_TRUNCATED : 0;
}

static int map_head(struct syncq_data *data)
{
    void *map;

    if (!data->writable)
        return 0;
    map = mmap(NULL, 2 * SYNCQ_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
               data->fd, 0);
    if (map == MAP_FAILED)
        return errno;
    data->head_map = map;
    return 0;
}

int syncq_data_open(int directory_fd, int writable, struct syncq_key *key,
                    struct syncq_data *data)
{
    struct stat status;
    int result;

    memset(data, 0, sizeof *data);
    data->fd = -1;
    data->writable = writable;
    (void)pthread_mutex_init(&data->sync_lock, NULL);
    (void)pthread_mutex_init(&data->follow_lock, NULL);
    result = syncq_file_open(directory_fd, SYNCQ_DATA_FILE, writable, &data->fd,
                             &status);
    if (result != 0)
        return result;
    data->device = status.st_dev;
    data->inode = status.st_ino;
    result = (uint64_t)status.st_size < SYNCQ_DATA_OFFSET
                 ? SYNCQ_ERR_TRUNCATED
                 : choose_superblock(data, key, &data->superblock);
    if (result == 0)
        result = check_size(data, (uint64_t)status.st_size);
    if (result != 0)
        goto out;
    memcpy(key->uuid, data->superblock.uuid, sizeof key->uuid);
    data->file_size = data->superblock.file_size;
    data->segment_size = data->superblock.segment_size;
    data->segment_count = data->superblock.segment_count;
    data->maps = calloc(SYNCQ_SEGMENT_COUNT_MAX, sizeof *data->maps);
    result = data->maps == NULL ? ENOMEM : map_head(data);
    /* Before the first touch: single pages in the page cache, see data_map.c */
    (void)posix_fadvise(data->fd, 0, 0, POSIX_FADV_RANDOM);
out:
    if (result != 0)
        syncq_data_close(data);
    return result;
}

void syncq_data_close(struct syncq_data *data)
{
    for (uint32_t i = 0; data->maps != NULL && i < data->segment_count; i++) {
        uint8_t *map = atomic_load(&data->maps[i]);

        if (map != NULL)
            munmap(map, data->segment_size);
    }
    free(data->maps);
    data->maps = NULL;
    if (data->head_map != NULL)
        munmap(data->head_map, 2 * SYNCQ_PAGE_SIZE);
    data->head_map = NULL;
    if (data->fd >= 0)
        close(data->fd);
    data->fd = -1;
}

int syncq_data_lock(struct syncq_data *data, int exclusive)
{
    struct flock lock = {.l_type = (short)(exclusive ? F_WRLCK : F_RDLCK),
                         .l_whence = SEEK_SET};

    if (fcntl(data->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? SYNCQ_ERR_BUSY : errno;
}

void syncq_data_unlock(struct syncq_data *data)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    (void)fcntl(data->fd, F_OFD_SETLK, &lock); /* freeing cannot fail */
}

int syncq_data_follow(struct syncq_data *data, uint32_t segment_count)
{
    uint64_t size = SYNCQ_DATA_OFFSET + data->segment_size * segment_count;
    struct stat status;

    if (segment_count <= data->segment_count)
        return 0;
    if (segment_count > SYNCQ_SEGMENT_COUNT_MAX)
        return SYNCQ_ERR_RANGE;
    if (fstat(data->fd, &status) != 0)
        return errno;
    if ((uint64_t)status.st_size < size)
        return SYNCQ_ERR_TRUNCATED;
    (void)pthread_mutex_lock(&data->follow_lock);
    if (segment_count > data->segment_count) {
        data->file_size = size;
        data->segment_count = segment_count;
    }
    (void)pthread_mutex_unlock(&data->follow_lock);
    return 0;
}

static int read_grown(struct syncq_data *data, const struct syncq_key *key,
                      struct syncq_superblock *superblock)
{
    int result = choose_superblock(data, key, superblock);

    if (result == 0 && (superblock->segment_size != data->segment_size ||
                        superblock->segment_count < data->segment_count))
        result = SYNCQ_ERR_RANGE;
    return result == 0 ? syncq_data_follow(data, superblock->segment_count)
                       : result;
}

int syncq_data_follow_superblock(struct syncq_data *data,
                                 const struct syncq_key *key)
{
    struct syncq_superblock unused;

    return read_grown(data, key, &unused);
}

int syncq_data_reread_superblock(struct syncq_data *data,
                                 const struct syncq_key *key)
{
    struct syncq_superblock now;
    int result = read_grown(data, key, &now);

    if (result == 0)
        data->superblock = now;
    return result;
}

/*
 * statx without times, on purpose: once somebody has asked for the mtime, the
 * kernel gives the next store a time stamp of its own, and that makes the
 * inode dirty and the next msync write it: one more device write a batch.
 */
int syncq_data_unchanged(const struct syncq_data *data)
{
    struct statx status;

    if (statx(data->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_NLINK | STATX_SIZE,
              &status) != 0)
        return errno;
    if (status.stx_nlink == 0)
        return ENOENT; /* what is synced now would go with the last close */
    if (makedev(status.stx_dev_major, status.stx_dev_minor) != data->device ||
        status.stx_ino != data->inode || status.stx_size < data->file_size)
        return SYNCQ_ERR_TRUNCATED;
    return 0;
}

uint64_t syncq_data_segment_offset(const struct syncq_data *data,
                                   uint32_t segment)
{
    return SYNCQ_DATA_OFFSET + data->segment_size * segment;
}

int syncq_data_write_superblock(struct syncq_data *data,
                                const struct syncq_key *key)
{
    struct syncq_superblock superblock = data->superblock;
    uint8_t *copy;
    int result;

    superblock.generation++;
    syncq_superblock_seal(&superblock, key);
    copy = data->head_map + (superblock.generation & 1) * SYNCQ_PAGE_SIZE;
    memcpy(copy, &superblock, sizeof superblock);
    SYNCQ_FAILPOINT("superblock.stored");
    result = syncq_data_sync_map(data, copy, SYNCQ_PAGE_SIZE);
    SYNCQ_FAILPOINT("superblock.synced");
    if (result == 0)
        data->superblock = superblock;
    return result;
}

int syncq_data_write_segment_page(struct syncq_data *data,
                                  const struct syncq_key *key,
                                  struct syncq_segment_page *page)
{
    const uint64_t places[] = {data->segment_size - SYNCQ_PAGE_SIZE, 0};
    uint8_t *map;
    int result = syncq_data_map(data, page->number, &map);

    page->change++;
    syncq_segment_page_seal(page, key);
    for (size_t i = 0; i < 2 && result == 0; i++) {
        memcpy(map + places[i], page, sizeof *page);
        result = syncq_data_sync(data, page->number, places[i], sizeof *page);
        SYNCQ_FAILPOINT("segment-page.synced");
    }
    return result;
}

int syncq_data_read_segment_page(const struct syncq_data *data,
                                 const struct syncq_key *key, uint32_t segment,
                                 struct syncq_segment_page *page)
{
    const uint64_t places[] = {0, data->segment_size - SYNCQ_PAGE_SIZE};
    uint64_t start = syncq_data_segment_offset(data, segment);
    struct syncq_segment_page copy;
    int found = 0;

    for (size_t i = 0; i < 2; i++) {
        int result = syncq_file_read(data->fd, &copy, sizeof copy,
                                     (off_t)(start + places[i]));

        if (result != 0 || !syncq_segment_page_valid(&copy, key, segment))
            continue;
        if (!found || copy.change > page->change)
            *page = copy;
        found = 1;
    }
    return found ? 0 : SYNCQ_ERR_BAD_RECORD;
}
