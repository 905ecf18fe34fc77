/* SPDX-License-Identifier: MIT */
/*
 * fill.h - write the segments of a data file that nobody uses yet (inside)
 *
 * Filled with zeros, not fallocated: the first msync of an unwritten extent
 * costs one more write and one more flush.
 */
#ifndef SYNCQ_FILL_H
#define SYNCQ_FILL_H

#include <stdint.h>

#include "module/key.h"
#include "module/superblock_format.h"

/* Called now and then with bytes done and to do; call may be NULL. */
struct syncq_fill_progress {
    void (*call)(uint64_t done, uint64_t total, void *context);
    void *context;
};

/* Zeros from start up to end, both multiples of SYNCQ_DATA_OFFSET; not synced.
 * ENOMEM, ENOSPC and other errno values. */
int syncq_fill_zeros(int fd, uint64_t start, uint64_t end,
                     const struct syncq_fill_progress *progress);

/* Write both pages of each segment from number first up to the superblock's
 * segment_count as free, then sync the file. */
int syncq_fill_segments(int fd, const struct syncq_key *key,
                        const struct syncq_superblock *superblock,
                        uint32_t first);

#endif
