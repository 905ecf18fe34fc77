/* SPDX-License-Identifier: MIT */
/*
 * reserve.h - space in the log and entries in the index, under the shared lock
 * (inside the module and the helper)
 */
#ifndef SYNCQ_RESERVE_H
#define SYNCQ_RESERVE_H

#include <stdint.h>

#include "module/queue_internal.h"

enum syncq_reserve_kind {
    SYNCQ_RESERVE_MESSAGE, /* takes a sequence number */
    SYNCQ_RESERVE_MARKS,   /* may open the last free segment */
    SYNCQ_RESERVE_COPY,    /* the same; the sequence number is given */
};

struct syncq_reservation {
    uint64_t lsn, size, sequence;
    uint32_t request, segment;
    uint64_t offset; /* in the segment */
};

/*
 * Is it the request of a relocated copy?  Then its entries are not written
 * until they name the copy, and when its maker died the next manager does it.
 */
int syncq_request_is_copy(const struct syncq_request *request);

/* Is a request slot with this state in somebody's use? */
int syncq_request_is_taken(uint32_t state);

/*
 * Take the shared lock.  When its last owner died inside, the head is rolled
 * forward from the requests and the lists are made anew first.  0 or errno.
 */
int syncq_reserve_lock(struct syncq_queue *queue);
void syncq_reserve_unlock(struct syncq_queue *queue);

/*
 * Reserve size bytes (a multiple of SYNCQ_RECORD_STEP) and slot_count entries;
 * all or nothing.  slots has room for slot_count.  Waits up to some seconds
 * for a segment to be opened.  Errors as syncq_append.
 */
int syncq_reserve(struct syncq_queue *queue, enum syncq_reserve_kind kind,
                  uint64_t size, uint32_t slot_count, uint32_t *slots,
                  struct syncq_reservation *reservation);

/*
 * Leave the head's segment although it has room: its rest becomes void.  Only
 * when another one is prepared that is not the last.  EAGAIN: there is none.
 */
int syncq_reserve_leave(struct syncq_queue *queue);

/*
 * Reserve the rest of the head's page for a void record, so that the next
 * record starts on a page of its own.  *sealed tells whether there
 * was anything to reserve (state WITHDRAWN) and a request slot for it;
 * *head_lsn is the head afterwards.  errno when the lock fails.
 */
int syncq_reserve_seal(struct syncq_queue *queue,
                       struct syncq_reservation *reservation,
                       uint64_t *head_lsn, int *sealed);

#endif
