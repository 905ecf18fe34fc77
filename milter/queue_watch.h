/* SPDX-License-Identifier: MIT */
/*
 * queue_watch.h - let go of a channel that was replaced, also without mail
 *
 * A new sync helper waits until every process has left a channel that was
 * removed.  A milter with nothing to do would never notice by itself.  Of
 * several queue files each is opened here, too, in a thread of its own.
 */
#ifndef SYNCQ_MILTER_QUEUE_WATCH_H
#define SYNCQ_MILTER_QUEUE_WATCH_H

#include "milter/shared_queue.h"

struct queue_watch;

/* Look every interval_ms, in a thread.  ENOMEM, EAGAIN. */
int queue_watch_new(struct shared_queue *shared, unsigned interval_ms,
                    struct queue_watch **watch);

/* End the thread.  NULL is fine. */
void queue_watch_free(struct queue_watch *watch);

#endif
