/* SPDX-License-Identifier: MIT */
/*
 * recovery_settle.c - after the replay: a state for every entry, a void record
 * for every torn place
 */
#include "module/dirty.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/read.h"
#include "module/recovery_internal.h"

static int was_seen(const struct syncq_recovery *recovery, uint32_t slot)
{
    return recovery->seen[slot / 8] >> slot % 8 & 1;
}

static int record_is_good(struct syncq_recovery *recovery,
                          const struct syncq_entry_view *view)
{
    struct syncq_record record;
    int result = syncq_record_read(recovery->queue, view->state.lsn,
                                   view->sequence, &record);

    if (result == 0)
        syncq_record_clear(&record);
    return result == 0;
}

/* Are all other parts of this message done or cancelled? */
static int others_final(struct syncq_recovery *recovery,
                        const struct syncq_entry_view *view)
{
    const struct syncq_index *index = &recovery->queue->index;

    for (uint32_t part = 1; part < view->part_count; part++) {
        uint32_t slot = syncq_part_table_find(&recovery->table, index,
                                              view->sequence, part);
        struct syncq_entry_view other;

        if (slot == SYNCQ_SLOT_NONE ||
            syncq_index_read(index, slot, &other) != 0)
            continue; /* gone with its segment: final */
        if (!syncq_status_is_final(other.state.status) &&
            other.state.mask != syncq_recipients_mask(other.recipient_count))
            return 0;
    }
    return 1;
}

/* What an entry whose record is there has to become. */
static unsigned settled_status(struct syncq_recovery *recovery,
                               const struct syncq_entry_view *view,
                               uint64_t hold_lsn)
{
    unsigned status = view->state.status;

    if (syncq_status_is_final(status))
        return status;
    /* A mark behind the damage tells all that was in it about this part. */
    if (view->state.lsn < hold_lsn && recovery->words[view->slot] < hold_lsn)
        return SYNCQ_STATUS_HELD;
    if (syncq_recovery_is_doubtful(recovery, view))
        return SYNCQ_STATUS_HELD;
    if (view->state.mask != syncq_recipients_mask(view->recipient_count))
        return status == SYNCQ_STATUS_LOST ? SYNCQ_STATUS_SYNCED : status;
    if (view->part != 0)
        return SYNCQ_STATUS_DONE;
    return others_final(recovery, view) ? SYNCQ_STATUS_FLUSHING : status;
}

static void free_slot(struct syncq_recovery *recovery, uint32_t slot)
{
    syncq_index_write_free(&recovery->queue->index, slot);
    recovery->report->slots_freed++;
}

/* Its writer died before the request, and the helper made its place void, but
 * the slot was given back after the last checkpoint only. */
static int was_given_up(struct syncq_recovery *recovery,
                        const struct syncq_entry_view *view)
{
    return view->state.status == SYNCQ_STATUS_NEW &&
           syncq_record_is_void(recovery->queue, view->state.lsn);
}

static void settle_entry(struct syncq_recovery *recovery,
                         struct syncq_entry_view *view, uint64_t hold_lsn)
{
    uint64_t lsn = view->state.lsn;
    unsigned status = view->state.status;
    int known = was_seen(recovery, view->slot);

    if (!syncq_recovery_lsn_in_use(recovery, lsn)) {
        /* Retired; live parts are not, so theirs was wiped out. */
        if (!syncq_recovery_was_wiped(recovery, &view->state)) {
            free_slot(recovery, view->slot);
            return;
        }
        view->state.status = SYNCQ_STATUS_LOST;
        recovery->report->parts_lost++;
        return;
    }
    if (!known && lsn < recovery->replay_lsn)
        known = status != SYNCQ_STATUS_NEW || record_is_good(recovery, view);
    if (!known && (lsn >= recovery->durable_lsn ||
                   was_given_up(recovery, view))) {
        free_slot(recovery, view->slot);
        return;
    }
    if (!known && !syncq_status_is_final(status)) {
        status = SYNCQ_STATUS_LOST;
        recovery->report->parts_lost++;
    } else if (status == SYNCQ_STATUS_NEW) {
        status = SYNCQ_STATUS_SYNCED;
    }
    view->state.status = (uint8_t)status;
    if (status != SYNCQ_STATUS_LOST)
        status = settled_status(recovery, view, hold_lsn);
    if (status == SYNCQ_STATUS_HELD && view->state.status != SYNCQ_STATUS_HELD)
        recovery->report->parts_held++;
    view->state.status = (uint8_t)status;
}

int syncq_recovery_settle_entries(struct syncq_recovery *recovery)
{
    struct syncq_index *index = &recovery->queue->index;
    uint64_t hold_lsn;

    syncq_recovery_judge_gaps(recovery, &hold_lsn);
    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view view;
        unsigned before;

        if (index->entries[slot].kind != SYNCQ_ENTRY_USED ||
            syncq_index_read(index, slot, &view) != 0)
            continue;
        before = view.state.status;
        settle_entry(recovery, &view, hold_lsn);
        if (index->entries[slot].kind == SYNCQ_ENTRY_USED &&
            view.state.status != before)
            syncq_index_write_state(index, &view);
        SYNCQ_FAILPOINT("recovery.entry-settled");
    }
    syncq_index_rebuild_lists(index, NULL, NULL);
    return 0;
}

/* Offset in the segment behind which nothing but a torn tail lies. */
static uint64_t tail_offset(const struct syncq_recovery *recovery,
                            uint32_t segment)
{
    uint64_t base = recovery->segments[segment].page.base_lsn;
    uint64_t end = recovery->queue->data.segment_size - SYNCQ_PAGE_SIZE;

    for (size_t i = 0; i < recovery->gap_count; i++)
        if (recovery->gaps[i].segment == segment && recovery->gaps[i].tail &&
            !syncq_recovery_gap_is_damage(recovery, &recovery->gaps[i]))
            return recovery->gaps[i].lsn - base;
    return end;
}

/* Where the next stretch begins that cannot be read: touching it through the
 * mapping would be SIGBUS.  *end is where it ends, both whole pages. */
static uint64_t next_unreadable(const struct syncq_recovery *recovery,
                                uint32_t segment, uint64_t start, uint64_t *end)
{
    uint64_t base = recovery->segments[segment].page.base_lsn;
    uint64_t found = recovery->queue->data.segment_size;

    *end = found;
    for (size_t i = 0; i < recovery->gap_count; i++) {
        const struct syncq_gap *gap = &recovery->gaps[i];
        uint64_t from = (gap->lsn - base) & ~(SYNCQ_PAGE_SIZE - 1);

        if (gap->segment != segment || gap->unreadable == 0 || from < start ||
            from >= found)
            continue;
        found = from;
        *end = (gap->lsn - base + gap->size + SYNCQ_PAGE_SIZE - 1) &
               ~(SYNCQ_PAGE_SIZE - 1);
    }
    return found;
}

/* After a mere process crash the page cache may hold what the disk never got,
 * and what is clean there would not be written again. */
static int sync_again(struct syncq_recovery *recovery, uint32_t segment)
{
    struct syncq_queue *queue = recovery->queue;
    uint64_t base = recovery->segments[segment].page.base_lsn;
    uint64_t start = SYNCQ_PAGE_SIZE;
    uint64_t end = tail_offset(recovery, segment);
    uint8_t *map;
    int result = syncq_data_map(&queue->data, segment, &map);

    if (recovery->durable_lsn > base + start)
        start = (recovery->durable_lsn - base) & ~(SYNCQ_PAGE_SIZE - 1);
    while (result == 0 && start < end) {
        uint64_t next;
        uint64_t stop = next_unreadable(recovery, segment, start, &next);

        if (stop > end)
            stop = end;
        if (stop > start) {
            dirty_pages(map + start, stop - start);
            result =
                syncq_data_sync(&queue->data, segment, start, stop - start);
        }
        start = next;
    }
    return result;
}

/* Prepared, and nothing in it ever became durable? */
static int is_unused(const struct syncq_recovery *recovery, uint32_t segment)
{
    return recovery->segments[segment].page.state == SYNCQ_SEGMENT_OPEN &&
           tail_offset(recovery, segment) == SYNCQ_PAGE_SIZE;
}

static int fill_gaps(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    int result = 0;

    for (size_t i = 0; i < recovery->gap_count && result == 0; i++) {
        const struct syncq_gap *gap = &recovery->gaps[i];
        uint64_t offset =
            gap->lsn - recovery->segments[gap->segment].page.base_lsn;

        if (syncq_recovery_gap_is_damage(recovery, gap) ||
            is_unused(recovery, gap->segment))
            continue;
        result =
            syncq_void_write(queue, gap->segment, offset, gap->lsn, gap->size);
        if (result == 0)
            result = syncq_data_sync(&queue->data, gap->segment, offset,
                                     sizeof(struct syncq_record_header));
        recovery->report->torn_size += gap->size;
        SYNCQ_FAILPOINT("recovery.gap-filled");
    }
    return result;
}

int syncq_recovery_settle_log(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    int result = fill_gaps(recovery);

    for (uint32_t i = 0; i < recovery->used_count && result == 0; i++) {
        uint32_t segment = recovery->order[i];
        struct syncq_segment_page *page = &recovery->segments[segment].page;
        uint64_t end = tail_offset(recovery, segment);

        result = sync_again(recovery, segment);
        if (is_unused(recovery, segment)) {
            page->state = SYNCQ_SEGMENT_FREE;
        } else if (page->state == SYNCQ_SEGMENT_OPEN) {
            page->state = SYNCQ_SEGMENT_CLOSED;
            page->end_lsn = page->base_lsn + end;
        }
        if (result == 0)
            result =
                syncq_data_write_segment_page(&queue->data, &queue->key, page);
        SYNCQ_FAILPOINT("recovery.segment-settled");
    }
    dirty_pages(queue->index.map, queue->index.map_size);
    return result;
}
