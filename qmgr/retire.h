/* SPDX-License-Identifier: MIT */
/*
 * retire.h - give back one segment in which nothing is left to do
 */
#ifndef SYNCQ_QMGR_RETIRE_H
#define SYNCQ_QMGR_RETIRE_H

struct syncq_queue;

/*
 * In the committer's thread: find the oldest segment without a live part,
 * carry its marks on, have the helper free it and wait for that.
 * SYNCQ_ERR_SEGMENTS_FULL: there is none; SYNCQ_ERR_TIMEOUT: the helper does
 * not answer; SYNCQ_ERR_BUSY: it refused, somebody is at work there.
 */
int retire_one(struct syncq_queue *queue);

#endif
