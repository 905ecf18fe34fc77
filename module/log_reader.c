/* SPDX-License-Identifier: MIT */
#include "module/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module/file.h"
#include "module/limits.h"

enum { /* bytes */
       WINDOW_SIZE = 1 << 20,
       WINDOW_SIZE_DIRECT = 8 << 20,
       AHEAD_SIZE = 2 << 20,
};

/* Pages, so that O_DIRECT can write into it. */
static int grow_window(struct syncq_log_reader *reader, size_t capacity)
{
    void *made;

    capacity = (capacity + SYNCQ_PAGE_SIZE - 1) & ~(SYNCQ_PAGE_SIZE - 1);
    made = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return ENOMEM;
    if (reader->window != NULL) {
        memcpy(made, reader->window, reader->size);
        munmap(reader->window, reader->capacity);
    }
    reader->window = made;
    reader->capacity = capacity;
    return 0;
}

/* A second open file of the same inode, which has flags of its own. */
static int open_direct(int fd)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

int syncq_log_reader_init(struct syncq_log_reader *reader, int fd, int direct)
{
    int result;

    memset(reader, 0, sizeof *reader);
    reader->fd = direct ? open_direct(fd) : -1;
    reader->direct = reader->fd >= 0;
    if (!reader->direct)
        reader->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (reader->fd < 0)
        return errno;
    result =
        grow_window(reader, reader->direct ? WINDOW_SIZE_DIRECT : WINDOW_SIZE);
    if (result == 0)
        return 0;
    close(reader->fd);
    reader->fd = -1;
    return result;
}

void syncq_log_reader_clear(struct syncq_log_reader *reader)
{
    if (reader->window != NULL)
        munmap(reader->window, reader->capacity);
    if (reader->fd >= 0)
        close(reader->fd);
    free(reader->bad);
    memset(reader, 0, sizeof *reader);
    reader->fd = -1;
}

void syncq_log_reader_restart(struct syncq_log_reader *reader)
{
    reader->size = 0;
}

/* Place in the list of unreadable pages of the first at or behind offset. */
static size_t find_bad(const struct syncq_log_reader *reader, uint64_t offset)
{
    size_t low = 0, high = reader->bad_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (reader->bad[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int remember_bad(struct syncq_log_reader *reader, uint64_t offset)
{
    size_t at = find_bad(reader, offset);

    if (at < reader->bad_count && reader->bad[at] == offset)
        return 0;
    if (reader->bad_count == reader->bad_capacity) {
        size_t capacity =
            reader->bad_capacity == 0 ? 64 : reader->bad_capacity * 2;
        uint64_t *grown = reallocarray(reader->bad, capacity, sizeof *grown);

        if (grown == NULL)
            return ENOMEM;
        reader->bad = grown;
        reader->bad_capacity = capacity;
    }
    memmove(&reader->bad[at + 1], &reader->bad[at],
            (reader->bad_count - at) * sizeof *reader->bad);
    reader->bad[at] = offset;
    reader->bad_count++;
    return 0;
}

uint64_t syncq_log_reader_bad_size(const struct syncq_log_reader *reader,
                                   uint64_t offset, uint64_t size)
{
    uint64_t bad = 0;

    for (size_t at = find_bad(reader, offset & ~(SYNCQ_PAGE_SIZE - 1));
         at < reader->bad_count && reader->bad[at] < offset + size; at++)
        bad += SYNCQ_PAGE_SIZE;
    return bad;
}

/* One large read; single pages only around the trouble. */
static int read_what_can_be(struct syncq_log_reader *reader, uint8_t *bytes,
                            uint64_t size, uint64_t offset)
{
    int result = 0;

    reader->read_size += size;
    if (syncq_file_read(reader->fd, bytes, size, (off_t)offset) == 0)
        return 0;
    for (uint64_t i = 0; i < size && result == 0; i += SYNCQ_PAGE_SIZE) {
        uint64_t rest = size - i < SYNCQ_PAGE_SIZE ? size - i : SYNCQ_PAGE_SIZE;

        if (syncq_file_read(reader->fd, bytes + i, rest, (off_t)(offset + i)) ==
            0)
            continue;
        memset(bytes + i, 0, rest);
        result = remember_bad(reader, offset + i);
    }
    return result;
}

/* Move the window to the page of offset and fill it, at least to needed. */
static int fill_window(struct syncq_log_reader *reader, uint64_t offset,
                       uint64_t needed, uint64_t end)
{
    uint64_t start = offset & ~(SYNCQ_PAGE_SIZE - 1);
    uint64_t kept = 0, have = reader->start + reader->size, size;
    int result = 0;

    if (start >= reader->start && start < have) {
        kept = have - start;
        memmove(reader->window, reader->window + (start - reader->start), kept);
    }
    reader->start = start;
    reader->size = kept;
    if (needed - start > reader->capacity)
        result = grow_window(reader, needed - start);
    if (result != 0)
        return result;
    size = end - start < reader->capacity ? end - start : reader->capacity;
    if (reader->progress != NULL)
        reader->progress(start, reader->context);
    result = read_what_can_be(reader, reader->window + kept, size - kept,
                              start + kept);
    /* The disk works on what comes next while this is checked. */
    if (!reader->direct && start + size < end)
        (void)posix_fadvise(reader->fd, (off_t)(start + size), AHEAD_SIZE,
                            POSIX_FADV_WILLNEED);
    if (result == 0)
        reader->size = size;
    return result;
}

int syncq_log_reader_get(struct syncq_log_reader *reader, uint64_t offset,
                         uint64_t size, uint64_t end, const uint8_t **bytes)
{
    int result = 0;

    if (offset > end || size > end - offset)
        return ERANGE;
    if (offset < reader->start || offset + size > reader->start + reader->size)
        result = fill_window(reader, offset, offset + size, end);
    if (result == 0)
        *bytes = reader->window + (offset - reader->start);
    return result;
}
