/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/grow_internal.h"
#include "module/recovery_internal.h"

/* Every byte of the data file must have its block on disk already. */
static int check_holes(const struct syncq_data *data)
{
    off_t hole = lseek(data->fd, 0, SEEK_HOLE);

    if (hole < 0)
        return errno;
    return (uint64_t)hole < data->file_size ? SYNCQ_ERR_HOLES : 0;
}

/*
 * Both copies get the new epoch, so that losing either of them later takes
 * neither it nor an LSN back: lsn_limit follows from the pages, too.
 */
static int raise_epoch(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    struct syncq_superblock *superblock = &queue->data.superblock;
    int result = 0;

    for (uint32_t i = 0; i < superblock->segment_count; i++) {
        const struct syncq_segment_page *page = &recovery->segments[i].page;
        uint64_t end = page->base_lsn + superblock->segment_size;

        if (page->base_lsn != 0 && end > superblock->lsn_limit)
            superblock->lsn_limit = end;
    }
    superblock->epoch++;
    for (int i = 0; i < 2 && result == 0; i++)
        result = syncq_data_write_superblock(&queue->data, &queue->key);
    SYNCQ_FAILPOINT("recovery.epoch-raised");
    return result;
}

static void sort_used(struct syncq_recovery *recovery)
{
    for (uint32_t i = 1; i < recovery->used_count; i++) {
        uint32_t moving = recovery->order[i];
        uint64_t base = recovery->segments[moving].page.base_lsn;
        uint32_t at = i;

        for (; at > 0 &&
               recovery->segments[recovery->order[at - 1]].page.base_lsn > base;
             at--)
            recovery->order[at] = recovery->order[at - 1];
        recovery->order[at] = moving;
    }
}

static int load_segments(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    uint32_t count = queue->data.segment_count;

    recovery->segments = calloc(count, sizeof *recovery->segments);
    recovery->order = calloc(count, sizeof *recovery->order);
    if (recovery->segments == NULL || recovery->order == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct syncq_recovery_segment *segment = &recovery->segments[i];
        int result = syncq_data_read_segment_page(&queue->data, &queue->key, i,
                                                  &segment->page);

        if (result != 0) { /* both pages lost: ask the records */
            segment->page = (struct syncq_segment_page){
                .number = i, .state = SYNCQ_SEGMENT_CLOSED};
            result = syncq_log_find_base(queue, i, &segment->page.base_lsn);
            segment->pages_lost = result == 0;
            if (result == SYNCQ_ERR_BAD_RECORD) {
                segment->page.state = SYNCQ_SEGMENT_FREE;
                recovery->unknown_count++;
            } else if (result != 0)
                return result;
        }
        segment->used = segment->page.state != SYNCQ_SEGMENT_FREE;
        if (segment->used)
            recovery->order[recovery->used_count++] = i;
    }
    sort_used(recovery);
    return 0;
}

/* What a repair knows beside the log. */
static uint64_t known_durable(const struct syncq_recovery *recovery)
{
    const struct syncq_repair_plan *plan = recovery->plan;
    uint64_t lsn = plan->old_good ? recovery->checkpoint.durable_lsn : 0;

    return plan->latched && plan->latched_lsn > lsn ? plan->latched_lsn : lsn;
}

static int replay(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    enum syncq_replay_reason reason = recovery->report->reason;
    int full = reason != SYNCQ_REPLAY_TAIL;
    int result = 0;

    *recovery->report = (struct syncq_recovery_report){
        .reason = reason,
        .segments_used = recovery->used_count,
        .segments_unknown = recovery->unknown_count};
    recovery->index_lsn = full ? 0 : recovery->checkpoint.synced_lsn;
    recovery->replay_lsn = full ? 0 : recovery->checkpoint.synced_lsn;
    recovery->durable_lsn = full ? 0 : recovery->checkpoint.durable_lsn;
    /* What the index knew may not have become durable: a torn place there has
     * to be made void, too. */
    if (recovery->durable_lsn < recovery->replay_lsn)
        recovery->replay_lsn = recovery->durable_lsn;
    recovery->marks_lsn = full ? 0 : recovery->checkpoint.marks_lsn;
    if (recovery->plan != NULL)
        recovery->durable_lsn = known_durable(recovery);
    recovery->gap_count = recovery->link_count = 0;
    free(recovery->seen);
    free(recovery->words);
    recovery->seen = NULL;
    recovery->words = NULL;
    syncq_part_table_clear(&recovery->table);
    /* A grow may have been cut off between superblock and index. */
    result =
        full ? syncq_recovery_remake_index(recovery) : syncq_grow_finish(queue);
    if (result != 0)
        return result;
    if (!full)
        syncq_index_rebuild_lists(&queue->index, NULL, NULL);
    recovery->seen = calloc(queue->index.entry_count / 8 + 1, 1);
    recovery->words =
        calloc((size_t)queue->index.entry_count + 1, sizeof *recovery->words);
    if (recovery->seen == NULL || recovery->words == NULL)
        return ENOMEM;
    result = syncq_part_table_init(&recovery->table, &queue->index);
    return result != 0 ? result : syncq_recovery_replay(recovery);
}

static int is_clean(const struct syncq_recovery *recovery)
{
    const struct syncq_superblock *superblock =
        &recovery->queue->data.superblock;

    if (recovery->unknown_count > 0)
        return 0; /* entries of what was there are lost */
    /* Pages that were lost have to be written again. */
    for (uint32_t i = 0; i < superblock->segment_count; i++)
        if (recovery->segments[i].pages_lost)
            return 0;
    /* The epoch was raised by one since the checkpoint, by this recovery. */
    return recovery->report->reason == SYNCQ_REPLAY_TAIL &&
           (recovery->checkpoint.flags & SYNCQ_CHECKPOINT_CLEAN) != 0 &&
           recovery->checkpoint.epoch + 1 == superblock->epoch &&
           recovery->report->records == 0;
}

/* After a clean stop the open segment goes on where the head was. */
static void find_open_segment(const struct syncq_recovery *recovery,
                              struct syncq_recovered *recovered)
{
    uint64_t head = recovery->checkpoint.durable_lsn;
    uint64_t size = recovery->queue->data.segment_size;

    for (uint32_t i = 0; i < recovery->used_count; i++) {
        const struct syncq_segment_page *page =
            &recovery->segments[recovery->order[i]].page;

        if (page->state == SYNCQ_SEGMENT_OPEN &&
            head >= page->base_lsn + SYNCQ_PAGE_SIZE &&
            head <= page->base_lsn + size - SYNCQ_PAGE_SIZE) {
            recovered->head_segment = page->number;
            recovered->head_lsn = head;
        }
    }
}

/* The head was behind it at the clean stop: its page says `open` only because
 * the helper stopped before it wrote `closed`, and it is full of records. */
static int close_left_segments(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    uint64_t head = recovery->checkpoint.durable_lsn;
    uint64_t end = queue->data.segment_size - SYNCQ_PAGE_SIZE;
    int result = 0;

    for (uint32_t i = 0; i < recovery->used_count && result == 0; i++) {
        struct syncq_segment_page *page =
            &recovery->segments[recovery->order[i]].page;

        if (page->state != SYNCQ_SEGMENT_OPEN || head < page->base_lsn ||
            head - page->base_lsn <= end)
            continue;
        page->state = SYNCQ_SEGMENT_CLOSED;
        page->end_lsn = page->base_lsn + end;
        result = syncq_data_write_segment_page(&queue->data, &queue->key, page);
    }
    return result;
}

static int finish(struct syncq_recovery *recovery,
                  struct syncq_recovered *recovered)
{
    struct syncq_queue *queue = recovery->queue;
    struct syncq_superblock *superblock = &queue->data.superblock;
    struct syncq_checkpoint checkpoint = {.epoch = superblock->epoch};
    uint64_t number = superblock->checkpoint;
    int result = syncq_index_sync_entries(&queue->index);

    SYNCQ_FAILPOINT("recovery.index-synced");
    if (recovery->checkpoint.number > number)
        number = recovery->checkpoint.number;
    if (recovery->log_checkpoint > number)
        number = recovery->log_checkpoint;
    /* No LSN at or above lsn_limit was ever given: all below is settled. */
    checkpoint.number = number + 1;
    checkpoint.synced_lsn = checkpoint.durable_lsn = recovered->head_lsn;
    checkpoint.marks_lsn = recovery->marks_lsn;
    /* The next marks record is linked to the place where some are missing, so
     * that a later recovery knows of that, too. */
    if (recovery->hole_lsn > recovery->marks_lsn)
        checkpoint.marks_lsn = recovery->hole_lsn - SYNCQ_RECORD_STEP;
    checkpoint.date_us = syncq_date_us();
    if (result == 0)
        result = syncq_index_write_checkpoint(&queue->index, &checkpoint);
    recovered->epoch = superblock->epoch;
    recovered->durable_lsn = checkpoint.durable_lsn;
    recovered->checkpoint = checkpoint.number;
    recovered->marks_lsn = checkpoint.marks_lsn;
    return result;
}

static int settle(struct syncq_recovery *recovery,
                  struct syncq_recovered *recovered)
{
    int result = 0;

    recovered->head_segment = SYNCQ_SEGMENT_NONE;
    recovered->head_lsn = recovery->queue->data.superblock.lsn_limit;
    recovery->report->clean = is_clean(recovery);
    if (recovery->report->clean) {
        find_open_segment(recovery, recovered);
        result = close_left_segments(recovery);
    } else { /* the log first: entries are judged by what can be read of it */
        result = syncq_recovery_settle_log(recovery);
    }
    if (result == 0 && !recovery->report->clean)
        result = syncq_recovery_settle_entries(recovery);
    SYNCQ_FAILPOINT("recovery.entries-settled");
    return result == 0 ? finish(recovery, recovered) : result;
}

static void count_parts(const struct syncq_recovery *recovery)
{
    const struct syncq_index *index = &recovery->queue->index;

    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view view;

        if (index->entries[slot].kind == SYNCQ_ENTRY_USED &&
            syncq_index_read(index, slot, &view) == 0 &&
            view.state.status <= SYNCQ_STATUS_LOST)
            recovery->report->parts[view.state.status]++;
    }
}

static void clear(struct syncq_recovery *recovery)
{
    syncq_part_table_clear(&recovery->table);
    syncq_log_reader_clear(&recovery->reader);
    syncq_damage_list_clear(&recovery->known);
    free(recovery->segments);
    free(recovery->order);
    free(recovery->gaps);
    free(recovery->links);
    free(recovery->seen);
    free(recovery->words);
}

static int read_log(struct syncq_recovery *recovery)
{
    struct syncq_recovery_report *report = recovery->report;
    int result = syncq_recovery_judge_index(recovery);

    if (result == 0)
        result = replay(recovery);
    if (result == 0 && report->reason == SYNCQ_REPLAY_TAIL &&
        recovery->log_checkpoint > recovery->checkpoint.number) {
        report->reason = SYNCQ_REPLAY_OLD_INDEX;
        result = replay(recovery);
    }
    if (result == 0 && recovery->plan != NULL)
        result = syncq_recovery_merge(recovery);
    return result;
}

/*
 * A repair ends with its index in place, then the list of damage; the latch is
 * the caller's.  Cut off anywhere before, the old index is still there, and the
 * next repair does all of it again.
 */
static int conclude(struct syncq_recovery *recovery)
{
    int is_repair = recovery->plan != NULL;
    int result = is_repair ? syncq_recovery_install_index(recovery) : 0;

    if (result != 0)
        return result;
    result = syncq_recovery_list_damage(recovery, is_repair);
    recovery->report->list_error = result;
    /* Mail goes on without the list, after a line in the system's log. */
    return is_repair ? result : 0;
}

int syncq_recover_as(struct syncq_queue *queue, struct syncq_repair_plan *plan,
                     struct syncq_recovery_report *report,
                     struct syncq_recovered *recovered)
{
    struct syncq_recovery recovery = {
        .queue = queue, .plan = plan, .report = report, .reader = {.fd = -1}};
    uint64_t start_us = syncq_clock_us();
    int result = check_holes(&queue->data);

    memset(report, 0, sizeof *report);
    if (result == 0)
        result = syncq_log_reader_init(&recovery.reader, queue->data.fd,
                                       plan != NULL && plan->direct);
    /* A list that cannot be read only means that all is reported again. */
    if (result == 0)
        (void)syncq_damage_list_read(queue->directory_fd, &recovery.known);
    if (result == 0)
        result = load_segments(&recovery);
    SYNCQ_FAILPOINT("recovery.segments-loaded");
    /* Before anything else is written: no two channels share an epoch. */
    if (result == 0)
        result = raise_epoch(&recovery);
    if (result == 0)
        result = read_log(&recovery);
    SYNCQ_FAILPOINT("recovery.replayed");
    if (result == 0)
        result = settle(&recovery, recovered);
    SYNCQ_FAILPOINT("recovery.done");
    if (result == 0)
        result = conclude(&recovery);
    if (result == 0)
        count_parts(&recovery);
    report->read_size = recovery.reader.read_size;
    clear(&recovery);
    report->time_us = syncq_clock_us() - start_us;
    return result;
}

int syncq_recover(struct syncq_queue *queue,
                  struct syncq_recovery_report *report,
                  struct syncq_recovered *recovered)
{
    return syncq_recover_as(queue, NULL, report, recovered);
}

const char *syncq_replay_reason_text(enum syncq_replay_reason reason)
{
    switch (reason) {
    case SYNCQ_REPLAY_TAIL:
        return "the index was good";
    case SYNCQ_REPLAY_NO_INDEX:
        return "the index was missing or of another queue";
    case SYNCQ_REPLAY_NO_CHECKPOINT:
        return "the index had no valid checkpoint";
    case SYNCQ_REPLAY_OLD_INDEX:
        return "the index was older than the log";
    case SYNCQ_REPLAY_BAD_ENTRY:
        return "the index had a damaged entry";
    case SYNCQ_REPLAY_INDEX_FAILED:
        return "a sync of the index had failed";
    case SYNCQ_REPLAY_REPAIR:
        return "repair";
    }
    return "unknown";
}
