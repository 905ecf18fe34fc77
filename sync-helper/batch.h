/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the requests that one msync makes durable
 */
#ifndef SYNCQ_BATCH_H
#define SYNCQ_BATCH_H

#include <stdint.h>

#include "module/limits.h"
#include "sync-helper/helper.h"

struct batch_member {
    uint64_t lsn, extent; /* bytes to sync; a void record's header only */
    uint64_t offset;      /* in the segment */
    uint32_t request, segment;
    int is_void;
};

/* Does waiting for company pay?  Measured again and again: some batches with
 * it, as many without, then a long run of what confirmed more per second. */
struct batch_trial {
    enum batch_phase { BATCH_WITHOUT, BATCH_WITH, BATCH_SETTLED } phase;
    int gathers;       /* in this phase */
    uint32_t batches;  /* so far in this phase */
    uint64_t requests; /* confirmed in this phase */
    uint64_t start_us;
    double rates[2]; /* requests a microsecond: without, with */
};

struct batch {
    struct batch_member members[SYNCQ_REQUESTS_MAX];
    uint32_t count;
    uint64_t boundary_lsn; /* the head when the batch was closed */
    uint64_t sync_average_us;
    uint32_t expected; /* requests that the last batches had */
    struct batch_trial trial;
};

struct batch_waiting {
    uint64_t bytes;
    uint32_t requests;
};

/* gather.c: answer new requests with a receipt; count all that wait. */
struct batch_waiting batch_take_requests(struct helper *helper);

/* gather.c: take what was sent; wait for more when that has paid off. */
void batch_gather(struct helper *helper, struct batch *batch);

/* gather.c: this batch has confirmed count requests. */
void batch_learn(struct batch *batch, uint32_t count);

#endif
