/* SPDX-License-Identifier: MIT */
/*
 * kill_medium.c - what is on the medium after each sync
 *
 * Linked with -Wl,--wrap=msync,--wrap=fsync,--wrap=pwritev.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/kill_world.h"

int __real_msync(void *address, size_t size, int flags);
int __real_fsync(int fd);
ssize_t __real_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);
int __wrap_msync(void *address, size_t size, int flags);
int __wrap_fsync(int fd);
ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);

static struct {
    struct world *world;
    struct fixture *fixture;
    int data_fd, index_fd; /* of the medium */
} medium = {NULL, NULL, -1, -1};

static int open_file(const struct fixture *fixture, const char *name)
{
    int fd = open(fixture_path(fixture, name), O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        perror(fixture_path(fixture, name));
        exit(1);
    }
    return fd;
}

void medium_use(struct world *world, struct fixture *fixture,
                const struct fixture *copy)
{
    if (medium.data_fd >= 0)
        close(medium.data_fd);
    if (medium.index_fd >= 0)
        close(medium.index_fd);
    medium.data_fd = medium.index_fd = -1;
    medium.world = world;
    medium.fixture = fixture;
    if (copy == NULL)
        return;
    medium.data_fd = open_file(copy, SYNCQ_DATA_FILE);
    medium.index_fd = open_file(copy, SYNCQ_INDEX_FILE);
}

static int inside(const uint8_t *map, uint64_t size, const uint8_t *address)
{
    return map != NULL && address >= map && address < map + size;
}

/* Where in the medium's files does this address lie?  0: in none. */
static int find_place(const uint8_t *address, int *fd, uint64_t *offset,
                      int *is_segment)
{
    const struct syncq_queue *queue = medium.fixture->helper.queue;

    *is_segment = 0;
    if (queue == NULL)
        return 0;
    if (inside(queue->index.map, queue->index.map_size, address)) {
        *fd = medium.index_fd;
        *offset = (uint64_t)(address - queue->index.map);
        return 1;
    }
    *fd = medium.data_fd;
    if (inside(queue->data.head_map, 2 * SYNCQ_PAGE_SIZE, address)) {
        *offset = (uint64_t)(address - queue->data.head_map);
        return 1;
    }
    for (uint32_t i = 0; queue->data.maps && i < queue->data.segment_count;
         i++) {
        const uint8_t *map = atomic_load(&queue->data.maps[i]);

        if (!inside(map, queue->data.segment_size, address))
            continue;
        *offset = syncq_data_segment_offset(&queue->data, i) +
                  (uint64_t)(address - map);
        *is_segment = 1;
        return 1;
    }
    return 0;
}

static void put(int fd, const void *bytes, size_t size, uint64_t offset)
{
    if (pwrite(fd, bytes, size, (off_t)offset) != (ssize_t)size) {
        perror("medium");
        _exit(98);
    }
}

int __wrap_msync(void *address, size_t size, int flags)
{
    uint64_t offset = 0;
    int fd = -1, is_segment = 0;
    int found =
        medium.data_fd >= 0 && find_place(address, &fd, &offset, &is_segment);

    if (found && is_segment && atomic_exchange(&medium.world->fail_sync, 0)) {
        errno = EIO;
        return -1;
    }
    if (__real_msync(address, size, flags) != 0)
        return -1;
    if (found)
        put(fd, address, size, offset);
    return 0;
}

/* An index made anew is on the medium when its file is. */
static void copy_new_index(int fd)
{
    static const char name[] = SYNCQ_INDEX_FILE ".new";
    char link[64], path[1024] = "", chunk[1 << 16];
    ssize_t length, count;
    off_t at = 0;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length <= (ssize_t)strlen(name) ||
        strcmp(path + length - strlen(name), name) != 0)
        return;
    while ((count = pread(fd, chunk, sizeof chunk, at)) > 0) {
        put(medium.index_fd, chunk, (size_t)count, (uint64_t)at);
        at += count;
    }
}

int __wrap_fsync(int fd)
{
    int result = __real_fsync(fd);

    if (result == 0 && medium.index_fd >= 0 &&
        medium.fixture->helper.queue != NULL)
        copy_new_index(fd);
    return result;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset)
{
    if (medium.world != NULL && atomic_exchange(&medium.world->fail_write, 0)) {
        errno = EIO;
        return -1;
    }
    return __real_pwritev(fd, pieces, count, offset);
}
