/* SPDX-License-Identifier: MIT */
/*
 * cleaner.h - keep segments and entries free
 *
 * Whenever a segment has been filled, and once a second, the number of free
 * segments and entries is looked at.  When half are in use, segments without live mail are retired.  When few are left,
 * the mail that cannot leave is moved out of one segment after the other, some
 * messages at a time, and these segments are retired, too.  The policy is in
 * module/cleaner.h.
 *
 * Appends and waits are done in the committer's thread, between its other
 * jobs; entries are changed in the event loop, which owns them.
 */
#ifndef SYNCQ_QMGR_CLEANER_H
#define SYNCQ_QMGR_CLEANER_H

struct backlog;
struct cleaner;

struct cleaner *cleaner_new(struct backlog *backlog);
/* Mail has arrived: cheap enough for each time.  NULL is fine. */
void cleaner_notice(struct cleaner *cleaner);
/* Look at once: something did not fit.  NULL is fine. */
void cleaner_wake(struct cleaner *cleaner);
/* More can become free before the next wake. */
int cleaner_is_busy(const struct cleaner *cleaner);

/* After the committer's end; NULL is fine.  Copies that are under way are
 * settled by the next manager. */
void cleaner_free(struct cleaner *cleaner);

#endif
