/* SPDX-License-Identifier: MIT */
/*
 * relocate.h - move a message's record to the head of the log
 *
 *   syncq_relocate_start    appends a copy: same sequence, date, type,
 *                           envelope and content, a higher copy number, and
 *                           the present state of each part that is not final
 *   syncq_ticket_wait       waits until it is durable
 *   syncq_relocate_finish   makes the entries name the copy
 *
 * Only the holder of the manager lock relocates, only out of a segment whose
 * page says `emptying`, and it never abandons a copy that was sent.  start may
 * run in the thread that appends the marks, finish runs where entries are
 * changed.
 *
 * The parts that the copy names move to it, even those that became final
 * meanwhile: their slots then stay until the copy's segment is retired, so
 * that no copy is ever without its marks.  Parts that were final before stay
 * where they are, and their slots go with the old segment.
 *
 * A crash before the copy is durable leaves the old record only; after it,
 * recovery takes the copy for the same message and lets the entries name it.
 * A manager that dies in between leaves its request behind, and the next one
 * settles it.  Until the old segment is retired both are there, and no segment
 * with a higher base is retired: else the copy could go, with the last word
 * about the message, before the original does.
 */
#ifndef SYNCQ_RELOCATE_H
#define SYNCQ_RELOCATE_H

#include <stdint.h>

#include "module/append.h"
#include "module/marks.h"
#include "module/read.h"

struct syncq_relocation {
    struct syncq_ticket ticket; /* no slots */
    uint64_t sequence, size;    /* size: of the copy in the log */
    uint32_t *slots, *parts;    /* what the copy names */
    uint32_t count;
};

/*
 * Append a copy of the message that has these slots: all of its parts that are
 * not final, by part number.  Parts that have become final are left out.  The
 * last free segment is open to it.
 *
 * ENOENT: nothing is left to move.  SYNCQ_ERR_BUSY: a writer has not finished
 * yet.  SYNCQ_ERR_BAD_RECORD and other errors of syncq_record_read: it cannot
 * be read.  Errors of syncq_append: it cannot be written now.
 */
int syncq_relocate_start(struct syncq_queue *queue, const uint32_t *slots,
                         uint32_t count, struct syncq_relocation *relocation);

/*
 * After a wait that returned 0: the entries name the copy from now on.  After
 * SYNCQ_ERR_SYNC_FAILED: nothing changes.  Frees the relocation.
 */
void syncq_relocate_finish(struct syncq_queue *queue,
                           struct syncq_relocation *relocation);

/*
 * Finish what managers left behind that died; before a new one changes any
 * entry.  SYNCQ_ERR_TIMEOUT: the helper has not answered all of their requests
 * yet.
 */
int syncq_relocate_settle(struct syncq_queue *queue);

/* The append behind it (append.c): the request's entries count as not written
 * until finish. */
int syncq_copy_append(struct syncq_queue *queue,
                      const struct syncq_record *record,
                      const struct syncq_mark *states, uint32_t state_count,
                      struct syncq_ticket *ticket);

#endif
