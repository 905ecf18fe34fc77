/* SPDX-License-Identifier: MIT */
/*
 * space.h - what lies in each segment, and how much can still be appended
 *
 * Live is what may still be delivered: its record must stay.  All else in a
 * closed segment (finished mail, marks, void records) becomes free when what
 * is live has been moved out.
 */
#ifndef SYNCQ_SPACE_H
#define SYNCQ_SPACE_H

#include <stdint.h>

#include "module/entry.h"
#include "module/queue.h"
#include "module/segment_format.h"

struct syncq_segment_use {
    uint64_t base_lsn;
    uint32_t state;       /* enum syncq_segment_state */
    uint32_t live_parts;  /* entries that name a record in it */
    uint32_t final_parts; /* slots that go with the segment */
    uint64_t live_size;   /* bytes of the records that are live */
    int busy;             /* a writer is at work in it */
    int broken;           /* a live record in it is damaged or lost */
};

struct syncq_space {
    uint32_t segment_count, segments_free, entry_count, entries_free;
    uint64_t segment_room;  /* bytes for records in a whole segment */
    uint64_t head_room;     /* bytes left for records where the head is */
    uint32_t head_segment;  /* SYNCQ_SEGMENT_NONE: there is none */
    uint64_t live_size;     /* bytes of all live records */
    uint32_t unknown_parts; /* entries in work or damaged: no LSN */
    struct syncq_segment_use *segments;
};

/* Sizes of records that were looked up before, by slot. */
struct syncq_space_sizes;

int syncq_space_sizes_new(struct syncq_queue *queue,
                          struct syncq_space_sizes **sizes);
void syncq_space_sizes_free(struct syncq_space_sizes *sizes);

/*
 * Walk the index once and look up the size of each live record that sizes does
 * not know, by its header: *space is exact for the moment of the walk.  sizes
 * may be NULL: then live_size and broken are left zero.  Any mode, with and
 * without a helper.  The caller clears *space.  ENOMEM, errors of following a
 * queue that has grown.
 */
int syncq_space_read(struct syncq_queue *queue, struct syncq_space_sizes *sizes,
                     struct syncq_space *space);
void syncq_space_clear(struct syncq_space *space);

/* The segment that the head is in: when it changes, there is less space. */
uint32_t syncq_space_head(struct syncq_queue *queue);

/* Must the record of this part stay where it is, or be moved? */
int syncq_part_is_live(const struct syncq_entry_view *view);

/* Bytes that mail can be given right now. */
uint64_t syncq_space_free(const struct syncq_space *space);

/* Bytes that mail can be given in all: one segment is kept back. */
uint64_t syncq_space_size(const struct syncq_space *space);
/* Entries that do not go with a segment that is retired. */
uint64_t syncq_space_entries_live(const struct syncq_space *space);

/* How much of all bytes or entries live mail takes, in percent. */
unsigned syncq_space_used_percent(const struct syncq_space *space);
unsigned syncq_space_entries_used_percent(const struct syncq_space *space);

#endif
