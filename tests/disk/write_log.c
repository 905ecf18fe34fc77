/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/disk/write_log.h"

struct file_head {
    char magic[8];
    uint32_t version, entry_size;
    uint64_t disk_size;
};

struct entry_head {
    uint32_t type, result;
    uint64_t number, time_ns, offset, length;
};

_Static_assert(sizeof(struct file_head) == 24, "format of the log");
_Static_assert(sizeof(struct entry_head) == 40, "format of the log");

struct write_log_writer {
    int fd;
    uint64_t count;
    int64_t begin_ns;
};

static int64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Write all of up to two pieces, however many calls it takes. */
static int write_all(int fd, struct iovec pieces[2])
{
    struct iovec *piece = pieces, *end = pieces + 2;

    while (piece < end) {
        ssize_t count = writev(fd, piece, (int)(end - piece));

        if (count < 0 && errno != EINTR)
            return errno;
        while (count >= 0 && piece < end && (size_t)count >= piece->iov_len)
            count -= (ssize_t)piece++->iov_len;
        if (count > 0) {
            piece->iov_base = (uint8_t *)piece->iov_base + count;
            piece->iov_len -= (size_t)count;
        }
    }
    return 0;
}

int write_log_create(const char *path, uint64_t disk_size,
                     struct write_log_writer **writer)
{
    struct write_log_writer *new = calloc(1, sizeof(*new));
    struct file_head head = {.version = WRITE_LOG_VERSION,
                             .entry_size = sizeof(struct entry_head),
                             .disk_size = disk_size};
    struct iovec pieces[2] = {{&head, sizeof(head)}, {NULL, 0}};
    int result;

    if (new == NULL)
        return ENOMEM;
    memcpy(head.magic, WRITE_LOG_MAGIC, sizeof(head.magic));
    new->begin_ns = clock_ns();
    new->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    result = new->fd < 0 ? errno : write_all(new->fd, pieces);
    if (result != 0) {
        write_log_finish(new);
        return result;
    }
    *writer = new;
    return 0;
}

static int has_data(uint32_t type)
{
    return type == WRITE_LOG_WRITE || type == WRITE_LOG_MARK;
}

int write_log_append(struct write_log_writer *writer,
                     const struct write_log_entry *entry)
{
    struct entry_head head = {
        .type = (uint32_t)entry->type,
        .result = (uint32_t)entry->result,
        .number = writer->count + 1,
        .time_ns = (uint64_t)(clock_ns() - writer->begin_ns),
        .offset = entry->offset,
        .length = entry->length,
    };
    struct iovec pieces[2] = {
        {&head, sizeof(head)},
        {(void *)(uintptr_t)entry->data,
         has_data(head.type) ? (size_t)entry->length : 0}};
    int result = write_all(writer->fd, pieces);

    if (result == 0)
        writer->count++;
    return result;
}

uint64_t write_log_count(const struct write_log_writer *writer)
{
    return writer->count;
}

void write_log_finish(struct write_log_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->fd >= 0)
        (void)close(writer->fd); /* nothing is promised about the log */
    free(writer);
}

static int map_file(const char *path, struct write_log *log)
{
    struct stat status;
    int result = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map;

    if (fd < 0)
        return errno;
    if (fstat(fd, &status) != 0) {
        result = errno;
    } else if ((size_t)status.st_size < sizeof(struct file_head)) {
        result = EBADMSG;
    } else {
        log->map_size = (size_t)status.st_size;
        map = mmap(NULL, log->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            result = errno;
        else
            log->map = map;
    }
    (void)close(fd);
    return result;
}

int write_log_open(const char *path, struct write_log *log)
{
    struct write_log opened = {0};
    struct file_head head;
    int result = map_file(path, &opened);

    if (result != 0)
        return result;
    memcpy(&head, opened.map, sizeof(head));
    if (memcmp(head.magic, WRITE_LOG_MAGIC, sizeof(head.magic)) != 0 ||
        head.version != WRITE_LOG_VERSION ||
        head.entry_size != sizeof(struct entry_head)) {
        write_log_close(&opened);
        return EBADMSG;
    }
    opened.disk_size = head.disk_size;
    *log = opened;
    return 0;
}

void write_log_close(struct write_log *log)
{
    if (log->map != NULL)
        (void)munmap((void *)(uintptr_t)log->map, log->map_size);
    log->map = NULL;
}

size_t write_log_first(const struct write_log *log)
{
    (void)log; /* of this version, always here */
    return sizeof(struct file_head);
}

static int head_is_valid(const struct write_log *log,
                         const struct entry_head *head)
{
    if (head->type < WRITE_LOG_WRITE || head->type > WRITE_LOG_MARK)
        return 0;
    if (head->type == WRITE_LOG_MARK || head->type == WRITE_LOG_FLUSH)
        return 1;
    return head->offset <= log->disk_size &&
           head->length <= log->disk_size - head->offset;
}

int write_log_next(const struct write_log *log, size_t *position,
                   struct write_log_entry *entry)
{
    size_t rest = log->map_size - *position, data_size;
    const uint8_t *at = log->map + *position;
    struct entry_head head;

    if (rest < sizeof(head))
        return ENODATA;
    memcpy(&head, at, sizeof(head));
    if (!head_is_valid(log, &head))
        return EBADMSG;
    data_size = has_data(head.type) ? (size_t)head.length : 0;
    if (data_size > rest - sizeof(head))
        return ENODATA;
    *position += sizeof(head) + data_size;
    *entry = (struct write_log_entry){
        .type = (enum write_log_type)head.type,
        .result = (int)head.result,
        .number = head.number,
        .time_ns = head.time_ns,
        .offset = head.offset,
        .length = head.length,
        .data = has_data(head.type) ? at + sizeof(head) : NULL,
    };
    return 0;
}
