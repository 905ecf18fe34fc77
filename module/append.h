/* SPDX-License-Identifier: MIT */
/*
 * append.h - put a record into the log and learn when it is durable
 *
 *   syncq_append        reserves space and entries under the shared lock,
 *                       copies the record into the mapping outside of it, and
 *                       sends the sync request
 *   syncq_ticket_wait   waits for the confirm
 *   syncq_ticket_abandon   gives up instead, if the confirm did not win
 *   syncq_ticket_finish    sets the parts' status and gives the request slot
 *                       back; always the last call, exactly one per ticket
 *
 * A ticket belongs to one thread at a time but may move between threads.  If
 * the process dies at any point, the helper finishes for it: a request that
 * was sent is synced and its parts become `synced`; a reservation without a
 * request becomes a void record.
 */
#ifndef SYNCQ_APPEND_H
#define SYNCQ_APPEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "module/envelope.h"
#include "module/queue.h"
#include "module/state.h"

struct syncq_ticket {
    uint64_t sequence;   /* of the message; 0 for marks */
    uint64_t lsn;        /* of the record */
    uint32_t *slots;     /* one per part, in order; freed by finish */
    uint32_t slot_count; /* part_count; 0 for marks */
    uint32_t request;    /* number of the request slot */
    int confirmed;       /* a wait has returned 0 */
};

/*
 * Append one message.  type is a message type of record_format.h; envelope
 * must be grouped; content is content_count pieces one after the other, all
 * copied before return.  Blocks only for the shared lock and, for at most some
 * seconds, while the helper opens a segment.
 *
 * SYNCQ_ERR_TOO_LARGE, _RECIPIENTS, _DRAINING, _SEGMENTS_FULL,
 * _ENTRIES_FULL, _REQUESTS_FULL, _BYTES_FULL (each counted: space_report.h), _LATCHED,
 * _DETACHED, _TIMEOUT (no segment was opened in time), ENOMEM. After a failure
 * there is no ticket.
 */
int syncq_append(struct syncq_queue *queue, uint8_t type,
                 const struct syncq_envelope *envelope,
                 const struct iovec *content, size_t content_count,
                 struct syncq_ticket *ticket);

/*
 * Wait up to timeout_ms for the confirm (0: just look).  0: the whole record
 * is durable.  SYNCQ_ERR_TIMEOUT: not yet; wait again or abandon.
 * SYNCQ_ERR_SYNC_FAILED: it never will be; finish as cancelled.
 * SYNCQ_ERR_DETACHED: the channel was replaced; nobody will answer.
 */
int syncq_ticket_wait(struct syncq_queue *queue, struct syncq_ticket *ticket,
                      int timeout_ms);

/*
 * Give up.  0: abandoned, finish as cancelled.  SYNCQ_ERR_EXISTS: the confirm
 * came first, the record is durable; go on as after a wait that returned 0.
 */
int syncq_ticket_abandon(struct syncq_queue *queue,
                         struct syncq_ticket *ticket);

/*
 * Set all parts to status (SYNCQ_STATUS_SYNCED or SYNCQ_STATUS_CANCELLED;
 * ignored for marks) and give the request slot back.  SYNCED is allowed only
 * after a confirm.  For captures: before the MTA gets its answer.
 */
void syncq_ticket_finish(struct syncq_queue *queue, struct syncq_ticket *ticket,
                         unsigned status);

/* Give a reservation back before its request was sent (inside the module):
 * the parts become cancelled, the helper makes the place void. */
void syncq_ticket_withdraw(struct syncq_queue *queue,
                           struct syncq_ticket *ticket);

/*
 * Tell the queue manager about a finished ticket through the arrivals FIFO.
 * Never blocks and never fails: the manager notices a lost notice by the
 * channel's counter and walks the index.  Call before finish (it needs slots).
 */
void syncq_arrival_send(struct syncq_queue *queue,
                        const struct syncq_ticket *ticket);

struct syncq_arrival {
    uint64_t sequence;
    uint32_t slot;
    uint32_t part;
};

/*
 * Open the reading end (it is made if missing), non-blocking, close-on-exec.
 * Read whole struct syncq_arrival from it; one per part.
 */
int syncq_arrivals_open(struct syncq_queue *queue, int *fd);

/* How many arrivals were ever sent through this channel. */
uint64_t syncq_arrivals_count(struct syncq_queue *queue);

#endif
