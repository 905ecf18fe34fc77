/* SPDX-License-Identifier: MIT */
#include "qmgr/space_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "module/queue.h"
#include "module/space_report.h"
#include "program/log.h"
#include "qmgr/memory.h"

struct space_watch {
    struct syncq_queue *queue;
    const char *directory;
    struct space_trend bytes, entries;
    unsigned bytes_alarm, entries_alarm; /* percent; 0: none */
};

void space_trend_add(struct space_trend *trend, int64_t now_s, uint64_t used)
{
    unsigned last =
        (trend->next + SPACE_WATCH_SAMPLES - 1) % SPACE_WATCH_SAMPLES;

    if (trend->count > 0 &&
        now_s - trend->samples[last].at_s < SPACE_WATCH_STEP_S)
        return;
    trend->samples[trend->next].at_s = now_s;
    trend->samples[trend->next].used = used;
    trend->next = (trend->next + 1) % SPACE_WATCH_SAMPLES;
    if (trend->count < SPACE_WATCH_SAMPLES)
        trend->count++;
}

uint64_t space_trend_full_in_s(const struct space_trend *trend, int64_t now_s,
                               uint64_t used, uint64_t whole)
{
    unsigned oldest = trend->count < SPACE_WATCH_SAMPLES ? 0 : trend->next;
    int64_t time_s = now_s - trend->samples[oldest].at_s;
    double left = used < whole ? (double)(whole - used) : 0;

    if (trend->count == 0 || time_s < SPACE_WATCH_LEAST_S)
        return SYNCQ_FULL_UNKNOWN;
    if (used <= trend->samples[oldest].used)
        return SYNCQ_FULL_NEVER;
    left *= (double)time_s / (double)(used - trend->samples[oldest].used);
    return left < 1e12 ? (uint64_t)left + 1 : SYNCQ_FULL_NEVER;
}

unsigned space_alarm_level(unsigned percent)
{
    return percent >= 95 ? 95 : percent >= 85 ? 85 : percent >= 70 ? 70 : 0;
}

struct space_watch *space_watch_new(struct syncq_queue *queue,
                                    const char *directory)
{
    struct space_watch *watch = memory_new(sizeof(*watch));

    watch->queue = queue;
    watch->directory = directory;
    return watch;
}

void space_watch_free(struct space_watch *watch)
{
    free(watch);
}

static void space_watch_text(uint64_t full_in_s, char *text, size_t size)
{
    if (full_in_s == SYNCQ_FULL_UNKNOWN)
        (void)snprintf(text, size, "its rate is not known yet");
    else if (full_in_s == SYNCQ_FULL_NEVER)
        (void)snprintf(text, size, "not filling");
    else
        (void)snprintf(text, size, "full in %llu s at this rate",
                       (unsigned long long)full_in_s);
}

/* Once for each alarm, on the way up; a little below it is armed again. */
static void space_watch_alarm(const struct space_watch *watch, unsigned *alarm,
                              unsigned percent, const char *what,
                              uint64_t full_in_s)
{
    unsigned level = space_alarm_level(percent);
    char text[64];

    if (level > *alarm) {
        space_watch_text(full_in_s, text, sizeof(text));
        log_warning("queue %s: %u%% of its %s are in use by mail that is not "
                    "delivered: %s",
                    watch->directory, percent, what, text);
        *alarm = level;
    } else if (level < *alarm && space_alarm_level(percent + 2) < *alarm) {
        *alarm = level;
    }
}

void space_watch_look(struct space_watch *watch,
                      const struct syncq_space *space)
{
    struct timespec now;
    struct syncq_space_report report = {
        .live_size = space->live_size,
        .bytes_percent = syncq_space_used_percent(space),
        .entries_percent = syncq_space_entries_used_percent(space)};
    uint64_t entries = syncq_space_entries_live(space);
    int64_t now_s;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    now_s = now.tv_sec;
    report.bytes_full_in_s = space_trend_full_in_s(
        &watch->bytes, now_s, space->live_size, syncq_space_size(space));
    report.entries_full_in_s = space_trend_full_in_s(
        &watch->entries, now_s, entries, space->entry_count);
    space_trend_add(&watch->bytes, now_s, space->live_size);
    space_trend_add(&watch->entries, now_s, entries);
    space_watch_alarm(watch, &watch->bytes_alarm, report.bytes_percent, "bytes",
                      report.bytes_full_in_s);
    space_watch_alarm(watch, &watch->entries_alarm, report.entries_percent,
                      "entries", report.entries_full_in_s);
    report.bytes_alarm = watch->bytes_alarm;
    report.entries_alarm = watch->entries_alarm;
    syncq_space_report_write(watch->queue, &report);
}
