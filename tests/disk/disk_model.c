/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/disk/disk_model.h"
#include "tests/disk/write_log.h"

#define NS_PER_S 1000000000

struct fault {
    uint64_t count; /* operations until it strikes; 0: not armed */
    int error, always;
};

struct disk {
    uint64_t size;
    int store;             /* a sparse file, or memory behind a descriptor */
    pthread_mutex_t mutex; /* guards the queue for the arm, nothing else */
    pthread_cond_t turn;
    uint64_t ticket_next, ticket_now;
    /* All below belongs to whoever holds the arm. */
    int64_t free_ns;   /* until then the last operation took */
    uint64_t position; /* where it ended */
    uint64_t flush_ns, seek_ns;
    struct fault faults[DISK_OPERATION_COUNT];
    struct disk_counters counters;
    struct write_log_writer *log;
};

static int64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Wait for the arm, first come first served; returns when the caller came. */
static int64_t arm_take(struct disk *disk)
{
    int64_t came_ns = clock_ns();
    uint64_t ticket;

    (void)pthread_mutex_lock(&disk->mutex);
    ticket = disk->ticket_next++;
    while (disk->ticket_now != ticket)
        (void)pthread_cond_wait(&disk->turn, &disk->mutex);
    (void)pthread_mutex_unlock(&disk->mutex);
    return came_ns;
}

static void arm_release(struct disk *disk)
{
    (void)pthread_mutex_lock(&disk->mutex);
    disk->ticket_now++;
    (void)pthread_cond_broadcast(&disk->turn);
    (void)pthread_mutex_unlock(&disk->mutex);
}

/*
 * Let an operation take its time.  Who has been waiting begins when the last
 * one ended, not when its thread woke up, or the machine's load would add up.
 */
static void arm_work(struct disk *disk, int64_t came_ns, uint64_t time_ns)
{
    int64_t begin_ns = came_ns > disk->free_ns ? clock_ns() : disk->free_ns;
    struct timespec until;

    if (time_ns == 0)
        return;
    disk->counters.busy_ns += time_ns;
    disk->free_ns = begin_ns + (int64_t)time_ns;
    until.tv_sec = disk->free_ns / NS_PER_S;
    until.tv_nsec = disk->free_ns % NS_PER_S;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
           EINTR)
        ;
}

/* Charge a seek unless the range goes on where the last one ended. */
static void arm_move(struct disk *disk, int64_t came_ns, uint64_t offset,
                     size_t length)
{
    uint64_t cost_ns = 0;

    if (offset != disk->position) {
        disk->counters.seeks++;
        cost_ns = disk->seek_ns;
    }
    disk->position = offset + length;
    arm_work(disk, came_ns, cost_ns);
}

/* The error that this operation has to end with, or 0. */
static int fault_take(struct disk *disk, enum disk_operation operation)
{
    struct fault *fault = &disk->faults[operation];

    if (fault->count == 0)
        return 0;
    if (fault->count > 1) {
        fault->count--;
        return 0;
    }
    if (!fault->always)
        fault->count = 0;
    disk->counters.errors++;
    return fault->error;
}

/* A disk whose log cannot be written fails: the log would be believed. */
static int note(struct disk *disk, const struct write_log_entry *entry)
{
    int result;

    if (disk->log == NULL)
        return entry->result;
    result = write_log_append(disk->log, entry);
    return result != 0 ? result : entry->result;
}

static int is_inside(const struct disk *disk, uint64_t offset, uint64_t length)
{
    return offset <= disk->size && length <= disk->size - offset;
}

static int store_write(int fd, const uint8_t *from, uint64_t offset,
                       size_t length)
{
    while (length > 0) {
        ssize_t count = pwrite(fd, from, length, (off_t)offset);

        if (count < 0 && errno != EINTR)
            return errno;
        if (count > 0) {
            from += count;
            offset += (uint64_t)count;
            length -= (size_t)count;
        }
    }
    return 0;
}

static int store_read(int fd, uint8_t *to, uint64_t offset, size_t length)
{
    while (length > 0) {
        ssize_t count = pread(fd, to, length, (off_t)offset);

        if (count < 0 && errno != EINTR)
            return errno;
        if (count == 0)
            return EIO; /* somebody has cut the backing file */
        if (count > 0) {
            to += count;
            offset += (uint64_t)count;
            length -= (size_t)count;
        }
    }
    return 0;
}

static int store_open(uint64_t size, const char *backing, int *store)
{
    int fd = backing != NULL ? open(backing, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
                             : memfd_create("disk", MFD_CLOEXEC);

    if (fd < 0)
        return errno;
    if (ftruncate(fd, (off_t)size) != 0) {
        int result = errno;

        (void)close(fd);
        return result;
    }
    *store = fd;
    return 0;
}

int disk_open(uint64_t size, const char *backing, const char *log,
              struct disk **disk)
{
    struct disk *new = calloc(1, sizeof(*new));
    int result;

    if (new == NULL)
        return ENOMEM;
    new->size = size;
    new->store = -1;
    (void)pthread_mutex_init(&new->mutex, NULL);
    (void)pthread_cond_init(&new->turn, NULL);
    result = store_open(size, backing, &new->store);
    if (result == 0 && log != NULL)
        result = write_log_create(log, size, &new->log);
    if (result != 0) {
        disk_close(new);
        return result;
    }
    *disk = new;
    return 0;
}

void disk_close(struct disk *disk)
{
    if (disk == NULL)
        return;
    write_log_finish(disk->log);
    if (disk->store >= 0)
        (void)close(disk->store); /* memory, or a file nobody relies on */
    (void)pthread_cond_destroy(&disk->turn);
    (void)pthread_mutex_destroy(&disk->mutex);
    free(disk);
}

uint64_t disk_size(const struct disk *disk)
{
    return disk->size;
}

int disk_read(struct disk *disk, void *to, uint64_t offset, size_t length)
{
    int64_t came_ns;
    int result;

    if (!is_inside(disk, offset, length))
        return EINVAL;
    came_ns = arm_take(disk);
    arm_move(disk, came_ns, offset, length);
    result = store_read(disk->store, to, offset, length);
    disk->counters.reads++;
    disk->counters.read_bytes += length;
    arm_release(disk);
    return result;
}

int disk_write(struct disk *disk, const void *from, uint64_t offset,
               size_t length)
{
    struct write_log_entry entry = {.type = WRITE_LOG_WRITE,
                                    .offset = offset,
                                    .length = length,
                                    .data = from};
    int64_t came_ns;
    int result;

    if (!is_inside(disk, offset, length))
        return EINVAL;
    came_ns = arm_take(disk);
    arm_move(disk, came_ns, offset, length);
    entry.result = fault_take(disk, DISK_WRITE);
    if (entry.result == 0)
        entry.result = store_write(disk->store, from, offset, length);
    disk->counters.writes++;
    disk->counters.write_bytes += length;
    result = note(disk, &entry);
    arm_release(disk);
    return result;
}

int disk_flush(struct disk *disk)
{
    struct write_log_entry entry = {.type = WRITE_LOG_FLUSH};
    int64_t came_ns = arm_take(disk);
    int result;

    arm_work(disk, came_ns, disk->flush_ns);
    entry.result = fault_take(disk, DISK_FLUSH);
    disk->counters.flushes++;
    result = note(disk, &entry);
    arm_release(disk);
    return result;
}

static int make_zero(struct disk *disk, enum write_log_type type,
                     uint64_t offset, uint64_t length)
{
    struct write_log_entry entry = {
        .type = type, .offset = offset, .length = length};
    int result;

    if (!is_inside(disk, offset, length))
        return EINVAL;
    (void)arm_take(disk);
    if (fallocate(disk->store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)offset, (off_t)length) != 0)
        entry.result = errno;
    disk->counters.discards++;
    result = note(disk, &entry);
    arm_release(disk);
    return result;
}

int disk_discard(struct disk *disk, uint64_t offset, uint64_t length)
{
    return make_zero(disk, WRITE_LOG_DISCARD, offset, length);
}

int disk_zero(struct disk *disk, uint64_t offset, uint64_t length)
{
    return make_zero(disk, WRITE_LOG_ZERO, offset, length);
}

int disk_mark(struct disk *disk, const char *text, size_t length)
{
    struct write_log_entry entry = {.type = WRITE_LOG_MARK,
                                    .length = length,
                                    .data = (const uint8_t *)text};
    int result;

    (void)arm_take(disk);
    disk->counters.marks++;
    result = note(disk, &entry);
    arm_release(disk);
    return result;
}

void disk_set_flush_time(struct disk *disk, uint64_t time_ns)
{
    (void)arm_take(disk);
    disk->flush_ns = time_ns;
    arm_release(disk);
}

void disk_set_seek_time(struct disk *disk, uint64_t time_ns)
{
    (void)arm_take(disk);
    disk->seek_ns = time_ns;
    arm_release(disk);
}

void disk_fail(struct disk *disk, enum disk_operation operation, uint64_t count,
               int error, int always)
{
    (void)arm_take(disk);
    disk->faults[operation] = (struct fault){count, error, always};
    arm_release(disk);
}

void disk_counters_get(struct disk *disk, struct disk_counters *counters)
{
    (void)arm_take(disk);
    if (disk->log != NULL)
        disk->counters.log_count = write_log_count(disk->log);
    *counters = disk->counters;
    arm_release(disk);
}

void disk_counters_reset(struct disk *disk)
{
    (void)arm_take(disk);
    disk->counters = (struct disk_counters){0};
    arm_release(disk);
}
