/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/filesystem.h"
#include "module/fill.h"
#include "module/grow.h"
#include "module/grow_internal.h"
#include "module/index_extent.h"

enum { ADOPT_WAIT_MS = 30000, ADOPT_LOOK_US = 200000 };

struct grow {
    const struct syncq_grow_options *options;
    struct syncq_grow_report *report;
    struct syncq_queue *queue;
    struct syncq_superblock superblock; /* as it is to be */
    uint64_t data_size, index_size;     /* of the files in use, bytes */
    uint32_t index_count;               /* entries that the header names */
    int taken; /* what was written belongs to the helper now */
};

static int read_index_count(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    int result = syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                  &queue->index);

    if (result != 0)
        return result == SYNCQ_ERR_NO_QUEUE ? SYNCQ_ERR_INDEX : result;
    grow->index_count = queue->index.entry_count;
    grow->index_size = queue->index.map_size;
    return 0;
}

static int check_state(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    uint64_t latched_lsn;

    if (flock(queue->directory_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? SYNCQ_ERR_BUSY : errno;
    if (syncq_latch_read(queue->directory_fd, &latched_lsn) ==
        SYNCQ_ERR_LATCHED)
        return SYNCQ_ERR_LATCHED;
    return grow->options->allow_any_filesystem
               ? 0
               : syncq_filesystem_check(queue->data.fd);
}

/*
 * A grow that was cut off may have left the index behind the superblock.  The
 * next start would complete it while the same slots are written here, so that
 * is done first.
 */
static int settle(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    int result;

    if (grow->index_count >= queue->data.superblock.entry_count)
        return 0;
    result = syncq_data_lock(&queue->data, 1);
    if (result != 0)
        return result;
    result = syncq_grow_finish(queue);
    grow->index_count = queue->index.entry_count;
    grow->index_size = queue->index.map_size;
    syncq_data_unlock(&queue->data);
    return result;
}

/* The new sizes, by the rules of syncq_queue_create. */
static int choose_sizes(struct grow *grow)
{
    const struct syncq_grow_options *options = grow->options;
    struct syncq_superblock *superblock = &grow->superblock;
    struct syncq_grow_report *report = grow->report;
    uint64_t count, entries = options->entry_count;

    *superblock = grow->queue->data.superblock;
    report->segment_size = superblock->segment_size;
    report->segment_count = superblock->segment_count;
    report->entry_count = grow->index_count;
    count = options->size == 0 ? report->segment_count
                               : options->size / superblock->segment_size;
    if (entries == 0) {
        entries = count * superblock->segment_size / SYNCQ_MESSAGE_SIZE_TYPICAL;
        if (entries < report->entry_count)
            entries = report->entry_count;
    }
    if (count < report->segment_count || count > SYNCQ_SEGMENT_COUNT_MAX ||
        entries < report->entry_count || entries > SYNCQ_ENTRY_COUNT_MAX ||
        (count == report->segment_count && entries == report->entry_count))
        return SYNCQ_ERR_RANGE;
    superblock->segment_count = report->segment_count_new = (uint32_t)count;
    superblock->entry_count = report->entry_count_new = (uint32_t)entries;
    superblock->file_size =
        SYNCQ_DATA_OFFSET + superblock->segment_size * count;
    return 0;
}

/* What a file still takes of the disk; its old end may be allocated. */
static int add_needed(int fd, uint64_t size, uint64_t *needed)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return errno;
    if ((uint64_t)status.st_size < size)
        *needed += size - (uint64_t)status.st_size;
    return 0;
}

static int check_space(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    struct syncq_grow_report *report = grow->report;
    struct statvfs disk;
    int result = add_needed(queue->data.fd, grow->superblock.file_size,
                            &report->needed_size);

    if (result == 0)
        result = add_needed(queue->index.fd,
                            syncq_index_file_size(grow->superblock.entry_count),
                            &report->needed_size);
    if (result == 0 && fstatvfs(queue->data.fd, &disk) != 0)
        result = errno;
    if (result != 0)
        return result;
    report->available_size = (uint64_t)disk.f_bavail * disk.f_frsize;
    return report->needed_size > report->available_size ? ENOSPC : 0;
}

static int fill_index(struct grow *grow)
{
    return syncq_index_fill(grow->queue->index.fd, grow->queue->key.uuid,
                            grow->index_count, grow->superblock.entry_count);
}

static int fill(struct grow *grow)
{
    const struct syncq_fill_progress progress = {grow->options->progress,
                                                 grow->options->context};
    struct syncq_queue *queue = grow->queue;
    uint64_t end = grow->superblock.file_size;
    int result = 0;

    if (end > grow->data_size) {
        result =
            syncq_fill_zeros(queue->data.fd, grow->data_size, end, &progress);
        if (result == 0)
            result = syncq_fill_segments(queue->data.fd, &queue->key,
                                         &grow->superblock,
                                         grow->report->segment_count);
        /* The fill left large folios in the page cache: see data_map.c. */
        (void)posix_fadvise(queue->data.fd, (off_t)grow->data_size,
                            (off_t)(end - grow->data_size),
                            POSIX_FADV_DONTNEED);
    }
    return result == 0 ? fill_index(grow) : result;
}

/* A start during the fill found the index lost, and made a new one. */
static int fill_index_again(struct grow *grow)
{
    int result;

    syncq_index_close(&grow->queue->index);
    result = read_index_count(grow);
    return result == 0 ? fill_index(grow) : result;
}

/* Nobody was told of what lies above: give it back.  What cannot be cut off is
 * written again by the next grow. */
static void undo(struct grow *grow)
{
    if (ftruncate(grow->queue->data.fd, (off_t)grow->data_size) != 0 ||
        ftruncate(grow->queue->index.fd, (off_t)grow->index_size) != 0)
        errno = 0;
}

/* With the exclusive lock, so nobody else looks at either file. */
static int adopt_alone(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    uint32_t segment_count = grow->superblock.segment_count;
    uint32_t entry_count = grow->superblock.entry_count;
    int result;

    /* A helper may have been there meanwhile. */
    syncq_index_close(&queue->index);
    result = syncq_data_reread_superblock(&queue->data, &queue->key);
    if (result == 0)
        result = read_index_count(grow);
    if (result == 0)
        result = syncq_grow_check(queue, segment_count, entry_count);
    if (result != 0)
        return result;
    grow->taken = 1;
    result = syncq_grow_superblock(queue, segment_count, entry_count);
    return result == 0 ? syncq_grow_index(queue, entry_count) : result;
}

static int nobody_there(int result)
{
    return result == SYNCQ_ERR_NO_HELPER || result == SYNCQ_ERR_RECOVERING ||
           result == SYNCQ_ERR_DETACHED;
}

/* Who holds the data file alone may change it; else there is a helper, or one
 * is just starting or leaving. */
static int adopt(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    uint64_t end_us = syncq_clock_us() + ADOPT_WAIT_MS * UINT64_C(1000);

    for (;;) {
        int result = syncq_data_lock(&queue->data, 1);
        int taken = 0;

        if (result == 0) {
            result = adopt_alone(grow);
            syncq_data_unlock(&queue->data);
            return result;
        }
        if (result != SYNCQ_ERR_BUSY)
            return result;
        result = syncq_grow_ask(queue, grow->superblock.segment_count,
                                grow->superblock.entry_count, &taken);
        grow->taken |= taken;
        if (!nobody_there(result) || syncq_clock_us() >= end_us)
            return result;
        (void)usleep(ADOPT_LOOK_US); /* nothing tells when a lock is freed */
    }
}

static int prepare(struct grow *grow)
{
    struct syncq_queue *queue = grow->queue;
    int result = check_state(grow);

    if (result == 0)
        result = syncq_grow_withdraw(queue);
    /* What an earlier question made known is part of the queue by now. */
    if (result == 0)
        result = syncq_data_reread_superblock(&queue->data, &queue->key);
    if (result == 0)
        result = read_index_count(grow);
    if (result == 0)
        result = settle(grow);
    if (result != 0)
        return result;
    grow->data_size = queue->data.file_size;
    result = choose_sizes(grow);
    return result == 0 ? check_space(grow) : result;
}

int syncq_queue_grow(const char *directory, const char *run_directory,
                     const struct syncq_grow_options *options,
                     struct syncq_grow_report *report)
{
    struct grow grow = {.options = options, .report = report};
    int result =
        syncq_queue_open_files(directory, run_directory, 1, &grow.queue);

    *report = (struct syncq_grow_report){0};
    if (result != 0)
        return result;
    result = prepare(&grow);
    if (result == 0) {
        result = fill(&grow);
        if (result == 0)
            result = adopt(&grow);
        if (result == SYNCQ_ERR_INDEX) {
            result = fill_index_again(&grow);
            if (result == 0)
                result = adopt(&grow);
        }
        if (result != 0 && !grow.taken)
            undo(&grow);
    }
    if (result == 0 && options->progress != NULL)
        options->progress(1, 1, options->context);
    syncq_queue_close(grow.queue); /* and the directory's lock */
    return result;
}
