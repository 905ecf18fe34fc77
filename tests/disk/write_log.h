/* SPDX-License-Identifier: MIT */
/*
 * write_log.h - everything a disk was asked to change, in order
 *
 * The model disk writes one; crash_image.h rebuilds from it what a power cut
 * at any place may have left.  Integers are little-endian.
 *
 *   offset  size  field        the file begins with
 *        0     8  magic        WRITE_LOG_MAGIC
 *        8     4  version      WRITE_LOG_VERSION
 *       12     4  entry_size   of the head of an entry: 40
 *       16     8  disk_size    bytes; before the first entry all are zero
 *
 *   offset  size  field        then entries, each right behind the last one
 *        0     4  type         enum write_log_type
 *        4     4  result       0, or the errno the disk answered with
 *        8     8  number       of the entry, from 1 on
 *       16     8  time_ns      since the log was begun
 *       24     8  offset       on the disk; 0 for flush and mark
 *       32     8  length       bytes; 0 for flush
 *       40  length  data       of write and mark only; not padded
 *
 * The order is the one in which the disk carried the operations out, one after
 * the other.  A flush with result 0 makes every entry before it durable.  A
 * write with another result may have reached the medium, whole or in part; a
 * flush with another result promises nothing.  A mark is text of whoever drives
 * the test ("mail 17 was confirmed here") and changes nothing.
 *
 * An entry is handed to the kernel whole before the disk answers, so a reader
 * sees everything that was answered, also while the disk is in use.
 */
#ifndef SYNCQ_TESTS_DISK_WRITE_LOG_H
#define SYNCQ_TESTS_DISK_WRITE_LOG_H

#include <stddef.h>
#include <stdint.h>

#define WRITE_LOG_MAGIC   "SYNCQWL\n"
#define WRITE_LOG_VERSION 1

enum write_log_type {
    WRITE_LOG_WRITE = 1,
    WRITE_LOG_FLUSH,
    WRITE_LOG_DISCARD, /* reads as zeros afterwards, like zero */
    WRITE_LOG_ZERO,
    WRITE_LOG_MARK
};

struct write_log_entry {
    enum write_log_type type;
    int result;
    uint64_t number, time_ns, offset, length;
    const uint8_t *data; /* into the log, until it is closed; NULL if none */
};

struct write_log_writer;

/*
 * Begin a log in a new or emptied file.  0, or an errno.  Not for several
 * threads at once.
 */
int write_log_create(const char *path, uint64_t disk_size,
                     struct write_log_writer **writer);

/*
 * Append an entry; its number and time are filled in here.  0, or an errno,
 * after which the log is of no use.
 */
int write_log_append(struct write_log_writer *writer,
                     const struct write_log_entry *entry);

/* Entries so far. */
uint64_t write_log_count(const struct write_log_writer *writer);

void write_log_finish(struct write_log_writer *writer);

/* A log as it was when it was opened; fields are for reading. */
struct write_log {
    uint64_t disk_size;
    const uint8_t *map;
    size_t map_size;
};

/* 0, an errno, or EBADMSG: not a log. */
int write_log_open(const char *path, struct write_log *log);
void write_log_close(struct write_log *log);

/* Where the first entry begins, for write_log_next. */
size_t write_log_first(const struct write_log *log);

/*
 * The entry at *position, which moves on.  0; ENODATA: the log ends here,
 * maybe within an entry; EBADMSG: what is here cannot be an entry.
 */
int write_log_next(const struct write_log *log, size_t *position,
                   struct write_log_entry *entry);

#endif
