/* SPDX-License-Identifier: MIT */
/*
 * retire.h - give back segments in which nothing is left to do
 *
 * When half of the segments or entries are in use, the oldest segment without
 * a live part is looked for, its marks are carried on, and the helper is asked
 * to free it: one at a time, in the committer's thread.
 */
#ifndef SYNCQ_QMGR_RETIRE_H
#define SYNCQ_QMGR_RETIRE_H

struct backlog;
struct retire;

struct retire *retire_new(struct backlog *backlog);
/* After the committer's end; NULL is fine. */
void retire_free(struct retire *retire);

#endif
