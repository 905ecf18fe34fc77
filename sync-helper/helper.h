/* SPDX-License-Identifier: MIT */
/*
 * helper.h - the sync helper: two threads around one queue
 *
 *   batch thread (main)   takes requests, syncs them in batches, confirms
 *   keeper thread         prepares segments, syncs the index, finishes for
 *                         writers that died
 *
 * Both use the queue opened here; what they share is atomic or under `lock`.
 */
#ifndef SYNCQ_HELPER_H
#define SYNCQ_HELPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "module/queue_internal.h"
#include "module/segment_format.h"
#include "program/config.h"

struct helper {
    const struct config *config;
    struct syncq_queue *queue;
    struct syncq_channel *channel;    /* of the queue, for short */
    struct syncq_segment_page *pages; /* as on disk; for the largest queue */
    pthread_mutex_t lock;             /* superblock and failure */
    pthread_t keeper;
    _Atomic int stop;
    _Atomic int removed; /* somebody has removed the channel; stops, too */
    _Atomic uint32_t keeper_bell; /* futex */
    _Atomic int index_failed;
    uint64_t checkpoint_flags;
    int drain;           /* the channel says so from its first moment */
    const char *subject; /* of its log lines, or NULL */
};

/* helper.c: open the queue, recover it or take over a living channel, start
 * the keeper.  0 or a sysexits code after one log line. */
int helper_open(struct helper *helper, const struct config *config);
/* Stop the keeper; when no writer is left, write a clean checkpoint and remove
 * the channel. */
void helper_close(struct helper *helper);

/* helper.c: a sync of the data file failed.  Nothing is confirmed any more:
 * channel state, then the latch on disk, then every request waiting. */
void helper_fail(struct helper *helper, const char *what, int error);

/*
 * helper.c: where a request lies in its segment; the request is a copy that
 * the caller has made.  SYNCQ_ERR_RANGE: it contradicts the segment.
 */
int helper_request_place(const struct helper *helper,
                         const struct syncq_request *request, uint64_t *offset);

/* fault.c: for map_fault_catch, with the helper as context. */
void helper_map_fault(void *context, const void *address);

/* helper.c: read all segment pages; make both pages and channel agree on which
 * segments are free: one that was prepared before the last stop, and never
 * reserved from, is prepared anew. */
int helper_load_pages(struct helper *helper);
void helper_load_page(struct helper *helper, uint32_t segment);
int helper_reclaim_segments(struct helper *helper);

/* recovery_log.c: what a recovery did, in a bounded number of lines. */
struct syncq_recovery_report;
void recovery_log(const struct syncq_recovery_report *report);

/* takeover.c: serve the channel that the last helper left.
 * SYNCQ_ERR_NO_HELPER: there is none that can be served. */
int takeover_serve(struct helper *helper);

/* batch.c: serve requests until helper->stop.  0 or ENOMEM. */
int batch_run(struct helper *helper);

/* keeper.c */
void *keeper_run(void *context);
void keeper_wake(struct helper *helper);
/* Have the segment after the head's ready; the keeper does it by itself later
 * on.  0 also when none is left. */
int keeper_prepare_segment(struct helper *helper);
/* Say on disk of each segment that the head has left that it is closed. */
int keeper_close_segments(struct helper *helper);
/* A sync of the index failed: no checkpoint any more, and the latch. */
void keeper_index_failed(struct helper *helper, int error);

/* checkpoint.c: sync the index in two phases. */
int checkpoint_write(struct helper *helper, uint32_t flags);

/* retire.c: do what the manager asked for: free segments and their slots, or
 * let a page say that the segment is being emptied. */
int retire_segments(struct helper *helper);
/* retire.c: free slots whose record's segment is free; a predecessor may have
 * died in between. */
int retire_leftovers(struct helper *helper);

/* grow.c: do what syncq grow asks for; 0, or why the data file failed. */
int grow_serve(struct helper *helper);
/* grow.c: go on where a predecessor died in it. */
int grow_take_over(struct helper *helper);

/* writers.c: finish for writers that died. */
void writers_check(struct helper *helper);

#endif
