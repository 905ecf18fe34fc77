/* SPDX-License-Identifier: MIT */
/*
 * index_format.h - layout of the index file
 *
 * Page 0 is the header, pages 1 and 2 take checkpoints by turns, page 3 holds
 * the heads of the lists, entries of 128 bytes follow.  An entry never crosses
 * a 512-byte sector.  All integers are little-endian.
 *
 * The index grows at its end: entries are written and synced there first, then
 * the header names them.  A file that is longer than its header says is fine.
 *
 *   entry:  offset  size
 *                0    40  version 0 of the state   (syncq_entry_version)
 *               40    40  version 1 of the state
 *               80    36  identity: sequence to checksum, written once
 *              116     4  previous slot in its list, SYNCQ_SLOT_NONE at ends
 *              120     4  next slot
 *              124     4  lock: request number + 1 while a writer owns it
 *
 * The checksums are the low 32 bits of XXH3-64, seeded with the queue's UUID,
 * the slot number and, for a version, the sequence number and part of the
 * identity: an entry copied to another slot, or a state left over from the
 * slot's last user, is not valid.  An update writes the version with the lower
 * counter; readers take the valid one with the higher counter.  The links and
 * the lock have no checksum and are never believed after a crash.
 */
#ifndef SYNCQ_INDEX_FORMAT_H
#define SYNCQ_INDEX_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "module/key.h"
#include "module/limits.h"

#define SYNCQ_INDEX_MAGIC          "SYNCQIX\n"
#define SYNCQ_INDEX_VERSION        1
#define SYNCQ_INDEX_ENTRIES_OFFSET (4 * SYNCQ_PAGE_SIZE)
#define SYNCQ_ENTRY_SIZE           128
#define SYNCQ_SLOT_NONE            UINT32_C(0xffffffff)

struct syncq_index_header {
    uint8_t magic[8];
    uint32_t version, entry_count;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    uint64_t checksum; /* XXH3-64 of the bytes before */
};
static_assert(sizeof(struct syncq_index_header) == 40, "on-disk layout");

#define SYNCQ_CHECKPOINT_MAGIC UINT32_C(0x504b4351) /* "QCKP" */
#define SYNCQ_CHECKPOINT_CLEAN UINT32_C(1)          /* all writers had left */

struct syncq_checkpoint {
    uint32_t magic, flags;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    uint64_t number, epoch;
    uint64_t synced_lsn;  /* all records and marks below are in the index */
    uint64_t durable_lsn; /* all reservations below are durable or void */
    uint64_t marks_lsn;   /* last marks record known, or 0 */
    int64_t date_us;      /* microseconds since 1970; informs only */
    uint64_t checksum;    /* XXH3-64 of the bytes before */
};
static_assert(sizeof(struct syncq_checkpoint) == 80, "on-disk layout");

/* Page 3: never believed in recovery, which rebuilds both lists. */
struct syncq_index_lists {
    uint32_t used_head, used_tail, used_count;
    uint32_t free_head, free_count;
    uint32_t listed_count; /* slots from here on are in no list yet */
};

struct syncq_entry_version {
    uint64_t lsn, mask;
    uint32_t counter, last_attempt_s, next_attempt_s;
    uint16_t attempts, reason, dsn_detail;
    uint8_t dsn_class_subject; /* class << 5 | subject, subject below 32 */
    uint8_t status;
    uint32_t checksum;
};
static_assert(sizeof(struct syncq_entry_version) == 40, "on-disk layout");

enum syncq_entry_kind {
    SYNCQ_ENTRY_FREE = 1,
    SYNCQ_ENTRY_USED,
};

struct syncq_entry {
    struct syncq_entry_version versions[2];
    uint64_t sequence, domain_hash; /* XXH3-64 of the domain; 0: no domain */
    uint32_t arrival_s;             /* seconds since 1970 */
    uint32_t first_recipient;       /* in the envelope's order */
    uint16_t part, part_count, recipient_count;
    uint8_t type, kind; /* enum syncq_record_type, enum syncq_entry_kind */
    uint32_t checksum;
    uint32_t previous, next, lock;
};
static_assert(offsetof(struct syncq_entry, sequence) == 80, "on-disk layout");
static_assert(offsetof(struct syncq_entry, checksum) == 112, "on-disk layout");
static_assert(sizeof(struct syncq_entry) == SYNCQ_ENTRY_SIZE, "on-disk layout");

#endif
