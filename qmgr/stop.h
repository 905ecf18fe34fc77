/* SPDX-License-Identifier: MIT */
/*
 * stop.h - end the process so that nothing that was delivered is repeated
 */
#ifndef SYNCQ_QMGR_STOP_H
#define SYNCQ_QMGR_STOP_H

struct qmgr;

/*
 * Start nothing new; with wait until each agent that has a request is gone
 * (they get the same signal), keep what it marked, record it, and exit with 0.
 * Takes at most 3 s; what an agent does later is found at the next start.
 */
void stop_now(struct qmgr *qmgr, int wait) __attribute__((noreturn));

#endif
