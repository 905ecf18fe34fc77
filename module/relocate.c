/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/recovery_internal.h"
#include "module/relocate.h"
#include "module/reserve.h"

/*
 * The states are read after the marks that this thread appended before, and
 * each later change gets a mark behind the copy: so copy and marks together,
 * in LSN order, always end in the present state.
 */
static int read_states(struct syncq_queue *queue, const uint32_t *slots,
                       uint32_t count, struct syncq_relocation *relocation,
                       struct syncq_mark *states)
{
    for (uint32_t i = 0; i < count; i++) {
        struct syncq_entry_view view = {0};
        int result = syncq_index_read(&queue->index, slots[i], &view);

        if (result != 0)
            return view.state.status == SYNCQ_STATUS_LOST ? result : ENOENT;
        if (relocation->sequence == 0)
            relocation->sequence = view.sequence;
        if (view.sequence != relocation->sequence ||
            syncq_status_is_final(view.state.status))
            continue;
        if (view.state.status == SYNCQ_STATUS_NEW)
            return SYNCQ_ERR_BUSY;
        relocation->slots[relocation->count] = slots[i];
        relocation->parts[relocation->count] = view.part;
        states[relocation->count++] =
            (struct syncq_mark){view.sequence, view.part, view.state};
    }
    return relocation->count == 0 ? ENOENT : 0;
}

static void relocation_clear(struct syncq_relocation *relocation)
{
    free(relocation->slots);
    free(relocation->parts);
    memset(relocation, 0, sizeof *relocation);
}

int syncq_relocate_start(struct syncq_queue *queue, const uint32_t *slots,
                         uint32_t count, struct syncq_relocation *relocation)
{
    struct syncq_mark *states = calloc(count, sizeof *states);
    struct syncq_record record = {0};
    int result;

    *relocation = (struct syncq_relocation){
        .slots = calloc(count, sizeof *relocation->slots),
        .parts = calloc(count, sizeof *relocation->parts)};
    result =
        states == NULL || relocation->slots == NULL || relocation->parts == NULL
            ? ENOMEM
            : read_states(queue, slots, count, relocation, states);
    if (result == 0)
        result = syncq_record_read(queue, states[0].state.lsn,
                                   relocation->sequence, &record);
    if (result == 0 && !syncq_record_type_is_message(record.header.type))
        result = SYNCQ_ERR_BAD_RECORD;
    if (result == 0)
        result = syncq_copy_append(queue, &record, states, relocation->count,
                                   &relocation->ticket);
    if (result == 0) {
        relocation->size = syncq_record_size(
            record.header.envelope_size + record.header.content_size,
            relocation->count * sizeof(struct syncq_mark_image));
        atomic_fetch_add(&queue->handle.channel->copies, 1);
        atomic_fetch_add(&queue->handle.channel->copied_size, relocation->size);
    }
    syncq_record_clear(&record);
    free(states);
    if (result != 0)
        relocation_clear(relocation);
    return result;
}

/* The entry names the copy from now on; the older version of its state stays
 * valid until the new one is whole. */
static void move_part(struct syncq_queue *queue, uint32_t slot,
                      uint64_t sequence, uint32_t part, uint64_t lsn)
{
    struct syncq_entry_view view;

    if (syncq_index_read(&queue->index, slot, &view) != 0 ||
        view.sequence != sequence || view.part != part || view.state.lsn >= lsn)
        return;
    view.state.lsn = lsn;
    syncq_index_write_state(&queue->index, &view);
}

/* All entries are written before synced_lsn may pass the copy. */
static void entries_written(struct syncq_queue *queue, uint32_t request)
{
    atomic_store(&queue->handle.channel->requests[request].entries_written, 1);
}

void syncq_relocate_finish(struct syncq_queue *queue,
                           struct syncq_relocation *relocation)
{
    struct syncq_ticket *ticket = &relocation->ticket;

    for (uint32_t i = 0; ticket->confirmed && i < relocation->count; i++)
        move_part(queue, relocation->slots[i], relocation->sequence,
                  relocation->parts[i], ticket->lsn);
    entries_written(queue, ticket->request);
    syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_SYNCED);
    relocation_clear(relocation);
}

/* What a request of a manager that died still needs. */
static int left_behind(struct syncq_queue *queue, uint32_t number)
{
    struct syncq_channel *channel = queue->handle.channel;
    const struct syncq_request *request = &channel->requests[number];
    uint32_t state = atomic_load(&channel->states[number]);

    if (!syncq_request_is_copy(request) ||
        request->owner == queue->handle.owner)
        return 0;
    switch (state) {
    case SYNCQ_REQUEST_CONFIRM:
        return SYNCQ_ERR_EXISTS;
    case SYNCQ_REQUEST_SENT:
    case SYNCQ_REQUEST_RECEIPT:
        return SYNCQ_ERR_TIMEOUT;
    default: /* void, failed, or about to be: there is no copy */
        return 0;
    }
}

static int settle_copy(struct syncq_queue *queue,
                       const struct syncq_part_table *table, uint32_t number)
{
    struct syncq_channel *channel = queue->handle.channel;
    const struct syncq_request request = channel->requests[number];
    struct syncq_record record;
    int result =
        syncq_record_read(queue, request.lsn, request.sequence, &record);

    if (result != 0)
        return result;
    for (uint32_t i = 0; i < record.header.state_count; i++) {
        struct syncq_mark mark;
        uint32_t slot;

        syncq_mark_decode(record.states, i, &mark);
        slot = syncq_part_table_find(table, &queue->index, request.sequence,
                                     mark.part);
        if (slot != SYNCQ_SLOT_NONE)
            move_part(queue, slot, request.sequence, mark.part, request.lsn);
    }
    syncq_record_clear(&record);
    entries_written(queue, number);
    atomic_store(&channel->states[number], SYNCQ_REQUEST_CONFCONF);
    return 0;
}

int syncq_relocate_settle(struct syncq_queue *queue)
{
    struct syncq_part_table table = {0};
    int result = 0;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX && result == 0; i++) {
        int left = left_behind(queue, i);

        if (left == SYNCQ_ERR_TIMEOUT)
            result = left;
        if (left == SYNCQ_ERR_EXISTS && table.slots == NULL)
            result = syncq_part_table_init(&table, &queue->index);
        if (left == SYNCQ_ERR_EXISTS && result == 0)
            result = settle_copy(queue, &table, i);
    }
    syncq_part_table_clear(&table);
    return result;
}
