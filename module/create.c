/* SPDX-License-Identifier: MIT */
/*
 * create.c - make the files of a new queue
 *
 * The data file gets its name last, so an interrupted create never looks like
 * a queue.
 *
 * Under its other name it is there, and locked, before any other file: where
 * nobody holds it, and there is no queue, a create was cut off, and what it
 * left is nobody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "module/channel.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/file.h"
#include "module/filesystem.h"
#include "module/fill.h"
#include "module/index.h"
#include "module/limits.h"
#include "module/queue_internal.h"
#include "module/segment_format.h"
#include "module/superblock_format.h"

#define DATA_FILE_NEW SYNCQ_DATA_FILE ".new"

enum { SEGMENT_COUNT_WANTED = 16 };

static int choose_sizes(const struct syncq_create_options *options,
                        struct syncq_superblock *superblock)
{
    uint64_t segment_size = options->segment_size;
    uint64_t count, entries;

    if (segment_size == 0) {
        segment_size = SYNCQ_SEGMENT_SIZE_DEFAULT;
        while (segment_size > SYNCQ_SEGMENT_SIZE_MIN &&
               options->size / segment_size < SEGMENT_COUNT_WANTED)
            segment_size /= 2;
    }
    if (segment_size < SYNCQ_SEGMENT_SIZE_MIN ||
        segment_size > SYNCQ_SEGMENT_SIZE_MAX ||
        segment_size % SYNCQ_DATA_OFFSET != 0)
        return SYNCQ_ERR_RANGE;
    count = options->size / segment_size;
    if (count < SYNCQ_SEGMENT_COUNT_MIN || count > SYNCQ_SEGMENT_COUNT_MAX)
        return SYNCQ_ERR_RANGE;
    entries = options->entry_count;
    if (entries == 0)
        entries = count * segment_size / SYNCQ_MESSAGE_SIZE_TYPICAL;
    if (entries < SYNCQ_ENTRY_COUNT_MIN || entries > SYNCQ_ENTRY_COUNT_MAX)
        return SYNCQ_ERR_RANGE;
    superblock->segment_size = segment_size;
    superblock->segment_count = (uint32_t)count;
    superblock->entry_count = (uint32_t)entries;
    superblock->file_size = SYNCQ_DATA_OFFSET + count * segment_size;
    return 0;
}

static int write_superblocks(int fd, const struct syncq_key *key,
                             struct syncq_superblock *superblock)
{
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++) {
        superblock->generation++;
        syncq_superblock_seal(superblock, key);
        result = syncq_file_write(
            fd, superblock, sizeof *superblock,
            (off_t)((superblock->generation & 1) * SYNCQ_PAGE_SIZE));
    }
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    return result;
}

static int create_data(int directory_fd, int fd, const struct syncq_key *key,
                       struct syncq_superblock *superblock,
                       const struct syncq_create_options *options)
{
    const struct syncq_fill_progress progress = {options->progress,
                                                 options->context};
    int result = syncq_fill_zeros(fd, 0, superblock->file_size, &progress);

    if (result == 0)
        result = syncq_fill_segments(fd, key, superblock, 0);
    if (result == 0)
        result = write_superblocks(fd, key, superblock);
    SYNCQ_FAILPOINT("create.superblocks-written");
    /* The fill left large folios in the page cache: see data_map.c. */
    if (result == 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (result == 0 && renameat(directory_fd, DATA_FILE_NEW, directory_fd,
                                SYNCQ_DATA_FILE) != 0)
        result = errno;
    SYNCQ_FAILPOINT("create.renamed");
    if (result == 0 && fsync(directory_fd) != 0)
        result = errno;
    if (result == 0 && options->progress != NULL)
        options->progress(superblock->file_size, superblock->file_size,
                          options->context);
    return result;
}

static int exists(int directory_fd, const char *name)
{
    return faccessat(directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* All but the data file; the one that says what they are goes last. */
static void remove_rest(int directory_fd)
{
    (void)unlinkat(directory_fd, SYNCQ_INDEX_FILE, 0);
    (void)unlinkat(directory_fd, SYNCQ_LATCH_FILE, 0);
    (void)unlinkat(directory_fd, SYNCQ_KEY_FILE, 0);
}

static void remove_all(int directory_fd)
{
    (void)unlinkat(directory_fd, SYNCQ_DATA_FILE, 0);
    remove_rest(directory_fd);
    (void)unlinkat(directory_fd, DATA_FILE_NEW, 0);
}

static int lock_file(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? SYNCQ_ERR_BUSY : errno;
}

/* Is there something that is not what a create left when it was cut off? */
static int refuse_existing(int directory_fd, int fd, int is_new)
{
    struct stat status;

    if (exists(directory_fd, SYNCQ_DATA_FILE) ||
        (is_new && (exists(directory_fd, SYNCQ_INDEX_FILE) ||
                    exists(directory_fd, SYNCQ_KEY_FILE) ||
                    exists(directory_fd, SYNCQ_LATCH_FILE))))
        return SYNCQ_ERR_EXISTS;
    if (fstat(fd, &status) != 0)
        return errno;
    return status.st_nlink == 0 ? SYNCQ_ERR_BUSY : 0; /* another one ended */
}

/* Begin: make and lock the data file under its other name. */
static int claim(int directory_fd, int *fd)
{
    struct stat status;
    int opened = -1;
    int result = syncq_file_create(directory_fd, DATA_FILE_NEW, &opened);
    int is_new = result == 0;

    if (result == EEXIST)
        result =
            syncq_file_open(directory_fd, DATA_FILE_NEW, 1, &opened, &status);
    if (result == 0)
        result = lock_file(opened);
    if (result == 0) {
        result = refuse_existing(directory_fd, opened, is_new);
        if (result != 0 && is_new)
            (void)unlinkat(directory_fd, DATA_FILE_NEW, 0);
    }
    if (result == 0) {
        remove_rest(directory_fd);
        if (ftruncate(opened, 0) != 0 || fsync(directory_fd) != 0)
            result = errno;
    }
    if (result != 0) {
        if (opened >= 0)
            close(opened);
        return result;
    }
    *fd = opened;
    return 0;
}

static int create_files(int directory_fd, int data_fd,
                        const struct syncq_create_options *options,
                        struct syncq_superblock *superblock)
{
    struct syncq_key key;
    int result;

    SYNCQ_FAILPOINT("create.claimed");
    /* The key is synced with its directory before the superblock names it. */
    result = syncq_key_create(directory_fd, &key);
    if (result != 0)
        return result;
    SYNCQ_FAILPOINT("create.key-made");
    memcpy(key.uuid, superblock->uuid, sizeof key.uuid);
    result = syncq_latch_create(directory_fd);
    SYNCQ_FAILPOINT("create.latch-made");
    if (result == 0)
        result = syncq_index_create(directory_fd, SYNCQ_INDEX_FILE,
                                    superblock->uuid, superblock->entry_count);
    SYNCQ_FAILPOINT("create.index-made");
    if (result == 0)
        result = create_data(directory_fd, data_fd, &key, superblock, options);
    syncq_key_clear(&key);
    return result;
}

int syncq_queue_create(const char *directory,
                       const struct syncq_create_options *options)
{
    struct syncq_superblock superblock = {.epoch = 0, .lsn_limit = 0};
    int directory_fd = -1, data_fd = -1;
    int result = choose_sizes(options, &superblock);

    if (result != 0)
        return result;
    result = syncq_directory_open(directory, &directory_fd);
    if (result != 0)
        return result == SYNCQ_ERR_NO_QUEUE ? ENOENT : result;
    if (!options->allow_any_filesystem)
        result = syncq_filesystem_check(directory_fd);
    if (result == 0 && sodium_init() < 0)
        result = EIO;
    if (result == 0)
        result = claim(directory_fd, &data_fd);
    if (result == 0) {
        randombytes_buf(superblock.uuid, sizeof superblock.uuid);
        superblock.created_us = syncq_date_us();
        superblock.lsn_limit = superblock.segment_size;
        result = create_files(directory_fd, data_fd, options, &superblock);
        if (result != 0)
            remove_all(directory_fd);
        close(data_fd);
    }
    close(directory_fd);
    return result;
}
