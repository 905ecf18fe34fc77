/* SPDX-License-Identifier: MIT */
/*
 * retire.h - give back segments in which nothing is left to do
 *
 * The manager's part: find such a segment, carry its marks on, and ask.  The
 * helper then checks again, marks the segment free on disk and gives the slots
 * back.  Any retired segment is used again, in any order, so old mail in one
 * segment does not keep the others.
 *
 * While a segment is being emptied, none with a higher base is retired: copies
 * of its records are there (relocate.h).
 */
#ifndef SYNCQ_RETIRE_H
#define SYNCQ_RETIRE_H

#include <stdint.h>

#include "module/marks.h"
#include "module/queue.h"

/*
 * Find the oldest segment without a live part; the one that is being emptied
 * counts, too.  *marks is the present
 * state of each part that its marks records name and whose own record lies in
 * another segment: append them all and wait until they are durable, then ask.
 * The caller frees *marks; it is NULL when *mark_count is 0.  Only the holder
 * of the manager lock calls this; it reads the whole index.
 * SYNCQ_ERR_SEGMENTS_FULL: no segment can be retired now.  ENOMEM.
 */
int syncq_retire_find(struct syncq_queue *queue, uint32_t *segment,
                      struct syncq_mark **marks, uint32_t *mark_count);

/* Ask the helper.  Returns at once. */
void syncq_retire_ask(struct syncq_queue *queue, uint32_t segment);

/*
 * Ask the helper to say `emptying` on the page of a closed segment, before the
 * first record of it is copied.  SYNCQ_ERR_BAD_RECORD: there is damage in the
 * segment, which is kept for the administrator; ENOMEM.  Reads the segment.
 */
int syncq_retire_ask_emptying(struct syncq_queue *queue, uint32_t segment);

/*
 * Wait up to timeout_ms until the helper has answered: 0, it did what was
 * asked; SYNCQ_ERR_BUSY: it refused; SYNCQ_ERR_TIMEOUT.
 */
int syncq_retire_wait(struct syncq_queue *queue, uint32_t segment,
                      int timeout_ms);

#endif
