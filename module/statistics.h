/* SPDX-License-Identifier: MIT */
/*
 * statistics.h - what the helper and the writers have counted so far
 *
 * The counters live in the channel and start at zero with each new channel.
 * They inform; nothing is decided by them.
 */
#ifndef SYNCQ_STATISTICS_H
#define SYNCQ_STATISTICS_H

#include <stdint.h>

#include "module/queue.h"

/* Histogram of times: 8 buckets for each power of two of microseconds. */
#define SYNCQ_HISTOGRAM_SIZE 256

struct syncq_histogram {
    uint64_t counts[SYNCQ_HISTOGRAM_SIZE];
};

struct syncq_statistics {
    uint64_t appends;      /* records confirmed, marks included */
    uint64_t append_bytes; /* their size in the log */
    uint64_t failed;       /* requests answered with failure */
    uint64_t abandoned;    /* requests given up by their writer */
    uint64_t voided;       /* reservations of writers that died */
    uint64_t batches;      /* successful syncs of the data file */
    uint64_t batch_bytes;  /* bytes those syncs covered */
    uint64_t stragglers;   /* batches that went without a late copy */
    uint64_t index_syncs;  /* checkpoints written */
    uint64_t checkpoint;   /* number of the last one */
    uint64_t head_lsn, durable_lsn, synced_lsn;
    uint64_t captures[8];           /* the milter's outcomes, enum in milter/ */
    uint64_t copies, copied_size;   /* records that were moved, and bytes */
    struct syncq_histogram sync_us; /* duration of each data sync */
    struct syncq_histogram confirm_us; /* request to confirm */
};

/* Copy the counters.  SYNCQ_ERR_NO_HELPER when there is no channel. */
int syncq_statistics_read(struct syncq_queue *queue,
                          struct syncq_statistics *statistics);

/* Count one capture outcome, 0 to 7. */
void syncq_statistics_capture(struct syncq_queue *queue, unsigned outcome);

/* Upper bound in microseconds of the bucket that holds this part (0 to 1) of
 * all counts; 0 when empty. */
uint64_t syncq_histogram_quantile(const struct syncq_histogram *histogram,
                                  double part);

/* The bucket of a time. */
unsigned syncq_histogram_bucket(uint64_t time_us);

#endif
