/* SPDX-License-Identifier: MIT */
/*
 * importer.h - mail that lies in Postfix's own files
 *
 * Bounces, forwards, released and legacy mail, and whatever the milter let
 * through.  Each file is renamed to active/ and locked; then its message is
 * appended to the queue and the file removed, or, when the queue cannot or
 * need not take it, delivered from where it is.
 */
#ifndef SYNCQ_QMGR_IMPORTER_H
#define SYNCQ_QMGR_IMPORTER_H

struct importer;
struct qmgr;

enum importer_queue {
    IMPORTER_ACTIVE, /* left by a manager that is gone; at start only */
    IMPORTER_INCOMING,
    IMPORTER_DEFERRED,
    IMPORTER_QUEUES,
};

struct importer *importer_new(struct qmgr *qmgr);
void importer_free(struct importer *importer);

/*
 * Look into a directory, now or when the scan in progress is over.  flags are
 * message flags for what is found: MESSAGE_NOW takes also files whose time has
 * not come yet, MESSAGE_FLUSH ignores what is known of dead destinations.
 */
void importer_scan(struct importer *importer, enum importer_queue queue,
                   unsigned flags);

/* Scans wait while this is not settled (backlog.h): go on. */
void importer_wake(struct importer *importer);

/* True while this id is being imported by us. */
int importer_has(const struct qmgr *qmgr, const char *queue_id);

#endif
