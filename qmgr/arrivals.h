/* SPDX-License-Identifier: MIT */
/*
 * arrivals.h - notices of the milter about new mail
 *
 * A FIFO that may lose notices when it is full: a counter in the channel tells
 * that, and then the index is walked.
 */
#ifndef SYNCQ_QMGR_ARRIVALS_H
#define SYNCQ_QMGR_ARRIVALS_H

struct arrivals;
struct backlog;

/* Open the FIFO and forget old notices; before the first walk.  0 or error. */
int arrivals_new(struct backlog *backlog, struct arrivals **arrivals);
void arrivals_free(struct arrivals *arrivals);

/* Read everything that is there.  Nothing when the queue is not open. */
void arrivals_drain(struct backlog *backlog);

#endif
