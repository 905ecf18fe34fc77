/* SPDX-License-Identifier: MIT */
/*
 * entry.h - read and change index entries
 *
 * An entry is one part of a message.  It has one owner at a time: the writer
 * until its ticket is finished, then only the manager.  Readers need no lock:
 * an update leaves the previous version valid until the new one is whole.
 */
#ifndef SYNCQ_ENTRY_H
#define SYNCQ_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "module/queue.h"
#include "module/state.h"

struct syncq_entry_view {
    uint64_t sequence, domain_hash;
    uint32_t slot, arrival_s, first_recipient;
    uint16_t part, part_count, recipient_count;
    uint8_t type; /* enum syncq_record_type */
    struct syncq_state state;
};

/* Number of slots; valid slots are below it.  It grows with the index: read it
 * once for what is sized by it, and expect slots above it later. */
uint32_t syncq_entry_count(struct syncq_queue *queue);

/*
 * Read slot.  SYNCQ_ERR_BAD_ENTRY: free, damaged, or being given out right
 * now; SYNCQ_ERR_RANGE: no such slot.
 */
int syncq_entry_read(struct syncq_queue *queue, uint32_t slot,
                     struct syncq_entry_view *entry);

/*
 * Write a new state for the part that view was read from.  The caller owns the
 * entry.  SYNCQ_ERR_BAD_ENTRY: the slot holds another part by now.
 * view->state is updated too.  The LSN stays the entry's: a view may be older
 * than a relocation, and only that moves it (relocate.h).  Not durable until
 * the next marks record is.
 */
int syncq_entry_update(struct syncq_queue *queue, struct syncq_entry_view *view,
                       const struct syncq_state *state);

/* The hash that entries hold of a domain (lower case); 0 for "". */
uint64_t syncq_domain_hash(const char *domain);

/* A mask with the low recipient_count bits set, 1 to 64. */
uint64_t syncq_recipients_mask(uint32_t recipient_count);

#endif
