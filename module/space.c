/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/queue_internal.h"
#include "module/read.h"
#include "module/reserve.h"
#include "module/space.h"

struct syncq_space_sizes {
    uint32_t count;
    struct known_size {
        uint64_t lsn, size;
    } * known; /* by slot */
};

int syncq_space_sizes_new(struct syncq_queue *queue,
                          struct syncq_space_sizes **sizes)
{
    struct syncq_space_sizes *made = calloc(1, sizeof *made);

    if (made == NULL)
        return ENOMEM;
    made->count = queue->index.entry_count;
    made->known = calloc(made->count, sizeof *made->known);
    if (made->known == NULL) {
        free(made);
        return ENOMEM;
    }
    *sizes = made;
    return 0;
}

void syncq_space_sizes_free(struct syncq_space_sizes *sizes)
{
    if (sizes == NULL)
        return;
    free(sizes->known);
    free(sizes);
}

uint32_t syncq_space_head(struct syncq_queue *queue)
{
    const struct syncq_channel *channel = queue->handle.channel;

    return channel == NULL ? SYNCQ_SEGMENT_NONE : channel->head_segment;
}

int syncq_part_is_live(const struct syncq_entry_view *view)
{
    return !syncq_status_is_final(view->state.status);
}

/* Segments by base, so that the one of an LSN is found fast. */
struct order {
    uint32_t *segments;
    uint32_t count;
};

static void sort_in(struct order *order, const struct syncq_space *space,
                    uint32_t segment)
{
    uint64_t base = space->segments[segment].base_lsn;
    uint32_t at = order->count++;

    for (; at > 0 && space->segments[order->segments[at - 1]].base_lsn > base;
         at--)
        order->segments[at] = order->segments[at - 1];
    order->segments[at] = segment;
}

static struct syncq_segment_use *
find(const struct order *order, const struct syncq_space *space, uint64_t lsn)
{
    uint32_t low = 0, high = order->count;
    struct syncq_segment_use *use;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (space->segments[order->segments[middle]].base_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    use = &space->segments[order->segments[low - 1]];
    return lsn - use->base_lsn < space->segment_room + 2 * SYNCQ_PAGE_SIZE
               ? use
               : NULL;
}

static void read_segment(struct syncq_queue *queue, struct syncq_space *space,
                         uint32_t segment)
{
    const struct syncq_channel *channel = queue->handle.channel;
    struct syncq_segment_use *use = &space->segments[segment];
    struct syncq_segment_page page;

    use->state = SYNCQ_SEGMENT_FREE;
    if (channel != NULL && channel->next_segment == segment) {
        space->segments_free++; /* prepared: it has a base, and no record */
        return;
    }
    if (syncq_segment_base(queue, segment, &use->base_lsn) != 0) {
        space->segments_free++;
        return;
    }
    if (channel != NULL)
        use->state = atomic_load(&channel->segments[segment].state);
    else if (syncq_data_read_segment_page(&queue->data, &queue->key, segment,
                                          &page) == 0)
        use->state = page.state;
}

static void read_head(struct syncq_queue *queue, struct syncq_space *space)
{
    const struct syncq_channel *channel = queue->handle.channel;
    uint64_t head, base, end;

    space->head_segment = SYNCQ_SEGMENT_NONE;
    if (channel == NULL || channel->head_segment >= space->segment_count)
        return;
    space->head_segment = channel->head_segment;
    head = channel->head_lsn;
    base = atomic_load(&channel->segments[space->head_segment].base_lsn);
    end = base + queue->data.segment_size - SYNCQ_PAGE_SIZE;
    if (head >= base && head < end)
        space->head_room = end - head;
}

/* Writers that have not finished yet; a place that is void soon, too. */
static void read_requests(struct syncq_queue *queue, struct syncq_space *space)
{
    const struct syncq_channel *channel = queue->handle.channel;

    for (uint32_t i = 0; channel != NULL && i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t segment = channel->requests[i].segment;

        if (syncq_request_is_taken(atomic_load(&channel->states[i])) &&
            segment < space->segment_count)
            space->segments[segment].busy = 1;
    }
}

/* The index may have grown since they were made. */
static int make_room(struct syncq_space_sizes *sizes, uint32_t count)
{
    struct known_size *grown;

    if (sizes == NULL || sizes->count >= count)
        return 0;
    grown = realloc(sizes->known, count * sizeof *grown);
    if (grown == NULL)
        return ENOMEM;
    memset(grown + sizes->count, 0, (count - sizes->count) * sizeof *grown);
    sizes->known = grown;
    sizes->count = count;
    return 0;
}

/* The whole record is counted once, for its first part. */
static int look_up_size(struct syncq_queue *queue,
                        struct syncq_space_sizes *sizes,
                        const struct syncq_entry_view *view, uint64_t *size)
{
    struct known_size *known = &sizes->known[view->slot];
    struct syncq_record_header header;
    int result;

    if (known->lsn != view->state.lsn) {
        result = syncq_record_read_header(queue, view->state.lsn, &header);
        if (result == 0 && header.sequence != view->sequence)
            result = SYNCQ_ERR_BAD_RECORD;
        if (result != 0)
            return result;
        *known = (struct known_size){view->state.lsn, header.size};
    }
    *size = known->size;
    return 0;
}

/* It may have been moved while we looked; then it is not damaged. */
static int is_moved(struct syncq_queue *queue,
                    const struct syncq_entry_view *view)
{
    struct syncq_entry_view now;

    return syncq_index_read(&queue->index, view->slot, &now) != 0 ||
           now.sequence != view->sequence || now.state.lsn != view->state.lsn ||
           !syncq_part_is_live(&now);
}

static void add_part(struct syncq_queue *queue, struct syncq_space *space,
                     struct syncq_space_sizes *sizes,
                     const struct syncq_entry_view *view,
                     struct syncq_segment_use *use)
{
    uint64_t size;

    if (!syncq_part_is_live(view)) {
        use->final_parts++;
        return;
    }
    use->live_parts++;
    if (view->state.status == SYNCQ_STATUS_NEW)
        use->busy = 1;
    if (view->state.status == SYNCQ_STATUS_LOST)
        use->broken = 1;
    if (sizes == NULL || view->part != 0)
        return;
    if (look_up_size(queue, sizes, view, &size) == 0) {
        use->live_size += size;
        space->live_size += size;
    } else if (view->state.status != SYNCQ_STATUS_NEW &&
               !is_moved(queue, view)) {
        use->broken = 1;
    }
}

static void walk(struct syncq_queue *queue, struct syncq_space_sizes *sizes,
                 struct syncq_space *space, const struct order *order)
{
    for (uint32_t slot = 0; slot < space->entry_count; slot++) {
        struct syncq_entry_view view = {0};
        struct syncq_segment_use *use;
        int result = syncq_index_read(&queue->index, slot, &view);

        if (result != 0 && view.state.status != SYNCQ_STATUS_LOST) {
            space->entries_free++;
            continue;
        }
        if (view.state.lsn == 0) {
            space->unknown_parts++;
            continue;
        }
        use = find(order, space, view.state.lsn);
        if (use != NULL)
            add_part(queue, space, sizes, &view, use);
    }
}

int syncq_space_read(struct syncq_queue *queue, struct syncq_space_sizes *sizes,
                     struct syncq_space *space)
{
    struct order order = {0};
    int result = queue->handle.channel == NULL
                     ? syncq_data_follow_superblock(&queue->data, &queue->key)
                     : syncq_queue_follow(queue);

    if (result != 0)
        return result;
    *space = (struct syncq_space){
        .segment_count = queue->data.segment_count,
        .entry_count = queue->index.entry_count,
        .segment_room = syncq_record_size_max(queue),
    };
    order.segments = calloc(space->segment_count, sizeof *order.segments);
    space->segments = calloc(space->segment_count, sizeof *space->segments);
    if (order.segments == NULL || space->segments == NULL ||
        make_room(sizes, space->entry_count) != 0) {
        free(order.segments);
        syncq_space_clear(space);
        return ENOMEM;
    }
    for (uint32_t i = 0; i < space->segment_count; i++) {
        read_segment(queue, space, i);
        if (space->segments[i].state != SYNCQ_SEGMENT_FREE)
            sort_in(&order, space, i);
    }
    read_head(queue, space);
    /* Requests before entries: what a writer finishes in between is counted
     * as busy, never as nothing. */
    read_requests(queue, space);
    walk(queue, sizes, space, &order);
    free(order.segments);
    return 0;
}

void syncq_space_clear(struct syncq_space *space)
{
    free(space->segments);
    memset(space, 0, sizeof *space);
}

/* The last free segment is for the cleaner and marks. */
uint64_t syncq_space_free(const struct syncq_space *space)
{
    return space->segments_free == 0
               ? 0
               : space->head_room +
                     (space->segments_free - 1) * space->segment_room;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return part >= whole ? 100 : (unsigned)(part * 100 / whole);
}

uint64_t syncq_space_size(const struct syncq_space *space)
{
    return (space->segment_count - 1) * space->segment_room;
}

uint64_t syncq_space_entries_live(const struct syncq_space *space)
{
    uint64_t count = space->entry_count - space->entries_free;

    for (uint32_t i = 0; i < space->segment_count; i++)
        count -= space->segments[i].final_parts;
    return count;
}

unsigned syncq_space_used_percent(const struct syncq_space *space)
{
    return percent(space->live_size, syncq_space_size(space));
}

unsigned syncq_space_entries_used_percent(const struct syncq_space *space)
{
    return percent(syncq_space_entries_live(space), space->entry_count);
}
