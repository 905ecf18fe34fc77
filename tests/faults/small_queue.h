/* SPDX-License-Identifier: MIT */
/*
 * small_queue.h - a queue of some hundred KiB, so that a case takes
 * milliseconds
 *
 * The smallest segment that a queue may have is SYNCQ_SEGMENT_SIZE_MIN; here
 * it is some pages.  Linked with -Wl,--wrap=syncq_superblock_check, which lets
 * such a queue through and judges all else as ever.
 */
#ifndef SYNCQ_FAULTS_SMALL_QUEUE_H
#define SYNCQ_FAULTS_SMALL_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/queue_fixture.h"

#define SMALL_SEGMENT_SIZE (16 * SYNCQ_PAGE_SIZE)
#define SMALL_ENTRY_COUNT  SYNCQ_ENTRY_COUNT_MIN

/* Before the first queue: temporary files in memory, unless TMPDIR says
 * where, and what the fixture needs. */
void small_queue_begin(void);
void small_queue_end(void);

/* An empty queue with segments of segment_size bytes, a multiple of the
 * page. */
struct fixture *small_queue_new(uint64_t segment_size, uint32_t segment_count);

/* The next segment starts at this LSN, a multiple of the segment's size.  Only
 * for a queue that was never used. */
void small_queue_set_limit(struct fixture *fixture, uint64_t lsn_limit);

/* ---- whole files in memory ---- */

struct file_copy {
    uint8_t *bytes;
    size_t size;
};

void file_copy_take(struct file_copy *copy, const struct fixture *fixture,
                    const char *name);
/* Write it over a file of the queue, which then has just this size. */
void file_copy_put(const struct file_copy *copy, const struct fixture *fixture,
                   const char *name);
void file_copy_clear(struct file_copy *copy);

#endif
