/* SPDX-License-Identifier: MIT */
/*
 * disk_model.h - a disk with one arm, in memory or in a file
 *
 * Operations are carried out one after the other, in the order in which they
 * came.  A flush takes flush_ns; a read or write that does not begin where the
 * last one ended takes seek_ns; everything else takes no time.  The time is
 * slept while the arm is held, so that whoever comes next waits: that is the
 * model.  Any thread may call anything, all functions are for many threads.
 *
 * Nothing is lost here: what a power cut would leave is rebuilt from the write
 * log (write_log.h).  Errors are made to order: the n-th write or flush from
 * the moment of arming is answered with an errno, and a write then changes
 * nothing.  Results are 0 or a positive errno.
 */
#ifndef SYNCQ_TESTS_DISK_DISK_MODEL_H
#define SYNCQ_TESTS_DISK_DISK_MODEL_H

#include <stddef.h>
#include <stdint.h>

struct disk;

enum disk_operation { DISK_WRITE, DISK_FLUSH, DISK_OPERATION_COUNT };

struct disk_counters {
    uint64_t reads, read_bytes;
    uint64_t writes, write_bytes; /* without discards and zeros */
    uint64_t discards, flushes, seeks, marks;
    uint64_t errors;    /* made to order */
    uint64_t busy_ns;   /* charged for flushes and seeks */
    uint64_t log_count; /* entries of the write log; never set back */
};

/*
 * backing: a file, made if need be, or NULL for memory.  log: where the write
 * log goes, or NULL for none.
 */
int disk_open(uint64_t size, const char *backing, const char *log,
              struct disk **disk);
void disk_close(struct disk *disk);
uint64_t disk_size(const struct disk *disk);

/* The ranges have to lie on the disk: EINVAL. */
int disk_read(struct disk *disk, void *to, uint64_t offset, size_t length);
int disk_write(struct disk *disk, const void *from, uint64_t offset,
               size_t length);
int disk_flush(struct disk *disk);

/* Discard, or write zeros: the range reads as zeros.  Takes no time. */
int disk_discard(struct disk *disk, uint64_t offset, uint64_t length);
int disk_zero(struct disk *disk, uint64_t offset, uint64_t length);

/* Note text in the write log, after everything answered so far. */
int disk_mark(struct disk *disk, const char *text, size_t length);

void disk_set_flush_time(struct disk *disk, uint64_t time_ns);
void disk_set_seek_time(struct disk *disk, uint64_t time_ns);

/*
 * Answer the count-th operation from now on with error; always: that and every
 * later one.  count 0: no error any more.
 */
void disk_fail(struct disk *disk, enum disk_operation operation, uint64_t count,
               int error, int always);

void disk_counters_get(struct disk *disk, struct disk_counters *counters);
void disk_counters_reset(struct disk *disk);

#endif
