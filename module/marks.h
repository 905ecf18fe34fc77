/* SPDX-License-Identifier: MIT */
/*
 * marks.h - write changes of state into the log
 *
 * Only the holder of the manager lock appends marks: the entry is changed
 * first, then the mark is appended, in the order of the changes.
 */
#ifndef SYNCQ_MARKS_H
#define SYNCQ_MARKS_H

#include "module/append.h"
#include "module/marks_format.h"
#include "module/state.h"

struct syncq_mark {
    uint64_t sequence;
    uint32_t part;
    struct syncq_state state; /* lsn is not stored */
};

/*
 * Append one marks record of 1 to SYNCQ_MARKS_MAX marks.  Wait for and finish
 * the ticket as for a message.  Errors as syncq_append; the last free segment
 * is open to marks when it is closed to mail.
 */
int syncq_marks_append(struct syncq_queue *queue,
                       const struct syncq_mark *marks, uint32_t mark_count,
                       struct syncq_ticket *ticket);

/*
 * Read the marks in a record's content.  Mark number i of content, which holds
 * content_size / sizeof(struct syncq_mark_image) of them.
 */
void syncq_mark_decode(const uint8_t *content, size_t i,
                       struct syncq_mark *mark);

#endif
