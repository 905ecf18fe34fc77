/* SPDX-License-Identifier: MIT */
/*
 * crash_states.h - which versions of which units to try at a crash point
 *
 * At most 12 free units (4096 combinations): all of them.  Above that: none
 * written, all, each one missing, each one alone, prefixes, suffixes, and 64
 * at random.  Of a large set most points try some members only, chosen by the
 * seed, and now and then a point tries all.  One state in ten loses its index
 * altogether: the log alone has to give the same.
 */
#ifndef SYNCQ_FAULTS_CRASH_STATES_H
#define SYNCQ_FAULTS_CRASH_STATES_H

#include "tests/faults/findings.h"
#include "tests/faults/medium.h"

struct crash_states {
    struct medium_unit *units;
    size_t unit_count;
    uint64_t set_size; /* members of the whole set */
    uint64_t count;    /* how many of them to try */
    uint64_t seed;
    uint32_t *choices; /* of the state made last, one per unit */
    int exhaustive;
    int loses_index; /* that state is to be tried without its index */
};

/* At a crash point; seed and point decide everything. */
void crash_states_init(struct crash_states *states, uint64_t seed,
                       uint64_t point);
void crash_states_clear(struct crash_states *states);

/* Set choices to state number i, below count. */
void crash_states_make(struct crash_states *states, uint64_t i);

#endif
