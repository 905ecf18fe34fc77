/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - threads that run one at a time, in an order that a seed decides
 *
 * Between begin and end, a thread that begin was called in and every thread
 * made by it or by those are tasks: one of them runs, the others wait.  The
 * turn changes only where a task waits, locks, asks for the time, or calls
 * schedule_yield.  Time stands still while anybody can run, and then jumps to
 * the next deadline.  So the same seed gives the same run, whatever the
 * machine does.
 *
 * Linked with --wrap for each function that is wrapped in schedule.c.
 */
#ifndef SYNCQ_FAULTS_SCHEDULE_H
#define SYNCQ_FAULTS_SCHEDULE_H

#include "tests/faults/findings.h"

/* The calling thread becomes the first task. */
void schedule_begin(const struct chance *chance);
/* All other tasks have ended and been joined. */
void schedule_end(void);

/* Let another task run, perhaps. */
void schedule_yield(void);

/* Let the others run for a while, as long as a sync may take. */
void schedule_pass_time(void);

/* From off to on: threads run freely, and what the calling task starts
 * meanwhile is no task; it has to end before. */
void schedule_pause(int on);

/* Is the calling thread a task, and not paused? */
int schedule_is_task(void);

#endif
