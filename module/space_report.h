/* SPDX-License-Identifier: MIT */
/*
 * space_report.h - what the queue manager has found out about space, and which
 * limits have refused mail
 *
 * Both stand in the channel, start at zero with it, and only inform.
 */
#ifndef SYNCQ_SPACE_REPORT_H
#define SYNCQ_SPACE_REPORT_H

#include <stdint.h>

#include "module/queue.h"

#define SYNCQ_FULL_UNKNOWN UINT64_C(0) /* too little history */
#define SYNCQ_FULL_NEVER   UINT64_MAX  /* not filling */

struct syncq_space_report {
    uint64_t live_size; /* bytes, at the last survey */
    uint64_t bytes_full_in_s, entries_full_in_s;
    uint32_t bytes_percent, entries_percent; /* in use by live mail */
    uint32_t bytes_alarm, entries_alarm;     /* 70, 85, 95 percent; 0: none */
};

/* Only the manager writes. */
void syncq_space_report_write(struct syncq_queue *queue,
                              const struct syncq_space_report *report);

/* SYNCQ_ERR_NO_HELPER: there is no channel, or no manager has reported. */
int syncq_space_report_read(struct syncq_queue *queue,
                            struct syncq_space_report *report);

/* The limits that refuse a message. */
enum syncq_limit {
    SYNCQ_LIMIT_SEGMENTS,   /* no free segment */
    SYNCQ_LIMIT_ENTRIES,    /* no free index entry */
    SYNCQ_LIMIT_REQUESTS,   /* too many appends in flight */
    SYNCQ_LIMIT_BYTES,      /* too many bytes in flight */
    SYNCQ_LIMIT_RECIPIENTS, /* too many in one message */
    SYNCQ_LIMIT_SIZE,       /* the message is too large */
    SYNCQ_LIMIT_COUNT,
};

/* Constant short name, "segments" and so on. */
const char *syncq_limit_name(enum syncq_limit limit);

/* The limit behind a result of syncq_append; SYNCQ_LIMIT_COUNT: none. */
enum syncq_limit syncq_limit_of(int result);

/* Count a refusal, if the result is one. */
void syncq_refusal_count(struct syncq_queue *queue, int result);

/* How often each limit has refused.  SYNCQ_ERR_NO_HELPER: no channel. */
int syncq_refusals_read(struct syncq_queue *queue,
                        uint64_t counts[SYNCQ_LIMIT_COUNT]);

#endif
