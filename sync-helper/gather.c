/* SPDX-License-Identifier: MIT */
/*
 * gather.c - how long does a batch wait for company?
 *
 * While one msync runs the next batch gathers by itself, so a lone writer and
 * a first request never wait.  When the last batches had more requests than
 * have come so far, the others are on their way, and it may pay to wait for
 * them: at most half of what an msync takes, since waiting longer than that
 * costs more than a second msync.  Whether it does pay depends on the device,
 * the cores and the writers, so it is measured.  The configured limits are
 * caps on all of this.
 */
#include "module/failpoint.h"
#include "sync-helper/batch.h"

enum {
    TRIAL_BATCHES = 64,     /* in each of the two trial phases */
    SETTLED_BATCHES = 4096, /* until the next trial */
};

/* Waiting has to win by this much: without it confirms come sooner. */
#define WORTH_IT 1.05

struct batch_waiting batch_take_requests(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;
    struct batch_waiting waiting = {0, 0};

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state =
            atomic_load_explicit(&channel->states[i], memory_order_acquire);

        if (state == SYNCQ_REQUEST_SENT &&
            atomic_compare_exchange_strong(&channel->states[i], &state,
                                           SYNCQ_REQUEST_RECEIPT)) {
            state = SYNCQ_REQUEST_RECEIPT;
            SYNCQ_FAILPOINT("batch.receipt");
            if (channel->hold_lock_for_receipt)
                syncq_futex_wake(&channel->states[i]);
        }
        if (state == SYNCQ_REQUEST_RECEIPT ||
            state == SYNCQ_REQUEST_ABANDONED || state == SYNCQ_REQUEST_LEFT ||
            state == SYNCQ_REQUEST_WITHDRAWN) {
            waiting.requests++;
            waiting.bytes += channel->requests[i].size;
        }
    }
    return waiting;
}

static int is_full(const struct config *config, struct batch_waiting waiting)
{
    return waiting.requests >= config->batch_requests_max ||
           waiting.bytes >= config->batch_bytes_max;
}

static uint64_t wait_limit_us(const struct helper *helper,
                              const struct batch *batch,
                              struct batch_waiting waiting)
{
    uint64_t limit = batch->sync_average_us / 2;

    if (!batch->trial.gathers || waiting.requests >= batch->expected)
        return 0;
    return limit < helper->config->gather_time_max_us
               ? limit
               : helper->config->gather_time_max_us;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void next_phase(struct batch_trial *trial, uint64_t now_us)
{
    double rate =
        (double)trial->requests / (double)(now_us - trial->start_us + 1);

    switch (trial->phase) {
    case BATCH_WITHOUT:
        trial->rates[0] = rate;
        trial->phase = BATCH_WITH;
        trial->gathers = 1;
        break;
    case BATCH_WITH:
        trial->rates[1] = rate;
        trial->phase = BATCH_SETTLED;
        trial->gathers = trial->rates[1] > trial->rates[0] * WORTH_IT;
        break;
    case BATCH_SETTLED:
        trial->phase = BATCH_WITHOUT;
        trial->gathers = 0;
        break;
    }
    trial->batches = 0;
    trial->requests = 0;
    trial->start_us = now_us;
}

void batch_learn(struct batch *batch, uint32_t count)
{
    struct batch_trial *trial = &batch->trial;
    uint32_t limit =
        trial->phase == BATCH_SETTLED ? SETTLED_BATCHES : TRIAL_BATCHES;

    batch->expected = (batch->expected * 3 + count + 3) / 4;
    trial->requests += count;
    if (trial->start_us == 0)
        trial->start_us = syncq_clock_us();
    if (++trial->batches >= limit)
        next_phase(trial, syncq_clock_us());
}

static void gather_more(struct helper *helper, struct batch *batch,
                        struct batch_waiting before, uint64_t limit_us)
{
    const struct config *config = helper->config;
    uint64_t start_us = syncq_clock_us();
    uint64_t newest_us = start_us, now_us = start_us;
    struct batch_waiting waiting = before;

    while (now_us - start_us < limit_us && !is_full(config, waiting) &&
           waiting.requests < batch->expected &&
           now_us - newest_us < config->idle_time_max_us) {
        uint32_t bell = atomic_load(&helper->channel->bell);
        uint64_t left = smaller(start_us + limit_us - now_us,
                                newest_us + config->idle_time_max_us - now_us);
        struct batch_waiting more = batch_take_requests(helper);

        if (more.requests == waiting.requests) {
            atomic_store(&helper->channel->sleeping, 1);
            (void)syncq_futex_wait(&helper->channel->bell, bell, (int64_t)left);
            atomic_store(&helper->channel->sleeping, 0);
            more = batch_take_requests(helper);
        }
        now_us = syncq_clock_us();
        if (more.requests > waiting.requests)
            newest_us = now_us;
        waiting = more;
    }
}

void batch_gather(struct helper *helper, struct batch *batch)
{
    struct batch_waiting waiting = batch_take_requests(helper);
    uint64_t limit_us = wait_limit_us(helper, batch, waiting);

    if (waiting.requests > 0 && limit_us > 0 &&
        !is_full(helper->config, waiting))
        gather_more(helper, batch, waiting, limit_us);
}
