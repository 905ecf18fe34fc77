/* SPDX-License-Identifier: MIT */
/*
 * source.h - where the mail of a delivery pass comes from
 *
 * A pass does not know whether its message is a record of the queue or one of
 * Postfix's own files in active/.  Both offer these calls.
 */
#ifndef SYNCQ_QMGR_SOURCE_H
#define SYNCQ_QMGR_SOURCE_H

#include <stdint.h>

struct pass;
struct request;

struct source {
    /*
     * Fill in the pass: envelope, works (the recipients to do), the file that
     * the agents read, and what it needs for itself.  0; ENOENT: somebody
     * removed the message, forget it; anything else: it was dealt with (held,
     * parked, deferred) and there is no pass.
     */
    int (*load)(struct pass *pass);
    /* Some works of this request are done, or of any if NULL: keep that. */
    void (*progress)(struct pass *pass, const struct request *request);
    /* All recipients are finished, reports may still be sent. */
    void (*flushing)(struct pass *pass);
    /* A delay warning was sent; the trace record was reported. */
    void (*warned)(struct pass *pass);
    void (*traced)(struct pass *pass);
    /* The agents' file is not what we wrote: no delivery until looked at. */
    void (*corrupt)(struct pass *pass);
    /*
     * The pass is over.  done: nothing is left to do, forget the message.
     * Else try again at next_attempt_s.
     */
    void (*close)(struct pass *pass, int done, uint32_t next_attempt_s);
    /* Free what load allocated; after close, or when the process ends. */
    void (*clear)(struct pass *pass);
};

extern const struct source file_source;
extern const struct source queue_source;

#endif
