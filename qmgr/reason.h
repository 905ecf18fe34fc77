/* SPDX-License-Identifier: MIT */
/*
 * reason.h - what the queue manager keeps in the `reason` of part 0's state
 *
 * Facts about the whole message that must outlive the process.
 */
#ifndef SYNCQ_QMGR_REASON_H
#define SYNCQ_QMGR_REASON_H

enum reason_flag {
    REASON_WARNED = 1, /* the delay warning was sent */
    REASON_TRACED = 2, /* the trace of `sendmail -v` was reported */
    REASON_EXPIRE = 4, /* an administrator wants it returned */
};

#endif
