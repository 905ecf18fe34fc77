/* SPDX-License-Identifier: MIT */
/*
 * shared_queue.h - the one open queue of the milter, shared by all threads
 *
 * The milter runs whether or not the queue can be opened.  Whoever has a mail
 * takes the queue for the time of that mail; when it is not open, the first to
 * come opens it, at most once in a while, the others are told at once that it
 * is not available.  A queue whose channel was replaced
 * is closed when its last user has put it back.
 */
#ifndef SYNCQ_MILTER_SHARED_QUEUE_H
#define SYNCQ_MILTER_SHARED_QUEUE_H

#include <stdint.h>

#include "module/queue.h"

#define SHARED_QUEUE_RETRY_MS 1000 /* between two attempts to open */

struct shared_queue;

/*
 * directory and run_directory must outlive it; retry_ms is the least time
 * between two attempts to open.  ENOMEM.
 */
int shared_queue_new(const char *directory, const char *run_directory,
                     unsigned retry_ms, struct shared_queue **shared);

/* Closes the queue.  Nobody may use it any more.  NULL is fine. */
void shared_queue_free(struct shared_queue *shared);

/*
 * Use the queue until shared_queue_put.  *message_size_max: bytes of envelope
 * and content together.  Fails with any error of syncq_queue_open or
 * syncq_queue_usable.
 */
int shared_queue_take(struct shared_queue *shared, struct syncq_queue **queue,
                      uint64_t *message_size_max);
void shared_queue_put(struct shared_queue *shared);

/* Close the queue if its channel was replaced and nobody uses it. */
void shared_queue_check(struct shared_queue *shared);

/*
 * Say whether mail is captured, and if not why; NULL: it is.  Writes a log
 * line when that is news.
 */
void shared_queue_report(struct shared_queue *shared, const char *obstacle);

#endif
