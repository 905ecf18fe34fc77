/* SPDX-License-Identifier: MIT */
/*
 * index.h - the index file, opened and mapped (inside the module)
 */
#ifndef SYNCQ_INDEX_H
#define SYNCQ_INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "module/entry.h"
#include "module/index_format.h"

/*
 * The address space of the largest index is reserved, so the map never moves
 * when the index grows: another process makes it larger, and this one follows
 * (syncq_index_follow).  entry_count and map_size never shrink; who sizes
 * memory by entry_count reads it once.
 */
struct syncq_index {
    int fd;
    int writable;
    _Atomic uint32_t entry_count;
    _Atomic uint64_t map_size;
    uint64_t seed; /* the queue's UUID folded to 64 bits */
    pthread_mutex_t follow_lock;
    uint8_t *map;
    struct syncq_entry *entries;
    struct syncq_index_lists *lists;
};

/* Make a new index file of free entries and sync it (not its directory). */
int syncq_index_create(int directory_fd, const char *name,
                       const uint8_t uuid[SYNCQ_UUID_SIZE],
                       uint32_t entry_count);

/* SYNCQ_ERR_NO_QUEUE: no such file; SYNCQ_ERR_INDEX: not this queue's, or
 * damaged header; SYNCQ_ERR_OWNER, _MODE, _VERSION. */
int syncq_index_open(int directory_fd, int writable,
                     const uint8_t uuid[SYNCQ_UUID_SIZE],
                     struct syncq_index *index);
/* The same of a file with another name. */
int syncq_index_open_as(int directory_fd, const char *name, int writable,
                        const uint8_t uuid[SYNCQ_UUID_SIZE],
                        struct syncq_index *index);
void syncq_index_close(struct syncq_index *index);

/* Map what the index has grown by since.  Cheap when it has not.  Any thread.
 * SYNCQ_ERR_TRUNCATED: the file is shorter than its header says; errno. */
int syncq_index_follow(struct syncq_index *index);

/* Is there such a slot, maybe since a moment ago?  Any thread. */
int syncq_index_has(const struct syncq_index *index, uint32_t slot);

/*
 * Growing, in this order.  fill: write free entries from number `from` up to
 * entry_count into the file and sync it; the header does not name them yet.
 * extend: name what was filled, sync the header, and map it.  Slots are in no
 * list before syncq_index_list_more.
 */
int syncq_index_fill(int fd, const uint8_t uuid[SYNCQ_UUID_SIZE], uint32_t from,
                     uint32_t entry_count);
int syncq_index_extend(struct syncq_index *index, uint32_t entry_count);

/* The newest valid checkpoint, or SYNCQ_ERR_INDEX. */
int syncq_index_read_checkpoint(const struct syncq_index *index,
                                struct syncq_checkpoint *checkpoint);

/*
 * Sync the entries, then write and sync checkpoint (number set by the caller;
 * UUID, magic and checksum here).  Two phases: a crash between them leaves the
 * older checkpoint, for which newer entries do no harm.
 */
int syncq_index_sync_entries(struct syncq_index *index);
int syncq_index_write_checkpoint(struct syncq_index *index,
                                 struct syncq_checkpoint *checkpoint);

/* Is the entry's identity whole?  Then *kind says free or used. */
int syncq_entry_identity_valid(const struct syncq_index *index, uint32_t slot);

/*
 * Is all of the entry as it was written, both versions of its state too?  One
 * may have been torn by a crash in the middle of an update, which the log
 * repeats; or it was damaged later, and then the other one is not what the
 * entry said last: only a replay of the whole log tells.
 */
int syncq_entry_whole(const struct syncq_index *index, uint32_t slot);

/* Copy a used entry with its newest valid state out of the map.
 * SYNCQ_ERR_BAD_ENTRY: free or damaged; a used entry whose states are both
 * invalid gives status LOST and lsn 0 with the same error and *view set. */
int syncq_index_read(const struct syncq_index *index, uint32_t slot,
                     struct syncq_entry_view *view);

/* Write identity and first state of a slot that the caller owns. */
void syncq_index_write_identity(struct syncq_index *index,
                                const struct syncq_entry_view *view);

/* Write the older version of the state. */
void syncq_index_write_state(struct syncq_index *index,
                             const struct syncq_entry_view *view);

/* Format a slot as free; list links are left alone. */
void syncq_index_write_free(struct syncq_index *index, uint32_t slot);

/* ---- lists: under the reserve lock, or in recovery ---- */

/*
 * Without the lock: have the pages of the next free slots mapped and writable,
 * so that no page fault happens under the lock.  Changes nothing.
 */
void syncq_index_prefault(struct syncq_index *index);

/* Take count slots from the free list to the tail of the used list; lock is
 * written to each.  The caller has checked lists->free_count. */
int syncq_index_take(struct syncq_index *index, uint32_t count, uint32_t lock,
                     uint32_t *slots);

/* Move a slot from the used list to the free list and format it as free. */
void syncq_index_give_back(struct syncq_index *index, uint32_t slot);

/*
 * Put some of the slots that are in no list yet into the free list; true while
 * there are more.  touch does the same slots' page faults, without the lock.
 */
int syncq_index_list_more(struct syncq_index *index);
void syncq_index_list_touch(struct syncq_index *index);

/* Make both lists anew.  in_use decides for a slot whose identity says free
 * but that a living reservation owns; may be NULL. */
void syncq_index_rebuild_lists(struct syncq_index *index,
                               int (*in_use)(uint32_t slot, uint32_t lock,
                                             void *context),
                               void *context);

#endif
