/* SPDX-License-Identifier: MIT */
/*
 * bounce.h - ask bounce(8) for reports, without waiting for it
 *
 * bounce(8) hands its reports to cleanup(8), which triggers us: waiting here
 * would be a deadlock.
 */
#ifndef SYNCQ_QMGR_BOUNCE_H
#define SYNCQ_QMGR_BOUNCE_H

#include <stdint.h>

struct qmgr;

enum bounce_kind {
    BOUNCE_APPEND = 0, /* one recipient's trouble into the log */
    BOUNCE_FLUSH = 1,  /* report the log to the sender and delete it */
    BOUNCE_WARN = 2,   /* report it and keep it */
    BOUNCE_VERP = 3,   /* one report for each recipient */
    BOUNCE_TRACE = 5,  /* report what was recorded for the sender */
};

#define BOUNCE_FLAG_DELRCPT 2 /* mark the recipients in the queue file */

struct bounce_order {
    const char *service; /* name below private/ */
    enum bounce_kind kind;
    int32_t flags;
    const char *queue_name, *queue_id;
    /* all but APPEND */
    const char *encoding, *sender, *envelope_id;
    int32_t sendopts, ret_flags;
    const char *verp_delimiters; /* VERP */
    /* APPEND */
    const char *original, *recipient, *dsn_original;
    uint64_t offset;
    int32_t notify;
    const char *status, *reason;
};

/*
 * Send an order, whose texts are copied before the return.  done is called
 * once, later: failed is 0 when the server did all of it.
 */
void bounce_send(struct qmgr *qmgr, const struct bounce_order *order,
                 void (*done)(void *context, int failed), void *context);

#endif
