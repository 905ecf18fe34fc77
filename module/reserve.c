/* SPDX-License-Identifier: MIT */
/*
 * reserve.c - where the next record goes
 *
 * Everything under the lock is bounded and touches only the channel and the
 * links of entries; records are copied after it is released.  A request is
 * written whole and its state set before the head moves: whoever finds the
 * lock's owner dead rolls the head forward from the requests.
 */
#include <errno.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/record_format.h"
#include "module/reserve.h"
#include "module/segment_format.h"

enum {
    SEGMENT_WAIT_MS = 5000,
    /* Kept back for void records, so that a batch can always be sealed and a
     * segment always be left. */
    SPARE_REQUESTS = 16,
    WRITER_REQUESTS = SYNCQ_REQUESTS_MAX - SPARE_REQUESTS,
};

/* A process can die between any two stores; the compiler shall not decide
 * which of them are done by then. */
static void in_this_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

int syncq_request_is_taken(uint32_t state)
{
    return state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF;
}

int syncq_request_is_copy(const struct syncq_request *request)
{
    return request->sequence != 0 && request->slot_count == 0;
}

/* A slot that a living request took, although its identity still says free? */
static int slot_in_use(uint32_t slot, uint32_t lock, void *context)
{
    struct syncq_channel *channel = context;

    (void)slot;
    return lock <= SYNCQ_REQUESTS_MAX &&
           syncq_request_is_taken(atomic_load(&channel->states[lock - 1]));
}

/* Bytes left for records in the head's segment; 0 when there is none. */
static uint64_t head_room(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t base, end;

    if (channel->head_segment >= queue->data.segment_count)
        return 0;
    base = atomic_load(&channel->segments[channel->head_segment].base_lsn);
    end = base + queue->data.segment_size - SYNCQ_PAGE_SIZE;
    return channel->head_lsn >= base && channel->head_lsn <= end
               ? end - channel->head_lsn
               : 0;
}

/* The owner died while it moved the head into the next segment: before the
 * head was put there, or before the segment stopped being the next one. */
static void finish_move(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t base;

    if (channel->head_segment != channel->next_segment ||
        channel->head_segment >= queue->data.segment_count)
        return;
    base = atomic_load(&channel->segments[channel->head_segment].base_lsn);
    if (channel->head_lsn < base + SYNCQ_PAGE_SIZE)
        channel->head_lsn = base + SYNCQ_PAGE_SIZE;
    in_this_order();
    channel->next_segment = SYNCQ_SEGMENT_NONE;
}

static void repair(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;

    finish_move(queue);
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        const struct syncq_request *request = &channel->requests[i];

        /* One reservation at most has not moved the head yet. */
        if (syncq_request_is_taken(atomic_load(&channel->states[i])) &&
            request->segment == channel->head_segment &&
            request->lsn == channel->head_lsn &&
            request->size <= head_room(queue))
            channel->head_lsn += request->size;
    }
    SYNCQ_FAILPOINT("repair.head-moved");
    syncq_index_rebuild_lists(&queue->index, slot_in_use, channel);
}

int syncq_reserve_lock(struct syncq_queue *queue)
{
    pthread_mutex_t *mutex = &queue->handle.channel->reserve;
    int result = pthread_mutex_lock(mutex);
    int followed;

    if (result != 0 && result != EOWNERDEAD)
        return result;
    /* Head and lists may have moved into what the queue has grown by. */
    followed = syncq_queue_follow(queue);
    if (followed != 0) {
        (void)pthread_mutex_unlock(mutex);
        return followed;
    }
    if (result != EOWNERDEAD)
        return result;
    SYNCQ_FAILPOINT("repair.begins");
    repair(queue);
    SYNCQ_FAILPOINT("repair.done");
    return pthread_mutex_consistent(mutex);
}

void syncq_reserve_unlock(struct syncq_queue *queue)
{
    (void)pthread_mutex_unlock(&queue->handle.channel->reserve);
}

static int find_request(struct syncq_channel *channel, uint32_t *number)
{
    for (uint32_t i = 0; i < WRITER_REQUESTS; i++) {
        uint32_t at = (channel->request_cursor + i) % WRITER_REQUESTS;

        if (syncq_request_is_taken(atomic_load_explicit(&channel->states[at],
                                                        memory_order_acquire)))
            continue;
        channel->request_cursor = at + 1;
        *number = at;
        return 0;
    }
    return SYNCQ_ERR_REQUESTS_FULL;
}

/* The same for a void record. */
static int find_void_request(struct syncq_channel *channel, uint32_t *number)
{
    for (uint32_t i = SYNCQ_REQUESTS_MAX; i-- > 0;)
        if (!syncq_request_is_taken(atomic_load_explicit(
                &channel->states[i], memory_order_acquire))) {
            *number = i;
            return 0;
        }
    return SYNCQ_ERR_REQUESTS_FULL;
}

/* Write a request at the head and move the head behind it. */
static void place(struct syncq_queue *queue, uint32_t number, uint64_t size,
                  uint32_t owner, uint32_t state,
                  struct syncq_reservation *reservation)
{
    struct syncq_channel *channel = queue->handle.channel;
    struct syncq_request *request = &channel->requests[number];
    uint64_t base =
        atomic_load(&channel->segments[channel->head_segment].base_lsn);

    request->lsn = channel->head_lsn;
    request->size = size;
    request->sequence = reservation->sequence;
    request->owner = owner;
    request->segment = channel->head_segment;
    SYNCQ_FAILPOINT("reserve.request-written");
    atomic_store_explicit(&channel->states[number], state,
                          memory_order_release);
    in_this_order();
    SYNCQ_FAILPOINT("reserve.placed");
    channel->head_lsn += size;
    SYNCQ_FAILPOINT("reserve.head-moved");
    reservation->lsn = request->lsn;
    reservation->size = size;
    reservation->request = number;
    reservation->segment = request->segment;
    reservation->offset = request->lsn - base;
}

/*
 * Move the head into the segment that the helper prepared.  What is left of
 * the old one becomes a void record, which the helper writes.  EAGAIN: ask the
 * helper and wait.
 */
static int next_segment(struct syncq_queue *queue, enum syncq_reserve_kind kind)
{
    struct syncq_channel *channel = queue->handle.channel;
    struct syncq_reservation rest = {0};
    uint64_t room = head_room(queue);
    uint32_t next = channel->next_segment;
    uint32_t number;

    if (next >= queue->data.segment_count)
        return atomic_load(&channel->segments_exhausted)
                   ? SYNCQ_ERR_SEGMENTS_FULL
                   : EAGAIN;
    if (channel->next_is_last && kind == SYNCQ_RESERVE_MESSAGE)
        return SYNCQ_ERR_SEGMENTS_FULL;
    if (room > 0) {
        if (find_void_request(channel, &number) != 0)
            return SYNCQ_ERR_REQUESTS_FULL;
        atomic_store(&channel->requests[number].entries_written, 1);
        channel->requests[number].slot_count = 0;
        place(queue, number, room, 0, SYNCQ_REQUEST_WITHDRAWN, &rest);
    }
    SYNCQ_FAILPOINT("move.rest-placed");
    if (channel->head_segment < queue->data.segment_count)
        atomic_store(&channel->segments[channel->head_segment].state,
                     SYNCQ_SEGMENT_CLOSED);
    if (channel->next_is_last)
        atomic_store(&channel->segments_exhausted, 1);
    SYNCQ_FAILPOINT("move.closed");
    /* finish_move() knows where we were, if we die here. */
    channel->head_segment = next;
    in_this_order();
    SYNCQ_FAILPOINT("move.head-segment");
    channel->head_lsn =
        atomic_load(&channel->segments[next].base_lsn) + SYNCQ_PAGE_SIZE;
    in_this_order();
    SYNCQ_FAILPOINT("move.head-lsn");
    channel->next_segment = SYNCQ_SEGMENT_NONE;
    SYNCQ_FAILPOINT("move.done");
    syncq_channel_ring(channel); /* have the one after it prepared */
    return 0;
}

/*
 * Are too many bytes on the way to the disk for one message more?  What lies
 * between durable_lsn and the head is an upper bound; only when it is too much
 * are the requests counted, since one that is stuck holds durable_lsn back.
 */
static int too_many_bytes(const struct syncq_channel *channel, uint64_t size)
{
    uint64_t bytes = size;

    if (channel->head_lsn - atomic_load(&channel->durable_lsn) + size <=
        SYNCQ_IN_FLIGHT_SIZE_MAX)
        return 0;
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);

        if (syncq_request_is_taken(state) && state != SYNCQ_REQUEST_CONFIRM &&
            state != SYNCQ_REQUEST_WITHDRAWN)
            bytes += channel->requests[i].size;
    }
    return bytes > size && bytes > SYNCQ_IN_FLIGHT_SIZE_MAX;
}

static int reserve_locked(struct syncq_queue *queue,
                          enum syncq_reserve_kind kind, uint64_t size,
                          uint32_t slot_count, uint32_t *slots,
                          struct syncq_reservation *reservation)
{
    struct syncq_channel *channel = queue->handle.channel;
    struct syncq_request *request;
    uint32_t number;
    int result = 0;

    if (atomic_load(&channel->state) == SYNCQ_CHANNEL_FAILED)
        result = SYNCQ_ERR_LATCHED;
    if (result == 0 && kind == SYNCQ_RESERVE_MESSAGE &&
        channel->next_segment == SYNCQ_SEGMENT_NONE &&
        atomic_load(&channel->segments_exhausted))
        result = SYNCQ_ERR_SEGMENTS_FULL; /* the head is in the last one */
    if (result == 0 && kind == SYNCQ_RESERVE_MESSAGE &&
        too_many_bytes(channel, size))
        result = SYNCQ_ERR_BYTES_FULL;
    if (result == 0 && slot_count > queue->index.lists->free_count)
        result = SYNCQ_ERR_ENTRIES_FULL;
    if (result == 0 && size > head_room(queue))
        result = next_segment(queue, kind);
    if (result == 0)
        result = find_request(channel, &number);
    if (result != 0)
        return result;
    SYNCQ_FAILPOINT("reserve.begins");
    request = &channel->requests[number];
    request->slot_count = slot_count;
    atomic_store(&request->entries_written, kind == SYNCQ_RESERVE_MARKS);
    if (kind == SYNCQ_RESERVE_MARKS)
        reservation->sequence = 0;
    if (kind == SYNCQ_RESERVE_MESSAGE)
        reservation->sequence = channel->epoch << SYNCQ_SEQUENCE_COUNTER_BITS |
                                ++channel->sequence_counter;
    result = syncq_index_take(&queue->index, slot_count, number + 1, slots);
    if (result != 0)
        return result; /* the list is broken: recovery makes it anew */
    SYNCQ_FAILPOINT("reserve.slots-taken");
    place(queue, number, size, queue->handle.owner, SYNCQ_REQUEST_RESERVED,
          reservation);
    return 0;
}

int syncq_reserve(struct syncq_queue *queue, enum syncq_reserve_kind kind,
                  uint64_t size, uint32_t slot_count, uint32_t *slots,
                  struct syncq_reservation *reservation)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t deadline_us = syncq_clock_us() + SEGMENT_WAIT_MS * 1000ULL;

    for (;;) {
        uint32_t bell = atomic_load(&channel->segment_bell);
        int result = syncq_channel_usable(&queue->handle);

        syncq_index_prefault(&queue->index);
        if (result == 0)
            result = syncq_reserve_lock(queue);
        if (result != 0)
            return result;
        result =
            reserve_locked(queue, kind, size, slot_count, slots, reservation);
        syncq_reserve_unlock(queue);
        if (result != EAGAIN)
            return result;
        if (syncq_clock_us() >= deadline_us)
            return SYNCQ_ERR_TIMEOUT;
        syncq_channel_ring(channel);
        (void)syncq_futex_wait(&channel->segment_bell, bell, 1000000);
    }
}

int syncq_reserve_leave(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;
    int result = syncq_reserve_lock(queue);

    if (result != 0)
        return result;
    result = channel->next_segment == SYNCQ_SEGMENT_NONE ||
                     channel->next_is_last ||
                     atomic_load(&channel->state) != SYNCQ_CHANNEL_OPEN
                 ? EAGAIN
                 : next_segment(queue, SYNCQ_RESERVE_MESSAGE);
    syncq_reserve_unlock(queue);
    return result;
}

int syncq_reserve_seal(struct syncq_queue *queue,
                       struct syncq_reservation *reservation,
                       uint64_t *head_lsn, int *sealed)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t rest;
    uint32_t number;
    int result = syncq_reserve_lock(queue);

    if (result != 0)
        return result;
    *sealed = 0;
    rest = -channel->head_lsn & (SYNCQ_PAGE_SIZE - 1);
    if (rest > 0 && rest <= head_room(queue) &&
        find_void_request(channel, &number) == 0) {
        *reservation = (struct syncq_reservation){0};
        atomic_store(&channel->requests[number].entries_written, 1);
        channel->requests[number].slot_count = 0;
        place(queue, number, rest, 0, SYNCQ_REQUEST_WITHDRAWN, reservation);
        SYNCQ_FAILPOINT("seal.placed");
        *sealed = 1;
    }
    *head_lsn = channel->head_lsn;
    syncq_reserve_unlock(queue);
    return 0;
}
