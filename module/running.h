/* SPDX-License-Identifier: MIT */
/*
 * running.h - who is at work on a queue, seen from outside
 *
 * Both ask the kernel for a lock that ends with its process, so nobody who has
 * died is ever taken for alive.  Nothing is changed.
 */
#ifndef SYNCQ_RUNNING_H
#define SYNCQ_RUNNING_H

#include "module/queue.h"

/*
 * 0: the sync helper lives and takes mail; SYNCQ_ERR_RECOVERING,
 * SYNCQ_ERR_LATCHED: it lives and does not; SYNCQ_ERR_NO_HELPER: there is
 * none; SYNCQ_ERR_DETACHED: open the queue again to see the new channel.
 */
int syncq_running_helper(struct syncq_queue *queue);

/* 0: somebody holds the manager lock; ESRCH: nobody does; errno values. */
int syncq_running_manager(const char *directory);

#endif
