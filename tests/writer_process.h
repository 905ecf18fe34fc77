/* SPDX-License-Identifier: MIT */
/*
 * writer_process.h - a writer in a process of its own, to be killed
 */
#ifndef SYNCQ_TESTS_WRITER_PROCESS_H
#define SYNCQ_TESTS_WRITER_PROCESS_H

#include <sys/types.h>

#include "tests/queue_fixture.h"

struct writer_process {
    pid_t pid;
    int from; /* what it reports comes here */
};

/*
 * Fork; the child opens the queue for writing, calls body and then waits to be
 * killed.  body must not assert: it ends the process with _exit when something
 * goes wrong.  What it writes to `to` is read by writer_read.
 */
void writer_start(struct writer_process *writer, struct fixture *fixture,
                  void (*body)(struct syncq_queue *queue, int to,
                               void *context),
                  void *context);

/* The same with a sync helper; returns when it serves.  hold: the first msync
 * of a segment never returns. */
void helper_process_start(struct writer_process *helper,
                          struct fixture *fixture, int hold);

/* Read size bytes that the body has written. */
void writer_read(struct writer_process *writer, void *bytes, size_t size);

/* SIGKILL, and wait until it is gone with all its locks. */
void writer_kill(struct writer_process *writer);

#endif
