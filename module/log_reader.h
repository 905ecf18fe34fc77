/* SPDX-License-Identifier: MIT */
/*
 * log_reader.h - read a data file from front to back (inside the module)
 *
 * A window of the file is read ahead in large pieces, so that what is checked
 * still lies in the processor's cache.  It grows only for a record that is
 * larger.  What cannot be read is zeros, which hold no valid record, and is
 * remembered.  One thread at a time.
 */
#ifndef SYNCQ_LOG_READER_H
#define SYNCQ_LOG_READER_H

#include <stddef.h>
#include <stdint.h>

struct syncq_log_reader {
    int fd;     /* -1: not open */
    int direct; /* past the page cache, with O_DIRECT */
    uint8_t *window;
    size_t capacity;
    uint64_t start, size; /* file offsets of what the window holds */
    uint64_t read_size;   /* bytes read so far, those in vain, too */
    uint64_t *bad;        /* file offsets of unreadable pages, rising */
    size_t bad_count, bad_capacity;
    uint64_t record_offset; /* of the record that a visitor is shown */
    /* Told the file offset now and then; may be NULL. */
    void (*progress)(uint64_t offset, void *context);
    void *context;
};

/*
 * Read the file of this descriptor, which stays the caller's.  direct: past
 * the page cache if the file system can do that; then reader->direct says
 * whether it does, and dirty pages of the file are written first.  ENOMEM.
 */
int syncq_log_reader_init(struct syncq_log_reader *reader, int fd, int direct);
void syncq_log_reader_clear(struct syncq_log_reader *reader);

/*
 * Have size bytes at offset; *bytes is valid until the next call.  Nothing at
 * or behind end, which the file must reach, is read.  Offsets may go back.
 * ENOMEM.
 */
int syncq_log_reader_get(struct syncq_log_reader *reader, uint64_t offset,
                         uint64_t size, uint64_t end, const uint8_t **bytes);

/* Forget what was read: the file may have changed. */
void syncq_log_reader_restart(struct syncq_log_reader *reader);

/* How many bytes of this range could not be read; counts whole pages. */
uint64_t syncq_log_reader_bad_size(const struct syncq_log_reader *reader,
                                   uint64_t offset, uint64_t size);

#endif
