/* SPDX-License-Identifier: MIT */
/*
 * retry.h - which message is due next: a heap and one timer
 */
#ifndef SYNCQ_QMGR_RETRY_H
#define SYNCQ_QMGR_RETRY_H

#include <stdint.h>

struct qmgr;
struct message;
struct retry;

struct retry *retry_new(struct qmgr *qmgr);
void retry_free(struct retry *retry);

#define RETRY_JITTER_DIVISOR 20 /* at most 5 % more than the backoff */

/*
 * The message becomes WAITING until next_attempt_s (seconds since 1970; now or
 * before: at once), then a pass over it starts as soon as the limit of active
 * messages allows.  No message waits longer than the longest backoff: a later
 * time is one of a clock that was wrong, then or now, and is cut to that.
 */
void retry_add(struct qmgr *qmgr, struct message *message,
               uint32_t next_attempt_s);
void retry_remove(struct retry *retry, struct message *message);

/* A pass ended: there may be room for another one. */
void retry_wake(struct retry *retry);

/* Make every waiting message due now and give it these flags, too. */
void retry_all_now(struct qmgr *qmgr, unsigned flags);

uint32_t retry_count(const struct retry *retry);

/* Seconds since 1970. */
uint32_t retry_now_s(void);

#endif
