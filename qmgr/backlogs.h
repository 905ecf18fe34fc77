/* SPDX-License-Identifier: MIT */
/*
 * backlogs.h - the backlogs of all queue files
 *
 * Each queue file has a backlog (backlog.h) with its own lock, thread, marks
 * and groups; they share the messages, the scheduler and everything that
 * belongs to Postfix.  One that cannot be opened is tried every second and
 * taken in when it comes; its mail waits until then.  The number of a backlog,
 * its place in the configuration, stands in every message.
 */
#ifndef SYNCQ_QMGR_BACKLOGS_H
#define SYNCQ_QMGR_BACKLOGS_H

#include "qmgr/backlog.h"

struct backlogs {
    struct files files; /* of the configuration */
    unsigned count, turn;
    struct backlog *list[SYNCQ_FILES_MAX];
};

/* Make one for each file of the configuration; ends the process when the lists
 * are wrong. */
struct backlogs *backlogs_new(struct qmgr *qmgr);
/* Try to open all of them, now and from now on. */
void backlogs_start(struct backlogs *backlogs);
void backlogs_free(struct backlogs *backlogs);

/* The one that has this message of the queue. */
struct backlog *backlog_of(const struct qmgr *qmgr,
                           const struct message *message);

/* Records can be added to at least one of them. */
int backlogs_accept(const struct backlogs *backlogs);
/* Files may be looked at: none is still being read. */
int backlogs_are_settled(const struct backlogs *backlogs);
/* At least one is not open: what it holds is not known. */
int backlogs_lack_one(const struct backlogs *backlogs);

/*
 * The one whose sync will be over first of those that accept, but for those
 * that have a bit in tried; NULL: there is none.
 */
struct backlog *backlogs_choose(struct backlogs *backlogs, uint64_t tried);

/* Read all notices of new mail that are there. */
void backlogs_drain_arrivals(struct backlogs *backlogs);

/* Look at the delivery files that an earlier manager has left. */
void backlogs_recover_files(struct backlogs *backlogs, struct qmgr *qmgr);

/* Have the marks of all durable; then done (failed: not of all) is called. */
void backlogs_flush(struct backlogs *backlogs,
                    void (*done)(void *context, int failed), void *context);

#endif
