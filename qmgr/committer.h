/* SPDX-License-Identifier: MIT */
/*
 * committer.h - a thread that appends to the queue and waits for the syncs
 *
 * Jobs are appended in the order in which they are given; while one batch is
 * being synced, the next gathers.  Results come back in the event loop.
 */
#ifndef SYNCQ_QMGR_COMMITTER_H
#define SYNCQ_QMGR_COMMITTER_H

#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "module/envelope.h"
#include "module/marks.h"
#include "module/queue.h"

struct committer;

struct committer_job {
    /* A message: its record, and the file that it replaces. */
    const struct syncq_envelope *envelope; /* grouped; NULL for marks */
    const uint8_t *content;
    size_t content_size;
    const char *file; /* path to unlink once the record is durable */
    /* Marks. */
    struct syncq_mark *marks;
    uint32_t mark_count;
    /* Or something else to do in the thread, between two batches' appends. */
    int (*work)(struct syncq_queue *queue, void *work_context);
    void *work_context;
    /* Results. */
    int result;        /* of append and sync */
    int unlink_result; /* of the file: 0, ENOENT, ... */
    uint64_t sequence;
    /*
     * part_count of them, NULL when nothing was appended; free() it.  After a
     * failed sync they are cancelled; only the owner can make marks of that.
     */
    uint32_t *slots;
    /* In the event loop; the job is the callee's again. */
    void (*done)(struct committer_job *job, void *context);
    void *context;
    struct committer_job *next;
};

/* 0 or an errno value. */
int committer_new(struct event_base *base, struct syncq_queue *queue,
                  struct committer **committer);

void committer_submit(struct committer *committer, struct committer_job *job);

/*
 * Deliver results without the event loop, waiting up to timeout_ms for the
 * first.  For the end of the process.  True when jobs are still under way.
 */
int committer_drain(struct committer *committer, int timeout_ms);

/*
 * Stop the thread.  Jobs that are not done get ECANCELED, in this call; what
 * they had appended is the helper's and may become durable.
 */
void committer_free(struct committer *committer);

#endif
