/* SPDX-License-Identifier: MIT */
/*
 * grow.h - make a queue larger, whether anything runs or not
 *
 * The data file gets more segments at its end and the index more entries.
 * What is new is written and synced while nobody knows of it; then the
 * superblock names it, and after that the header of the index.  A crash at any
 * point leaves the old queue or the new one: a file may be longer than it
 * says, and a start gives an index that is shorter than the superblock says
 * the entries that it lacks.
 *
 * While a sync helper serves the queue, it alone writes the superblock, and is
 * asked through the channel.  All programs go on; they see what is new when
 * they first meet it.
 */
#ifndef SYNCQ_GROW_H
#define SYNCQ_GROW_H

#include <stdint.h>

#include "module/queue.h"

struct syncq_grow_options {
    uint64_t size;        /* bytes for segments in all, rounded down to whole
                             ones; 0: as it is */
    uint32_t entry_count; /* in all; 0: one for each 4 KiB, if that is more */
    int allow_any_filesystem; /* tests only: skip the file system check */
    /* Called now and then with bytes done and to do; may be NULL. */
    void (*progress)(uint64_t done, uint64_t total, void *context);
    void *context;
};

/* What was found and what it was to become; for a person to read. */
struct syncq_grow_report {
    uint64_t segment_size;
    uint32_t segment_count, entry_count; /* before; 0: not found out */
    uint32_t segment_count_new, entry_count_new;
    uint64_t needed_size;    /* bytes that the disk must have free */
    uint64_t available_size; /* bytes that it has */
};

/*
 * Grow, as the owner of the files.  One at a time for each queue.  On success
 * what is new is durable and in use.  Refused before anything is changed:
 * SYNCQ_ERR_RANGE (something is smaller than it is or above its limit, or
 * nothing is larger), ENOSPC with the report's sizes, SYNCQ_ERR_FILESYSTEM,
 * SYNCQ_ERR_LATCHED, SYNCQ_ERR_BUSY (another grow), and all that
 * syncq_queue_open says of the files.  SYNCQ_ERR_INDEX: there is no good index;
 * the helper makes one when it starts.  ENOSPC, EIO and other errno values
 * while it is written: the files are cut back.  SYNCQ_ERR_TIMEOUT: the helper
 * does not answer.
 */
int syncq_queue_grow(const char *directory, const char *run_directory,
                     const struct syncq_grow_options *options,
                     struct syncq_grow_report *report);

#endif
