/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "module/damage.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/log_scan.h"
#include "module/recovery_internal.h"
#include "module/retire.h"
#include "module/space.h"

/* The lowest base of a segment that is being emptied; else the highest LSN. */
static uint64_t emptying_base(const struct syncq_space *space)
{
    uint64_t lowest = UINT64_MAX;

    for (uint32_t i = 0; i < space->segment_count; i++)
        if (space->segments[i].state == SYNCQ_SEGMENT_EMPTYING &&
            space->segments[i].base_lsn < lowest)
            lowest = space->segments[i].base_lsn;
    return lowest;
}

static int choose_segment(struct syncq_queue *queue,
                          const struct syncq_space *space, uint32_t *segment)
{
    const struct syncq_channel *channel = queue->handle.channel;
    uint64_t oldest = emptying_base(space);
    int found = 0;

    for (uint32_t i = 0; i < space->segment_count; i++) {
        const struct syncq_segment_use *use = &space->segments[i];

        if ((use->state != SYNCQ_SEGMENT_CLOSED &&
             use->state != SYNCQ_SEGMENT_EMPTYING) ||
            use->live_parts > 0 || use->base_lsn > oldest ||
            atomic_load(&channel->segments[i].ask) != SYNCQ_ASK_NOTHING)
            continue;
        oldest = use->base_lsn;
        *segment = i;
        found = 1;
    }
    return found ? 0 : SYNCQ_ERR_SEGMENTS_FULL;
}

/* The marks of one segment, as (sequence, part), each once. */
struct carry {
    struct syncq_queue *queue;
    struct syncq_part_table table;
    uint64_t base_lsn;
    uint8_t *taken; /* one bit per slot */
    struct syncq_mark *marks;
    uint32_t count, capacity;
};

static int carry_mark(struct carry *carry, const struct syncq_mark *mark)
{
    const struct syncq_index *index = &carry->queue->index;
    uint32_t slot =
        syncq_part_table_find(&carry->table, index, mark->sequence, mark->part);
    struct syncq_entry_view view;

    if (slot == SYNCQ_SLOT_NONE ||
        (carry->taken[slot / 8] >> slot % 8 & 1) != 0 ||
        syncq_index_read(index, slot, &view) != 0 ||
        view.state.lsn - carry->base_lsn < carry->queue->data.segment_size)
        return 0; /* retired with its record, now or earlier */
    if (carry->count == carry->capacity) {
        uint32_t capacity = carry->capacity == 0 ? 256 : carry->capacity * 2;
        struct syncq_mark *grown =
            realloc(carry->marks, capacity * sizeof *grown);

        if (grown == NULL)
            return ENOMEM;
        carry->marks = grown;
        carry->capacity = capacity;
    }
    carry->taken[slot / 8] |= (uint8_t)(1u << slot % 8);
    carry->marks[carry->count++] = (struct syncq_mark){
        .sequence = view.sequence, .part = view.part, .state = view.state};
    return 0;
}

static int visit_record(const struct syncq_record_header *header,
                        const uint8_t *body, void *context)
{
    int result = 0;

    if (header->type != SYNCQ_RECORD_MARKS)
        return 0;
    for (size_t i = 0; result == 0 && i < header->content_size /
                                              sizeof(struct syncq_mark_image);
         i++) {
        struct syncq_mark mark;

        syncq_mark_decode(body + header->envelope_size, i, &mark);
        result = carry_mark(context, &mark);
    }
    return result;
}

/* Marks may have been in a damaged place: what they said is in the index only,
 * and has to be in the log before nobody sees any more that they are missing.
 */
static int carry_older(struct carry *carry, uint64_t lsn)
{
    const struct syncq_index *index = &carry->queue->index;
    int result = 0;

    for (uint32_t slot = 0; slot < index->entry_count && result == 0; slot++) {
        struct syncq_mark mark = {0};
        struct syncq_entry_view view;

        if (syncq_index_read(index, slot, &view) != 0 || view.state.lsn >= lsn)
            continue;
        mark.sequence = view.sequence;
        mark.part = view.part;
        result = carry_mark(carry, &mark);
    }
    return result;
}

/* Damaged: kept for the administrator until a repair has dealt with it. */
static int visit_gap(const struct syncq_gap *gap, void *context)
{
    struct carry *carry = context;
    struct syncq_damage_list list = {0};
    const struct syncq_damage *known;
    int is_repaired;

    (void)syncq_damage_list_read(carry->queue->directory_fd, &list);
    known = syncq_damage_list_find(&list, gap->lsn, gap->size);
    is_repaired = known != NULL && known->state == SYNCQ_DAMAGE_REPAIRED;
    syncq_damage_list_clear(&list);
    return is_repaired ? carry_older(carry, gap->lsn + gap->size)
                       : SYNCQ_ERR_BAD_RECORD;
}

static void carry_clear(struct carry *carry)
{
    syncq_part_table_clear(&carry->table);
    free(carry->taken);
    free(carry->marks);
    *carry = (struct carry){0};
}

/* SYNCQ_ERR_BAD_RECORD: not all of the segment can be read. */
static int carry_read(struct carry *carry, struct syncq_queue *queue,
                      uint32_t segment)
{
    const struct syncq_log_visitor visitor = {visit_record, visit_gap, carry};
    int result;

    carry_clear(carry);
    carry->queue = queue;
    carry->base_lsn =
        atomic_load(&queue->handle.channel->segments[segment].base_lsn);
    /* The table first: slots may be added meanwhile. */
    result = syncq_part_table_init(&carry->table, &queue->index);
    carry->taken = calloc(queue->index.entry_count / 8 + 1, 1);
    if (result == 0 && carry->taken == NULL)
        result = ENOMEM;
    if (result == 0)
        result = syncq_log_scan(queue, segment, carry->base_lsn,
                                SYNCQ_PAGE_SIZE, &visitor);
    return result;
}

int syncq_retire_find(struct syncq_queue *queue, uint32_t *segment,
                      struct syncq_mark **marks, uint32_t *mark_count)
{
    struct carry carry = {0};
    struct syncq_space space = {0};
    int result = syncq_space_read(queue, NULL, &space);

    if (result == 0 && space.unknown_parts > 0)
        result = SYNCQ_ERR_BAD_ENTRY; /* damaged or in work: wait */
    while (result == 0) {
        result = choose_segment(queue, &space, segment);
        if (result == 0)
            result = carry_read(&carry, queue, *segment);
        if (result != SYNCQ_ERR_BAD_RECORD)
            break;
        /* Damaged, or a writer that was stopped has not yet filled its place:
         * that must not keep the others. */
        space.segments[*segment].live_parts = 1;
        result = 0;
    }
    if (result == SYNCQ_ERR_BAD_ENTRY)
        result = SYNCQ_ERR_SEGMENTS_FULL;
    syncq_space_clear(&space);
    if (result == 0) {
        *marks = carry.marks;
        *mark_count = carry.count;
        carry.marks = NULL;
    }
    carry_clear(&carry);
    return result;
}

static void ask(struct syncq_queue *queue, uint32_t segment,
                enum syncq_segment_ask what)
{
    struct syncq_channel *channel = queue->handle.channel;

    atomic_store(&channel->segments[segment].ask, what);
    atomic_fetch_add(&channel->asks, 1);
    SYNCQ_FAILPOINT("retire.asked");
    syncq_channel_ring(channel);
}

void syncq_retire_ask(struct syncq_queue *queue, uint32_t segment)
{
    ask(queue, segment, SYNCQ_ASK_RETIRE);
}

int syncq_retire_ask_emptying(struct syncq_queue *queue, uint32_t segment)
{
    struct carry carry = {0};
    int result = carry_read(&carry, queue, segment); /* for the reading alone */

    carry_clear(&carry);
    if (result == 0)
        ask(queue, segment, SYNCQ_ASK_EMPTY);
    return result;
}

int syncq_retire_wait(struct syncq_queue *queue, uint32_t segment,
                      int timeout_ms)
{
    struct syncq_channel *channel = queue->handle.channel;
    const struct syncq_channel_segment *known = &channel->segments[segment];
    uint64_t end_us = syncq_clock_us() + (uint64_t)timeout_ms * 1000;

    for (;;) {
        uint32_t bell = atomic_load(&channel->segment_bell);
        uint64_t now_us = syncq_clock_us();

        if (atomic_load(&known->ask) == SYNCQ_ASK_NOTHING)
            return atomic_load(&known->state) == SYNCQ_SEGMENT_CLOSED
                       ? SYNCQ_ERR_BUSY
                       : 0;
        if (now_us >= end_us)
            return SYNCQ_ERR_TIMEOUT;
        (void)syncq_futex_wait(&channel->segment_bell, bell,
                               (int64_t)(end_us - now_us));
    }
}
