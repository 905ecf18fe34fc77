/* SPDX-License-Identifier: MIT */
/*
 * grow_ask.c - have the running helper use what was appended to the files
 */
#include <errno.h>

#include "module/error.h"
#include "module/grow_internal.h"

enum {
    ASK_WAIT_MS = 60000,     /* until the helper takes it */
    ANSWER_WAIT_MS = 120000, /* until it is done, even on a slow disk */
    LOOK_AGAIN_US = 500000,  /* for a helper that died */
};

static int attach(struct syncq_queue *queue)
{
    int result;

    syncq_channel_detach(&queue->handle);
    result = syncq_channel_attach(queue->run_directory, 1, queue->key.uuid,
                                  &queue->handle);
    if (result == 0)
        result = syncq_channel_usable(&queue->handle);
    return result;
}

static int take_back(struct syncq_channel *channel)
{
    uint32_t state = SYNCQ_GROW_ASKED;

    return atomic_compare_exchange_strong(&channel->grow, &state,
                                          SYNCQ_GROW_IDLE);
}

/* Is the helper at work, or may it begin at any moment? */
static int is_busy(uint32_t state)
{
    return state == SYNCQ_GROW_ASKED || state == SYNCQ_GROW_TAKEN;
}

int syncq_grow_withdraw(struct syncq_queue *queue)
{
    uint64_t end_us = syncq_clock_us() + ASK_WAIT_MS * UINT64_C(1000);
    int result = attach(queue);

    if (result != 0) /* nobody can be at work */
        return result == SYNCQ_ERR_LATCHED ? result : 0;
    for (;;) {
        struct syncq_channel *channel = queue->handle.channel;
        uint32_t state = atomic_load(&channel->grow);

        if (!is_busy(state) || take_back(channel) ||
            syncq_channel_usable(&queue->handle) != 0)
            return 0;
        if (syncq_clock_us() >= end_us)
            return SYNCQ_ERR_BUSY;
        (void)syncq_futex_wait(&channel->grow, state, LOOK_AGAIN_US);
    }
}

/* Why no answer will come, or 0. */
static int hopeless(struct syncq_queue *queue, uint32_t state, uint64_t end_us)
{
    int result = syncq_channel_usable(&queue->handle);

    if (result != 0)
        return result;
    if (state == SYNCQ_GROW_ASKED &&
        !syncq_channel_helper_alive(&queue->handle))
        return SYNCQ_ERR_NO_HELPER;
    return syncq_clock_us() >= end_us ? SYNCQ_ERR_TIMEOUT : 0;
}

static int wait_answer(struct syncq_queue *queue, int *taken)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t end_us = syncq_clock_us() + ASK_WAIT_MS * UINT64_C(1000);
    uint32_t state;

    while (is_busy(state = atomic_load(&channel->grow))) {
        int result = hopeless(queue, state, end_us);

        if (!*taken && state == SYNCQ_GROW_TAKEN) {
            *taken = 1;
            end_us = syncq_clock_us() + ANSWER_WAIT_MS * UINT64_C(1000);
        } else if (result == 0) {
            (void)syncq_futex_wait(&channel->grow, state, LOOK_AGAIN_US);
        } else if (take_back(channel) || *taken) {
            return result; /* else it was taken just now */
        }
    }
    *taken = 1;
    return atomic_load(&channel->grow_result);
}

int syncq_grow_ask(struct syncq_queue *queue, uint32_t segment_count,
                   uint32_t entry_count, int *taken)
{
    int result = attach(queue);
    struct syncq_channel *channel = queue->handle.channel;

    *taken = 0;
    if (result == 0 && !syncq_channel_helper_alive(&queue->handle))
        result = SYNCQ_ERR_NO_HELPER;
    if (result != 0)
        return result;
    atomic_store(&channel->grow_segment_count, segment_count);
    atomic_store(&channel->grow_entry_count, entry_count);
    atomic_store(&channel->grow, SYNCQ_GROW_ASKED);
    syncq_channel_ring(channel);
    return wait_answer(queue, taken);
}
