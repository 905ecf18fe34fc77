/* SPDX-License-Identifier: MIT */
/*
 * check_index.c - the entries, the records that they name, and the lists
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/check_internal.h"
#include "module/error.h"
#include "module/read.h"

#define SUSPECTS_MAX 1024 /* more bad entries than this are no coincidence */

struct entries {
    struct syncq_check *check;
    uint64_t last_lsn, last_sequence; /* the record read last by an entry */
    int last_result;
    uint32_t suspects[SUSPECTS_MAX]; /* slots */
    size_t suspect_count;
};

static struct syncq_gap *find_gap(struct syncq_check *check, uint64_t lsn)
{
    size_t low = 0, high = check->gap_count;

    while (low < high) { /* the last one that starts at or below */
        size_t middle = low + (high - low) / 2;

        if (check->gaps[middle].lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || lsn - check->gaps[low - 1].lsn >= check->gaps[low - 1].size)
        return NULL;
    return &check->gaps[low - 1];
}

void syncq_check_name_gaps(struct syncq_check *check)
{
    const struct syncq_index *index = &check->queue->index;

    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view entry;
        struct syncq_gap *gap;

        if (syncq_index_read(index, slot, &entry) != 0)
            continue;
        gap = find_gap(check, entry.state.lsn);
        if (gap == NULL || gap->type != 0)
            continue;
        gap->type = entry.type;
        gap->sequence = entry.sequence;
    }
}

static int read_record(struct entries *entries,
                       const struct syncq_entry_view *entry)
{
    struct syncq_record record;

    /* The parts of one message mostly follow each other. */
    if (entry->state.lsn == entries->last_lsn &&
        entry->sequence == entries->last_sequence)
        return entries->last_result;
    entries->last_lsn = entry->state.lsn;
    entries->last_sequence = entry->sequence;
    entries->last_result = syncq_record_read(
        entries->check->queue, entry->state.lsn, entry->sequence, &record);
    if (entries->last_result == 0)
        syncq_record_clear(&record);
    return entries->last_result;
}

/* Is the slot free, or does its used entry name what is there? */
static int judge_entry(struct entries *entries, uint32_t slot,
                       struct syncq_entry_view *entry)
{
    const struct syncq_index *index = &entries->check->queue->index;
    int result;

    memset(entry, 0, sizeof *entry);
    if (syncq_index_read(index, slot, entry) != 0) {
        memset(entry, 0, sizeof *entry);
        return index->entries[slot].kind == SYNCQ_ENTRY_FREE &&
                       syncq_entry_identity_valid(index, slot)
                   ? 0
                   : SYNCQ_ERR_BAD_ENTRY;
    }
    if (syncq_status_is_final(entry->state.status) ||
        entry->state.status == SYNCQ_STATUS_NEW)
        return 0;
    result = read_record(entries, entry);
    if (result != 0)
        return result;
    /* Recovery has found it lost, and says so until it is dealt with. */
    return entry->state.status == SYNCQ_STATUS_LOST ? SYNCQ_ERR_BAD_RECORD : 0;
}

static void report_entry(struct syncq_check *check, uint32_t slot, int error,
                         const struct syncq_entry_view *entry)
{
    if (error == SYNCQ_ERR_BAD_ENTRY)
        check->report->entries_damaged++;
    else
        check->report->parts_lost++;
    if (check->visitor->entry != NULL)
        check->visitor->entry(slot, entry->sequence, entry->part, error,
                              check->visitor->context);
}

static int check_entries(struct entries *entries)
{
    struct syncq_check *check = entries->check;
    uint32_t count = check->queue->index.entry_count;
    struct syncq_entry_view entry;
    int result;

    for (uint32_t slot = 0; slot < count; slot++) {
        result = judge_entry(entries, slot, &entry);
        if (result == ENOMEM)
            return result;
        check->report->entries_used += entry.part_count > 0;
        if (result == 0)
            continue;
        if (entries->suspect_count == SUSPECTS_MAX)
            report_entry(check, slot, result, &entry);
        else
            entries->suspects[entries->suspect_count++] = slot;
    }
    /* It may have been written just then, or its record moved or retired. */
    entries->last_lsn = entries->last_sequence = 0;
    for (size_t i = 0; i < entries->suspect_count; i++) {
        result = judge_entry(entries, entries->suspects[i], &entry);
        if (result != 0)
            report_entry(check, entries->suspects[i], result, &entry);
    }
    return 0;
}

/* Follow one list; a slot that was met before ends it. */
static void walk_list(const struct syncq_index *index, uint32_t head,
                      uint8_t *seen, uint64_t *wrong)
{
    for (uint32_t slot = head; slot != SYNCQ_SLOT_NONE;
         slot = index->entries[slot].next) {
        if (slot >= index->entry_count || (seen[slot / 8] >> slot % 8 & 1)) {
            ++*wrong;
            return;
        }
        seen[slot / 8] |= (uint8_t)(1u << slot % 8);
    }
}

static int check_lists(struct syncq_check *check)
{
    const struct syncq_index *index = &check->queue->index;
    uint8_t *seen = calloc(index->entry_count / 8 + 1, 1);

    if (seen == NULL)
        return ENOMEM;
    walk_list(index, index->lists->used_head, seen,
              &check->report->lists_wrong);
    walk_list(index, index->lists->free_head, seen,
              &check->report->lists_wrong);
    for (uint32_t slot = 0; slot < index->entry_count; slot++)
        check->report->lists_wrong += !(seen[slot / 8] >> slot % 8 & 1);
    free(seen);
    return 0;
}

int syncq_check_index(struct syncq_check *check)
{
    struct entries *entries = calloc(1, sizeof *entries);
    int result;

    if (entries == NULL)
        return ENOMEM;
    entries->check = check;
    result = check_entries(entries);
    /* A new index has no lists yet: the first helper makes them. */
    if (result == 0 && !check->report->online &&
        check->queue->index.lists->used_count +
                check->queue->index.lists->free_count >
            0)
        result = check_lists(check);
    free(entries);
    return result;
}
