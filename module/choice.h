/* SPDX-License-Identifier: MIT */
/*
 * choice.h - which of several queue files gets the next mail
 *
 * The one whose sync will be over first, as far as anybody can know: what it
 * has in flight, times what its syncs take.  A sync that runs for longer than
 * usual counts with that time, so a disk that hangs is left alone soon; a mean
 * that was measured long ago counts less and less, so a disk that was slow is
 * tried again.  Times within a factor of two are equal, and equal files take
 * turns.
 */
#ifndef SYNCQ_CHOICE_H
#define SYNCQ_CHOICE_H

#include <stdint.h>

#include "module/queue.h"

struct syncq_load {
    uint32_t in_flight;     /* appends that are not confirmed yet */
    uint64_t sync_us;       /* mean time of a sync; 0: none was measured */
    uint64_t sync_since_us; /* the one that runs has taken so long; 0: none */
    uint64_t idle_us;       /* since the last one ended */
    int served;             /* a sync helper is alive: else nothing is synced */
};

/* What the channel says now.  Cheap enough for each message; nothing in flight
 * and nothing measured when the queue has no channel. */
void syncq_load_read(struct syncq_queue *queue, struct syncq_load *load);

/* Only good for comparing two of them. */
uint64_t syncq_load_cost(const struct syncq_load *load);

/*
 * Put the numbers 0 to count - 1 into order, the lowest cost first.  turn goes
 * up by one from mail to mail; of equal ones number turn % count comes first.
 */
void syncq_choice_order(const uint64_t *costs, unsigned count, unsigned turn,
                        unsigned *order);

#endif
