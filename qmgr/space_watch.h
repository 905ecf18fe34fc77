/* SPDX-License-Identifier: MIT */
/*
 * space_watch.h - how full the queue is, how fast it fills, and alarms
 *
 * Full means: of mail that is live.  What has been delivered is given back by
 * the cleaner.  Bytes and entries are watched alike.  Nothing here survives
 * the process.
 */
#ifndef SYNCQ_QMGR_SPACE_WATCH_H
#define SYNCQ_QMGR_SPACE_WATCH_H

#include <stdint.h>

#include "module/space.h"

struct syncq_queue;
struct space_watch;

#define SPACE_WATCH_STEP_S  300 /* between samples that are kept */
#define SPACE_WATCH_SAMPLES 288 /* a day of them */
#define SPACE_WATCH_LEAST_S 60  /* of history, before a rate is told */

/* One thing that fills up, bytes or entries. */
struct space_trend {
    struct {
        int64_t at_s;
        uint64_t used;
    } samples[SPACE_WATCH_SAMPLES];
    unsigned count, next;
};

/* Take a sample; kept when the last one that was is old enough. */
void space_trend_add(struct space_trend *trend, int64_t now_s, uint64_t used);

/*
 * Seconds until `whole` is used, at the rate since the oldest sample.
 * SYNCQ_FULL_UNKNOWN: there is too little history; SYNCQ_FULL_NEVER: it is not
 * filling.
 */
uint64_t space_trend_full_in_s(const struct space_trend *trend, int64_t now_s,
                               uint64_t used, uint64_t whole);

/* The highest alarm at or below percent: 95, 85, 70 or 0. */
unsigned space_alarm_level(unsigned percent);

/* directory names the queue in log lines; both must outlive it. */
struct space_watch *space_watch_new(struct syncq_queue *queue,
                                    const char *directory);
void space_watch_free(struct space_watch *watch);

/* A survey was made: one warning for each alarm that is crossed upward, and
 * the report for `syncq status`. */
void space_watch_look(struct space_watch *watch,
                      const struct syncq_space *space);

#endif
