/* SPDX-License-Identifier: MIT */
#include "module/cleaner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/marks_format.h"
#include "module/queue_internal.h"

/*
 * Bytes that mail can still be given when the cleaner begins, and when it
 * stops.  The later it begins, the less is moved: much of the mail will have
 * been delivered by then.
 */
static uint64_t free_low(const struct syncq_space *space)
{
    uint32_t count = space->segment_count / 16;

    return (count < 1 ? 1 : count) * space->segment_room;
}

static uint64_t free_high(const struct syncq_space *space)
{
    uint32_t more = space->segment_count / 8;

    return free_low(space) + (more < 1 ? 1 : more) * space->segment_room;
}

/* Bytes that the copies take at most: each part adds a state, and each record
 * is rounded up. */
static uint64_t copies_size(const struct syncq_segment_use *use)
{
    return use->live_size + use->live_parts * (sizeof(struct syncq_mark_image) +
                                               SYNCQ_RECORD_STEP);
}

/*
 * Will the copies fit, with something left for marks?  Once begun, a segment
 * has to be emptied: there must be room to the end.
 */
static int has_room(const struct syncq_space *space,
                    const struct syncq_segment_use *use)
{
    uint64_t needed = copies_size(use) + space->segment_room / 16;

    return needed <= space->head_room ||
           (space->segments_free > 0 && needed <= space->segment_room) ||
           space->segments_free > 1;
}

static int is_worth_it(const struct syncq_space *space,
                       const struct syncq_segment_use *use)
{
    return use->live_size <=
           space->segment_room / 100 * SYNCQ_CLEANER_LIVE_MAX_PERCENT;
}

static int can_be_emptied(const struct syncq_segment_use *use)
{
    return use->state == SYNCQ_SEGMENT_CLOSED && !use->busy && !use->broken;
}

/* Bytes of mail that stays, in all segments that are worth emptying. */
static uint64_t scattered_size(const struct syncq_space *space)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < space->segment_count; i++)
        if (can_be_emptied(&space->segments[i]) &&
            is_worth_it(space, &space->segments[i]))
            size += space->segments[i].live_size;
    return size;
}

enum syncq_cleaner_need syncq_cleaner_need(const struct syncq_space *space,
                                           enum syncq_cleaner_need last)
{
    uint64_t low =
        last == SYNCQ_CLEANER_SEGMENTS ? free_high(space) : free_low(space);
    uint32_t entries =
        space->entry_count / (last == SYNCQ_CLEANER_ENTRIES ? 8 : 16);
    uint64_t scattered = scattered_size(space);

    for (uint32_t i = 0; i < space->segment_count; i++)
        if (space->segments[i].state == SYNCQ_SEGMENT_EMPTYING)
            return SYNCQ_CLEANER_FINISH;
    if (last == SYNCQ_CLEANER_GATHER && scattered > 0)
        return SYNCQ_CLEANER_GATHER;
    if (syncq_space_free(space) < low)
        return scattered >= space->segment_room ? SYNCQ_CLEANER_GATHER
                                                : SYNCQ_CLEANER_SEGMENTS;
    return space->entries_free < entries ? SYNCQ_CLEANER_ENTRIES
                                         : SYNCQ_CLEANER_NOTHING;
}

/* One slot for eight live parts that are moved, at least. */
static int frees_enough(const struct syncq_segment_use *use)
{
    return use->final_parts > use->live_parts / 8;
}

/* Is a better than b for this need? */
static int is_better(const struct syncq_segment_use *a,
                     const struct syncq_segment_use *b,
                     enum syncq_cleaner_need need)
{
    if (need != SYNCQ_CLEANER_ENTRIES)
        return a->live_size < b->live_size;
    return (double)a->final_parts * (double)(b->live_size + 1) >
           (double)b->final_parts * (double)(a->live_size + 1);
}

static int find_emptying(const struct syncq_space *space, uint32_t *segment)
{
    int found = 0;

    for (uint32_t i = 0; i < space->segment_count; i++)
        if (space->segments[i].state == SYNCQ_SEGMENT_EMPTYING &&
            (!found || space->segments[i].base_lsn <
                           space->segments[*segment].base_lsn)) {
            *segment = i;
            found = 1;
        }
    return found ? 0 : ENOENT;
}

/* Leaving the head's segment wastes its rest: only while there are others. */
static int head_is_best(const struct syncq_space *space,
                        const struct syncq_segment_use *best)
{
    const struct syncq_segment_use *head;

    if (space->head_segment == SYNCQ_SEGMENT_NONE || space->segments_free <= 2)
        return 0;
    head = &space->segments[space->head_segment];
    return !head->broken && frees_enough(head) &&
           (best == NULL || is_better(head, best, SYNCQ_CLEANER_ENTRIES));
}

int syncq_cleaner_choose(const struct syncq_space *space,
                         enum syncq_cleaner_need need, uint32_t *segment)
{
    const struct syncq_segment_use *best = NULL;

    if (need == SYNCQ_CLEANER_FINISH)
        return find_emptying(space, segment);
    if (need == SYNCQ_CLEANER_NOTHING)
        return ENOENT;
    for (uint32_t i = 0; i < space->segment_count; i++) {
        const struct syncq_segment_use *use = &space->segments[i];

        if (!can_be_emptied(use) || !has_room(space, use) ||
            (need == SYNCQ_CLEANER_ENTRIES ? !frees_enough(use)
                                           : !is_worth_it(space, use)) ||
            (best != NULL && !is_better(use, best, need)))
            continue;
        best = use;
        *segment = i;
    }
    if (need == SYNCQ_CLEANER_ENTRIES && head_is_best(space, best))
        return EAGAIN;
    return best == NULL ? ENOENT : 0;
}

uint64_t syncq_cleaner_reclaimable(const struct syncq_space *space)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < space->segment_count; i++) {
        const struct syncq_segment_use *use = &space->segments[i];

        if ((can_be_emptied(use) && is_worth_it(space, use)) ||
            use->state == SYNCQ_SEGMENT_EMPTYING)
            size += space->segment_room - use->live_size;
    }
    return size;
}

struct found_part {
    uint64_t sequence;
    uint32_t part, slot;
};

static int compare_parts(const void *a, const void *b)
{
    const struct found_part *left = a, *right = b;

    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return left->part < right->part ? -1 : left->part > right->part;
}

/* Found parts of one segment, in the order of the index; NULL: no memory. */
static struct found_part *find_parts(struct syncq_queue *queue,
                                     uint64_t base_lsn, uint32_t *count)
{
    struct found_part *parts = NULL;
    uint32_t capacity = 0;

    *count = 0;
    for (uint32_t slot = 0; slot < queue->index.entry_count; slot++) {
        struct syncq_entry_view view;

        if (syncq_index_read(&queue->index, slot, &view) != 0 ||
            view.state.lsn - base_lsn >= queue->data.segment_size ||
            !syncq_part_is_live(&view))
            continue;
        if (*count == capacity) {
            struct found_part *grown;

            capacity = capacity == 0 ? 256 : capacity * 2;
            grown = realloc(parts, capacity * sizeof *grown);
            if (grown == NULL) {
                free(parts);
                return NULL;
            }
            parts = grown;
        }
        parts[(*count)++] =
            (struct found_part){view.sequence, view.part, view.slot};
    }
    return parts == NULL ? calloc(1, sizeof *parts) : parts;
}

int syncq_cleaner_list(struct syncq_queue *queue, uint64_t base_lsn,
                       struct syncq_cleaner_list *list)
{
    uint32_t count;
    struct found_part *parts = find_parts(queue, base_lsn, &count);

    memset(list, 0, sizeof *list);
    if (parts == NULL)
        return ENOMEM;
    list->slots = calloc(count + 1, sizeof *list->slots);
    if (list->slots == NULL) {
        free(parts);
        return ENOMEM;
    }
    qsort(parts, count, sizeof *parts, compare_parts);
    for (uint32_t i = 0; i < count; i++)
        list->slots[i] = parts[i].slot;
    list->count = count;
    free(parts);
    return 0;
}

void syncq_cleaner_list_clear(struct syncq_cleaner_list *list)
{
    free(list->slots);
    memset(list, 0, sizeof *list);
}

int syncq_cleaner_start(struct syncq_queue *queue,
                        struct syncq_cleaner_list *list,
                        struct syncq_relocation *relocation)
{
    uint32_t first = list->next;
    uint64_t sequence = 0;

    for (; list->next < list->count; list->next++) {
        struct syncq_entry_view view;

        if (syncq_index_read(&queue->index, list->slots[list->next], &view) !=
            0)
            continue; /* lost meanwhile: start says so */
        if (sequence == 0)
            sequence = view.sequence;
        if (view.sequence != sequence)
            break;
    }
    return first == list->next
               ? ERANGE
               : syncq_relocate_start(queue, list->slots + first,
                                      list->next - first, relocation);
}
