/* SPDX-License-Identifier: MIT */
/*
 * medium_wrap.c - the calls that change files or make them durable
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/medium.h"
#include "tests/faults/schedule.h"

enum { MAPPINGS_MAX = 256 };

void *__real_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset);
int __real_munmap(void *address, size_t size);
int __real_msync(void *address, size_t size, int flags);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_unlinkat(int fd, const char *name, int flags);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset);
int __wrap_munmap(void *address, size_t size);
int __wrap_msync(void *address, size_t size, int flags);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_unlinkat(int fd, const char *name, int flags);

struct mapping {
    const uint8_t *start;
    size_t size;
    int file;
    uint64_t offset;
};

static struct mapping mappings[MAPPINGS_MAX]; /* tasks run one at a time */

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd,
                  off_t offset)
{
    void *start = __real_mmap(address, size, protection, flags, fd, offset);
    int file;

    if (!medium_follows() || start == MAP_FAILED || fd < 0)
        return start;
    (void)medium_note();
    file = medium_find(fd);
    for (int i = 0; file >= 0 && i < MAPPINGS_MAX; i++)
        if (mappings[i].start == NULL) {
            mappings[i] = (struct mapping){start, size, file, (uint64_t)offset};
            return start;
        }
    if (file >= 0) {
        (void)fprintf(stderr, "medium: too many mappings\n");
        exit(1);
    }
    return start;
}

int __wrap_munmap(void *address, size_t size)
{
    if (medium_follows()) {
        (void)medium_note(); /* what was stored through it */
        medium_offer_point();
        for (int i = 0; i < MAPPINGS_MAX; i++)
            if (mappings[i].start == address)
                mappings[i].start = NULL;
    }
    return __real_munmap(address, size);
}

/*
 * A sync of a range: what is there when it starts is durable when it has
 * returned; what others store meanwhile may be on the medium or not.
 */
static int sync_range(int file, uint64_t offset, uint64_t size)
{
    uint64_t step = medium_note();

    medium_offer_point();
    schedule_pass_time();
    (void)medium_note();
    medium_offer_point();
    medium_synced(file, offset, size, step);
    medium_offer_point();
    schedule_yield();
    return 0;
}

int __wrap_msync(void *address, size_t size, int flags)
{
    const uint8_t *at = address;

    for (int i = 0; medium_follows() && i < MAPPINGS_MAX; i++) {
        const struct mapping *mapping = &mappings[i];

        if (mapping->start != NULL && at >= mapping->start &&
            at < mapping->start + mapping->size)
            return sync_range(mapping->file,
                              mapping->offset + (uint64_t)(at - mapping->start),
                              size);
    }
    return __real_msync(address, size, flags);
}

static int sync_file(int fd, int (*real)(int fd))
{
    int file;

    if (!medium_follows())
        return real(fd);
    (void)medium_note();
    file = medium_find(fd);
    return file == MEDIUM_NONE ? real(fd) : sync_range(file, 0, UINT64_MAX);
}

int __wrap_fsync(int fd)
{
    return sync_file(fd, __real_fsync);
}

int __wrap_fdatasync(int fd)
{
    return sync_file(fd, __real_fdatasync);
}

static void written(int fd, ssize_t result, off_t offset)
{
    int file;

    if (!medium_follows() || result <= 0)
        return;
    (void)medium_note();
    file = medium_find(fd);
    if (file >= 0 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
        (void)sync_range(file, (uint64_t)offset, (uint64_t)result);
    else
        medium_offer_point();
    schedule_yield();
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t result = __real_pwrite(fd, bytes, size, offset);

    written(fd, result, offset);
    return result;
}

/* A record is copied in pieces that the kernel may write one by one. */
ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset)
{
    ssize_t result;

    schedule_yield();
    if (medium_follows() && count > 1)
        count = 1 + count / 2;
    result = __real_pwritev(fd, pieces, count, offset);
    written(fd, result, offset);
    return result;
}

static int named(int result)
{
    if (medium_follows() && result == 0) {
        (void)medium_note();
        medium_offer_point();
        schedule_yield();
    }
    return result;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return named(__real_renameat(from_fd, from, to_fd, to));
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    return named(__real_unlinkat(fd, name, flags));
}
