/* SPDX-License-Identifier: MIT */
/*
 * recovery_replay.c - read records and marks, in LSN order, into the index
 *
 * Replaying what the index already knows changes nothing: a message finds its
 * entries, a mark sets what is set.  Where the index is ahead of a mark, bits
 * of finished recipients stay and `done` stays.
 */
#include <errno.h>
#include <stdlib.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/marks.h"
#include "module/recovery_internal.h"

static int grow(void **items, size_t *capacity, size_t count, size_t size)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *grown;

    if (count < *capacity)
        return 0;
    grown = realloc(*items, wanted * size);
    if (grown == NULL)
        return ENOMEM;
    *items = grown;
    *capacity = wanted;
    return 0;
}

static void mark_seen(struct syncq_recovery *recovery, uint32_t slot)
{
    recovery->seen[slot / 8] |= (uint8_t)(1u << slot % 8);
}

static int add_part(struct syncq_recovery *recovery,
                    const struct syncq_record_header *header,
                    const struct syncq_part *part, uint32_t number)
{
    struct syncq_index *index = &recovery->queue->index;
    struct syncq_entry_view view = {
        .sequence = header->sequence,
        .domain_hash = syncq_domain_hash(part->domain),
        .arrival_s = (uint32_t)(header->date_us / 1000000),
        .first_recipient = part->first_recipient,
        .part = (uint16_t)number,
        .part_count = (uint16_t)header->part_count,
        .recipient_count = (uint16_t)part->recipient_count,
        .type = header->type,
        .state = {.lsn = header->lsn, .status = SYNCQ_STATUS_SYNCED},
    };
    int result = syncq_index_take(index, 1, 0, &view.slot);

    if (result != 0)
        return result;
    /* The segment may have been retired, and its marks with it: ask. */
    if (recovery->segments[recovery->current].pages_lost) {
        view.state.status = SYNCQ_STATUS_HELD;
        recovery->report->parts_held++;
    }
    syncq_index_write_identity(index, &view);
    syncq_part_table_add(&recovery->table, index, view.slot);
    mark_seen(recovery, view.slot);
    recovery->report->parts_found++;
    return 0;
}

/* The part is known: it may have been moved, and nothing else. */
static void know_part(struct syncq_recovery *recovery, uint32_t slot,
                      const struct syncq_record_header *header)
{
    struct syncq_index *index = &recovery->queue->index;
    struct syncq_entry_view view;

    mark_seen(recovery, slot);
    if (syncq_index_read(index, slot, &view) != 0)
        return; /* settled later */
    if (view.state.status == SYNCQ_STATUS_NEW)
        view.state.status = SYNCQ_STATUS_SYNCED;
    else if (header->lsn <= view.state.lsn)
        return;
    view.state.lsn = header->lsn;
    syncq_index_write_state(index, &view);
}

static void apply_mark(struct syncq_recovery *recovery,
                       const struct syncq_mark *mark, uint64_t lsn)
{
    struct syncq_index *index = &recovery->queue->index;
    uint32_t slot = syncq_part_table_find(&recovery->table, index,
                                          mark->sequence, mark->part);
    struct syncq_entry_view view;
    struct syncq_state state = mark->state;

    if (slot == SYNCQ_SLOT_NONE)
        return;
    recovery->words[slot] = lsn;
    if (syncq_index_read(index, slot, &view) != 0 ||
        view.state.status == SYNCQ_STATUS_DONE)
        return;
    state.lsn = view.state.lsn;
    state.mask |= view.state.mask;
    view.state = state;
    syncq_index_write_state(index, &view);
}

/* A part that was final when its message was copied. */
static void close_part(struct syncq_recovery *recovery, uint32_t slot,
                       uint64_t lsn)
{
    struct syncq_index *index = &recovery->queue->index;
    struct syncq_entry_view view;

    if (slot == SYNCQ_SLOT_NONE)
        return;
    recovery->words[slot] = lsn;
    if (syncq_index_read(index, slot, &view) != 0 ||
        syncq_status_is_final(view.state.status))
        return;
    view.state.status = SYNCQ_STATUS_DONE;
    syncq_index_write_state(index, &view);
}

/*
 * A relocated copy: it names the parts that were not final, with the states
 * that they had; the marks before it may be gone.  Where its segment may have
 * been retired, only the finished recipients are believed.
 */
static int replay_copied_part(struct syncq_recovery *recovery,
                              const struct syncq_record_header *header,
                              const struct syncq_part *part,
                              struct syncq_mark *mark)
{
    struct syncq_index *index = &recovery->queue->index;
    uint32_t slot = syncq_part_table_find(&recovery->table, index,
                                          header->sequence, mark->part);
    struct syncq_entry_view view;
    int result = 0;

    if (slot == SYNCQ_SLOT_NONE)
        result = add_part(recovery, header, part, mark->part);
    else
        know_part(recovery, slot, header);
    if (result != 0)
        return result;
    slot = syncq_part_table_find(&recovery->table, index, header->sequence,
                                 mark->part);
    if (recovery->segments[recovery->current].pages_lost &&
        syncq_index_read(index, slot, &view) == 0)
        mark->state.status = view.state.status;
    apply_mark(recovery, mark, header->lsn);
    return 0;
}

static int replay_copy(struct syncq_recovery *recovery,
                       const struct syncq_record_header *header,
                       const struct syncq_envelope *envelope,
                       const uint8_t *states)
{
    uint32_t next = 0;
    int result = 0;

    for (uint32_t i = 0; i < header->part_count && result == 0; i++) {
        struct syncq_mark mark = {0};

        if (next < header->state_count)
            syncq_mark_decode(states, next, &mark);
        if (next < header->state_count && mark.part == i) {
            mark.sequence = header->sequence;
            result = replay_copied_part(recovery, header, &envelope->parts[i],
                                        &mark);
            next++;
        } else {
            close_part(recovery,
                       syncq_part_table_find(&recovery->table,
                                             &recovery->queue->index,
                                             header->sequence, i),
                       header->lsn);
        }
    }
    return result;
}

static int replay_message(struct syncq_recovery *recovery,
                          const struct syncq_record_header *header,
                          const uint8_t *body)
{
    struct syncq_envelope envelope = {0};
    int result = syncq_envelope_decode(body, header->envelope_size, &envelope);

    if (result == ENOMEM)
        return result;
    if (result != 0 || envelope.part_count != header->part_count ||
        header->part_count == 0)
        goto out; /* genuine, yet senseless: no writer of ours made it */
    if (header->state_count > 0)
        result =
            replay_copy(recovery, header, &envelope,
                        body + header->envelope_size + header->content_size);
    for (uint32_t i = 0;
         header->state_count == 0 && i < header->part_count && result == 0;
         i++) {
        uint32_t slot = syncq_part_table_find(
            &recovery->table, &recovery->queue->index, header->sequence, i);

        if (slot == SYNCQ_SLOT_NONE)
            result = add_part(recovery, header, &envelope.parts[i], i);
        else
            know_part(recovery, slot, header);
    }
    recovery->report->messages++;
    SYNCQ_FAILPOINT("recovery.message-replayed");
out:
    syncq_envelope_clear(&envelope);
    return result == SYNCQ_ERR_BAD_ENVELOPE ? 0 : result;
}

static int replay_marks(struct syncq_recovery *recovery,
                        const struct syncq_record_header *header,
                        const uint8_t *content)
{
    size_t count = header->content_size / sizeof(struct syncq_mark_image);
    int result = grow((void **)&recovery->links, &recovery->link_capacity,
                      recovery->link_count, sizeof *recovery->links);

    if (result != 0)
        return result;
    recovery->links[recovery->link_count++] = header->previous_marks;
    for (size_t i = 0; i < count; i++) {
        struct syncq_mark mark;

        syncq_mark_decode(content, i, &mark);
        apply_mark(recovery, &mark, header->lsn);
    }
    recovery->marks_lsn = header->lsn;
    recovery->report->marks += count;
    return 0;
}

static int visit_record(const struct syncq_record_header *header,
                        const uint8_t *body, void *context)
{
    struct syncq_recovery *recovery = context;

    recovery->report->records++;
    if (header->durable_lsn > recovery->durable_lsn)
        recovery->durable_lsn = header->durable_lsn;
    if (header->checkpoint > recovery->log_checkpoint)
        recovery->log_checkpoint = header->checkpoint;
    if (syncq_record_type_is_message(header->type))
        return replay_message(recovery, header, body);
    if (header->type == SYNCQ_RECORD_MARKS)
        return replay_marks(recovery, header, body + header->envelope_size);
    return 0;
}

static int visit_gap(const struct syncq_gap *gap, void *context)
{
    struct syncq_recovery *recovery = context;
    int result = grow((void **)&recovery->gaps, &recovery->gap_capacity,
                      recovery->gap_count, sizeof *recovery->gaps);

    if (result == 0)
        recovery->gaps[recovery->gap_count++] = *gap;
    return result;
}

/* A gap that begins in damage and ends as a torn tail is two. */
static int split_gaps(struct syncq_recovery *recovery)
{
    size_t count = recovery->gap_count;
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        struct syncq_gap *gap = &recovery->gaps[i];
        struct syncq_gap upper = *gap;

        if (gap->lsn >= recovery->durable_lsn ||
            gap->lsn + gap->size <= recovery->durable_lsn)
            continue;
        upper.lsn = recovery->durable_lsn;
        upper.size -= upper.lsn - gap->lsn;
        upper.offset += upper.lsn - gap->lsn;
        upper.unreadable = syncq_log_reader_bad_size(&recovery->reader,
                                                     upper.offset, upper.size);
        gap->size -= upper.size;
        gap->unreadable = syncq_log_reader_bad_size(&recovery->reader,
                                                    gap->offset, gap->size);
        gap->tail = 0;
        if (gap->explained > gap->size)
            gap->explained = gap->size;
        result = visit_gap(&upper, recovery);
    }
    return result;
}

int syncq_recovery_replay(struct syncq_recovery *recovery)
{
    const struct syncq_log_visitor visitor = {visit_record, visit_gap,
                                              recovery};
    uint64_t size = recovery->queue->data.segment_size;
    int result = 0;

    for (uint32_t i = 0; i < recovery->used_count && result == 0; i++) {
        const struct syncq_segment_page *page =
            &recovery->segments[recovery->order[i]].page;
        uint64_t start = SYNCQ_PAGE_SIZE;

        if (page->base_lsn + size <= recovery->replay_lsn)
            continue;
        if (recovery->replay_lsn > page->base_lsn + start)
            start = recovery->replay_lsn - page->base_lsn;
        if (start > size - SYNCQ_PAGE_SIZE)
            continue;
        recovery->report->scanned_size += size - start;
        recovery->report->segments_scanned++;
        recovery->current = page->number;
        result = syncq_log_scan_with(
            &recovery->reader, recovery->queue, page->number, page->base_lsn,
            start & ~(SYNCQ_RECORD_STEP - 1), &visitor);
    }
    return result == 0 ? split_gaps(recovery) : result;
}
