/* SPDX-License-Identifier: MIT */
/*
 * status.h - what `syncq status` knows before it prints
 */
#ifndef SYNCQ_ADMIN_STATUS_H
#define SYNCQ_ADMIN_STATUS_H

#include "module/damage.h"
#include "module/queue.h"
#include "module/state.h"
#include "module/statistics.h"

#define STATUS_COUNT        (SYNCQ_STATUS_LOST + 1)
#define STATUS_TROUBLES_MAX 12

struct status {
    const char *directory;
    const char *troubles[STATUS_TROUBLES_MAX]; /* why not all is well */
    int trouble_count;
    struct syncq_queue_status queue;
    int helper;  /* of syncq_running_helper */
    int manager; /* of syncq_running_manager */
    int gate_open;
    char gate[SYNCQ_GATE_TEXT_SIZE]; /* why not */
    uint64_t parts[STATUS_COUNT];    /* by enum syncq_status */
    struct syncq_damage_summary damage;
    int statistics_error; /* not 0: there is no channel */
    struct syncq_statistics statistics;
};

/* Records per batch; 0 before the first. */
double status_batch_mean(const struct syncq_statistics *statistics);

/* One object on one line.  0 or ENOMEM. */
int status_print_json(const struct status *status);

#endif
