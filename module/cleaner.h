/* SPDX-License-Identifier: MIT */
/*
 * cleaner.h - when to move mail out of a segment, and out of which one
 *
 * A policy without effects: it looks at a struct syncq_space and decides.  The
 * queue manager acts on it (qmgr/cleaner.c) by relocate.h and retire.h, one
 * segment at a time.
 */
#ifndef SYNCQ_CLEANER_H
#define SYNCQ_CLEANER_H

#include "module/relocate.h"
#include "module/space.h"

/*
 * Segments that are fuller of live mail than this are left alone: moving them
 * gives back too little for what it writes.
 */
#define SYNCQ_CLEANER_LIVE_MAX_PERCENT 87

enum syncq_cleaner_need {
    SYNCQ_CLEANER_NOTHING = 0,
    SYNCQ_CLEANER_SEGMENTS, /* few are free: the cheapest to empty */
    SYNCQ_CLEANER_ENTRIES,  /* few are free: the most slots for its cost */
    SYNCQ_CLEANER_GATHER,   /* the same, and all that is left over together */
    SYNCQ_CLEANER_FINISH,   /* one is being emptied already */
};

/*
 * What is short?  last: what was short a moment ago, if the cleaner is at work
 * on it; it then goes on until somewhat more is free.
 *
 * Mail that stays would be moved again and again, since it comes to lie beside
 * new mail.  So when the segments that are worth emptying hold a whole segment
 * of it, all of them are emptied in one go, into a segment of their own: that
 * one is not worth emptying again.
 */
enum syncq_cleaner_need syncq_cleaner_need(const struct syncq_space *space,
                                           enum syncq_cleaner_need last);

/*
 * Which segment?  ENOENT: none is worth it, or none has a copy's room left.
 * EAGAIN: what is short lies in the segment where the head is; leave it
 * (syncq_reserve_leave) and look again.
 */
int syncq_cleaner_choose(const struct syncq_space *space,
                         enum syncq_cleaner_need need, uint32_t *segment);

/* Bytes that mail could be given in addition, once all segments that are worth
 * it have been emptied. */
uint64_t syncq_cleaner_reclaimable(const struct syncq_space *space);

/* The messages that still have to be moved out of one segment. */
struct syncq_cleaner_list {
    uint32_t *slots; /* live parts, message by message, by part number */
    uint32_t count, next;
};

/* Walk the index.  The caller clears *list.  ENOMEM. */
int syncq_cleaner_list(struct syncq_queue *queue, uint64_t base_lsn,
                       struct syncq_cleaner_list *list);
void syncq_cleaner_list_clear(struct syncq_cleaner_list *list);

/*
 * Start to move the next message of the list.  ENOENT: it needs no move any
 * more; ERANGE: that was the last one.  Other errors as syncq_relocate_start;
 * the message is then tried again by the next list.
 */
int syncq_cleaner_start(struct syncq_queue *queue,
                        struct syncq_cleaner_list *list,
                        struct syncq_relocation *relocation);

#endif
