/* SPDX-License-Identifier: MIT */
/*
 * shared_queue.h - one open queue file of the milter, shared by all threads
 *
 * The milter runs whether or not the queue can be opened.  Whoever has a mail
 * takes the queue for the time of that mail; when it is not open, the first to
 * come opens it, at most once in a while, the others are told at once that it
 * is not available.  Or only shared_queue_check opens it.  A queue whose
 * channel was replaced is closed when its last user has put it back.
 */
#ifndef SYNCQ_MILTER_SHARED_QUEUE_H
#define SYNCQ_MILTER_SHARED_QUEUE_H

#include <stdint.h>

#include "module/queue.h"
#include "program/config.h"

#define SHARED_QUEUE_RETRY_MS 1000 /* between two attempts to open */

struct shared_queue;

/*
 * The queue file in this directory, of the instance that config describes; both
 * must outlive it.  retry_ms is the least time between two attempts to open.
 * ENOMEM.
 */
int shared_queue_new(const struct config *config, const char *directory,
                     unsigned retry_ms, struct shared_queue **shared);

/* wanted: else it is closed, and stays so; in_background: nobody who takes it
 * opens it. */
void shared_queue_set_use(struct shared_queue *shared, int wanted,
                          int in_background);

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

/* Close the queue if its channel was replaced and nobody uses it; open it if
 * that is done in the background. */
void shared_queue_check(struct shared_queue *shared);

#endif
