/* SPDX-License-Identifier: MIT */
/*
 * guard.h - a small process that calls master(8) when we are gone
 *
 * master(8) starts a service again only when somebody connects to it, and
 * captured mail triggers nobody: after a crash the queue would rest until the
 * next wakeup, up to 300 s.  The guard waits for our end on a pipe and then
 * sends one wakeup request.
 */
#ifndef SYNCQ_QMGR_GUARD_H
#define SYNCQ_QMGR_GUARD_H

/*
 * Start it; call as the mail owner.  argv is overwritten in the guard, so that
 * nobody takes it for the queue manager.  Without it everything works, only
 * later.
 */
void guard_start(int argc, char **argv);

/* A child has ended (SIGCHLD): if it was the guard, start another one. */
void guard_on_child(void);

#endif
