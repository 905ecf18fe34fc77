/* SPDX-License-Identifier: MIT */
/*
 * check.h - read a whole queue and tell what is damaged; nothing is changed
 *
 * Works with and without running programs.  Every record of every segment in
 * use is read and checked, then every entry of the index and the record that
 * it names.  What changes meanwhile is not taken for damage: only places below
 * a durable_lsn that was known before they were read count, and entries that
 * look bad are looked at again.
 */
#ifndef SYNCQ_CHECK_H
#define SYNCQ_CHECK_H

#include <stdint.h>

#include "module/queue.h"
#include "module/recovery.h"

struct syncq_check_report {
    uint64_t messages, marks, voids; /* valid records; copies count, too */
    uint64_t scanned_size;
    uint64_t damage_count, damage_size; /* bytes that held confirmed records */
    uint64_t pages_damaged; /* segments without a valid page at either end */
    int index_error;        /* the index could not be opened; 0: it could */
    uint64_t entries_used, entries_damaged;
    uint64_t parts_lost; /* to be delivered, but their record is gone */
    int latched;         /* a sync failed */
    uint64_t latched_lsn;
};

/* Told as it is found; each may be NULL. */
struct syncq_check_visitor {
    void (*damage)(const struct syncq_damage *damage, void *context);
    /* Segment number has no valid page at either end. */
    void (*page)(uint32_t segment, void *context);
    /* An entry that is damaged (SYNCQ_ERR_BAD_ENTRY; sequence and part are
     * 0), or whose record cannot be read for the reason error. */
    void (*entry)(uint32_t slot, uint64_t sequence, uint32_t part, int error,
                  void *context);
    void (*progress)(uint64_t done, uint64_t total, void *context);
    void *context;
};

/*
 * Errors as syncq_queue_open for reading, but for SYNCQ_ERR_INDEX, which is
 * in the report; ENOMEM: a segment needs its size in memory.  Damage is no
 * error.
 */
int syncq_check(const char *directory, const char *run_directory,
                const struct syncq_check_visitor *visitor,
                struct syncq_check_report *report);

/* True when nothing at all was found. */
int syncq_check_is_good(const struct syncq_check_report *report);

#endif
