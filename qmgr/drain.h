/* SPDX-License-Identifier: MIT */
/*
 * drain.h - end after a reload of master(8), without losing an answer
 *
 * A process that stayed would never hear of a second reload, nor of changes to
 * its own line in master.cf, since master(8) talks to new processes only.  So
 * we end, as stock Postfix does, but not at once: for some seconds nothing new
 * is started, and what agents and bounce(8) are about to answer is heard.
 * A delivery that takes longer goes on without us; the next manager waits for
 * its agent and reads what it has marked.
 */
#ifndef SYNCQ_QMGR_DRAIN_H
#define SYNCQ_QMGR_DRAIN_H

struct qmgr;

/* Returns at once; the process ends from the event loop. */
void drain_start(struct qmgr *qmgr);

#endif
