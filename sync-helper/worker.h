/* SPDX-License-Identifier: MIT */
/*
 * worker.h - this program once more, for one of several queue files
 *
 * A worker gets the command line of its parent, with the two directories of its
 * queue file set over the configuration, and knows by its environment what it
 * is.  It ends when its parent does.
 */
#ifndef SYNCQ_HELPER_WORKER_H
#define SYNCQ_HELPER_WORKER_H

#include <signal.h>
#include <sys/types.h>

#include "program/config.h"

#define WORKER_SIGNAL_DRAIN SIGUSR1 /* take no more mail */
#define WORKER_SIGNAL_USE   SIGUSR2 /* take mail */

/*
 * Start one: argv of this process, the file's own configuration.  The calling
 * thread must live as long as the worker.  0 or errno.
 */
int worker_start(char **argv, const struct config *config, int drain,
                 pid_t *pid);

/* In any process: is this a worker?  Then *drain is set; it has to be called
 * before there are other threads. */
int worker_is(int *drain);

#endif
