/* SPDX-License-Identifier: MIT */
/*
 * check.h - read a whole queue and tell what is damaged; nothing is changed
 *
 * Works with and without running programs.  Both superblocks, both pages of
 * every segment, every record of every segment in use, every entry of the index
 * and the record that it names are read and checked.  What changes meanwhile is
 * not taken for damage: only places below a durable_lsn that was known before
 * they were read count, and what looks bad is looked at again.
 *
 * When no helper runs, the data file is read past the page cache, so that what
 * is checked is what the disk holds.
 */
#ifndef SYNCQ_CHECK_H
#define SYNCQ_CHECK_H

#include <stdint.h>

#include "module/damage.h"
#include "module/queue.h"

struct syncq_check_report {
    uint64_t messages, marks, voids; /* valid records; copies count, too */
    uint64_t read_size;
    int direct; /* past the page cache */
    int online; /* a helper runs: what it writes just then is left out */
    /* Places that held confirmed records and that no repair has dealt with. */
    uint64_t damage_count, damage_size;
    uint64_t repaired_count, repaired_size; /* the same after a repair */
    uint64_t unreadable_size;     /* bytes that gave a read error, anywhere */
    unsigned superblocks_damaged; /* copies, of two */
    uint64_t pages_damaged;       /* copies of segment pages, of two each */
    uint64_t segments_unknown;    /* no page of theirs is valid */
    int has_holes;                /* the file is not wholly allocated */
    uint64_t hole_offset;         /* the first one's */
    int index_error; /* the index could not be opened; 0: it could */
    uint64_t entries_used, entries_damaged;
    uint64_t parts_lost; /* to be delivered, but their record is gone */
    /* Slots in none of the lists, or in two; they are never believed and are
     * made anew by every recovery.  0 while a helper runs. */
    uint64_t lists_wrong;
    int latched;       /* a sync of the data file failed */
    int index_latched; /* a sync of the index failed */
    uint64_t latched_lsn;
};

/* Told as it is found; each may be NULL. */
struct syncq_check_visitor {
    /* Copy 0 or 1 of the superblock; error as of syncq_superblock_check. */
    void (*superblock)(unsigned copy, int error, void *context);
    /* The first page of a segment or, end, the last one. */
    void (*page)(uint32_t segment, int end, void *context);
    void (*damage)(const struct syncq_damage *damage, void *context);
    /* An entry that is damaged (SYNCQ_ERR_BAD_ENTRY; sequence and part are
     * 0), or whose record cannot be read for the reason error. */
    void (*entry)(uint32_t slot, uint64_t sequence, uint32_t part, int error,
                  void *context);
    void (*progress)(uint64_t done, uint64_t total, void *context);
    void *context;
};

/*
 * Errors as syncq_queue_open for reading, but for SYNCQ_ERR_INDEX, which is
 * in the report; ENOMEM.  Damage is no error.
 */
int syncq_check(const char *directory, const char *run_directory,
                const struct syncq_check_visitor *visitor,
                struct syncq_check_report *report);

/* True when nothing at all was found that a repair has not dealt with. */
int syncq_check_is_good(const struct syncq_check_report *report);

#endif
