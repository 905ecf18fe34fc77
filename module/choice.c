/* SPDX-License-Identifier: MIT */
#include "module/choice.h"
#include "module/queue_internal.h"

#define FORGET_US 1000000 /* idle time that halves what was measured */

/* From here on the exact number does not matter, but it must not overflow. */
#define COST_TIME_MAX_US (UINT64_C(1) << 40)

void syncq_load_read(struct syncq_queue *queue, struct syncq_load *load)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t now_us = syncq_clock_us();
    uint64_t started_us, ended_us;

    *load = (struct syncq_load){.in_flight = 0};
    if (channel == NULL)
        return;
    load->served = syncq_channel_helper_alive(&queue->handle);
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state =
            atomic_load_explicit(&channel->states[i], memory_order_relaxed);

        load->in_flight += state == SYNCQ_REQUEST_RESERVED ||
                           state == SYNCQ_REQUEST_SENT ||
                           state == SYNCQ_REQUEST_RECEIPT;
    }
    load->sync_us = atomic_load(&channel->sync_average_us);
    started_us = atomic_load(&channel->sync_started_us);
    ended_us = atomic_load(&channel->sync_ended_us);
    if (started_us != 0 && started_us < now_us)
        load->sync_since_us = now_us - started_us;
    if (ended_us != 0 && ended_us < now_us)
        load->idle_us = now_us - ended_us;
}

/* The power of two at or below it: noise is no difference. */
static uint64_t round_down(uint64_t number)
{
    return number == 0 ? 0 : UINT64_C(1) << (63 - __builtin_clzll(number));
}

uint64_t syncq_load_cost(const struct syncq_load *load)
{
    uint64_t halves = load->idle_us / FORGET_US;
    uint64_t time_us = halves > 63 ? 0 : load->sync_us >> halves;

    /* A sync that runs is no time of rest. */
    if (load->sync_since_us > 0)
        time_us = load->sync_us;
    if (time_us < load->sync_since_us)
        time_us = load->sync_since_us;
    if (time_us > COST_TIME_MAX_US)
        time_us = COST_TIME_MAX_US;
    return (round_down(time_us) + 1) * ((uint64_t)load->in_flight + 1);
}

void syncq_choice_order(const uint64_t *costs, unsigned count, unsigned turn,
                        unsigned *order)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned number = (unsigned)((i + (uint64_t)turn) % count);
        unsigned place = i;

        for (; place > 0 && costs[order[place - 1]] > costs[number]; place--)
            order[place] = order[place - 1];
        order[place] = number;
    }
}
