/* SPDX-License-Identifier: MIT */
/*
 * grow_internal.h - the steps of a grow (inside the module and the helper)
 */
#ifndef SYNCQ_GROW_INTERNAL_H
#define SYNCQ_GROW_INTERNAL_H

#include "module/queue_internal.h"

/*
 * Is everything in the files that so many segments and entries need?  Nothing
 * in the numbers is believed.  SYNCQ_ERR_RANGE: fewer than there are, or above
 * the limits; SYNCQ_ERR_TRUNCATED, _HOLES: the data file is too short, or not
 * written; SYNCQ_ERR_BAD_RECORD: a new segment is not free; SYNCQ_ERR_INDEX:
 * the index file is too short.
 */
int syncq_grow_check(struct syncq_queue *queue, uint32_t segment_count,
                     uint32_t entry_count);

/*
 * Name what was checked, in the superblock; then in the index.  By the helper,
 * or under the exclusive lock.  Doing either again changes nothing.
 */
int syncq_grow_superblock(struct syncq_queue *queue, uint32_t segment_count,
                          uint32_t entry_count);
int syncq_grow_index(struct syncq_queue *queue, uint32_t entry_count);

/* After a crash between the two: write the entries that the index lacks. */
int syncq_grow_finish(struct syncq_queue *queue);

/*
 * Ask the helper.  The caller holds the directory's lock.  *taken: it began,
 * so the files are its own.  SYNCQ_ERR_NO_HELPER, _RECOVERING, _DETACHED:
 * nobody is there to answer; SYNCQ_ERR_LATCHED, _TIMEOUT, or its answer.
 */
int syncq_grow_ask(struct syncq_queue *queue, uint32_t segment_count,
                   uint32_t entry_count, int *taken);

/* Nobody may be at work for an asker that is gone: take its question back.
 * SYNCQ_ERR_BUSY: the helper is. */
int syncq_grow_withdraw(struct syncq_queue *queue);

#endif
