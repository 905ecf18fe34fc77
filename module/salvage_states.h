/* SPDX-License-Identifier: MIT */
/*
 * salvage_states.h - what is known of each part during a salvage, by
 * (sequence, part)
 */
#ifndef SYNCQ_SALVAGE_STATES_H
#define SYNCQ_SALVAGE_STATES_H

#include <stddef.h>
#include <stdint.h>

#include "module/index.h"
#include "module/state.h"

struct syncq_salvage_part {
    uint64_t sequence; /* 0: the place is empty */
    uint32_t part;
    uint64_t word_lsn; /* of the marks record with the last word */
    struct syncq_state state;
};

/* Zeroed is empty. */
struct syncq_salvage_states {
    struct syncq_salvage_part *parts; /* open addressing */
    size_t count, size;               /* size: a power of two, or 0 */
};

void syncq_salvage_states_clear(struct syncq_salvage_states *states);

/* The place of a part, made if it is new; is_new may be NULL.  ENOMEM. */
int syncq_salvage_states_get(struct syncq_salvage_states *states,
                             uint64_t sequence, uint32_t part,
                             struct syncq_salvage_part **found, int *is_new);

/* The same without making it; NULL: not known. */
const struct syncq_salvage_part *
syncq_salvage_states_find(const struct syncq_salvage_states *states,
                          uint64_t sequence, uint32_t part);

/* Take what an index says.  ENOMEM. */
int syncq_salvage_states_add_index(struct syncq_salvage_states *states,
                                   const struct syncq_index *index);

/* Take the marks in a record's content.  ENOMEM. */
int syncq_salvage_states_add_marks(struct syncq_salvage_states *states,
                                   uint64_t lsn, const uint8_t *content,
                                   size_t size);

#endif
