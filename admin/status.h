/* SPDX-License-Identifier: MIT */
/*
 * status.h - what `syncq status` knows before it prints
 */
#ifndef SYNCQ_ADMIN_STATUS_H
#define SYNCQ_ADMIN_STATUS_H

#include <jansson.h>

#include "admin/verb.h"
#include "module/damage.h"
#include "module/queue.h"
#include "module/set.h"
#include "module/space.h"
#include "module/space_report.h"
#include "module/state.h"
#include "module/statistics.h"

#define STATUS_COUNT        (SYNCQ_STATUS_LOST + 1)
#define STATUS_TROUBLES_MAX 12

struct status {
    const char *directory;
    int drain; /* takes no more mail */
    int error; /* it cannot be opened: nothing below is known */
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
    struct syncq_space space;
    uint64_t reclaimable; /* bytes that the cleaner can add */
    int report_error;     /* not 0: no manager has reported */
    struct syncq_space_report report;
    uint64_t refusals[SYNCQ_LIMIT_COUNT]; /* zero when there is no channel */
};

/* Records per batch; 0 before the first. */
double status_batch_mean(const struct syncq_statistics *statistics);

/* status_space.c: read space, alarms and refusals; clear what was read. */
int status_space_read(struct syncq_queue *queue, struct status *status);
void status_space_clear(struct status *status);
/* Their lines of text. */
void status_space_print(const struct status *status);

/* One object; NULL: ENOMEM. */
json_t *status_json(const struct status *status);

/* Parts that are not done and not cancelled. */
uint64_t status_live_count(const struct status *status);

/*
 * A queue file that was in use and is not drained, but is in no list, is a
 * trouble of its own: call missing for each.  Only what the sets in files that
 * can be read say.
 */
int status_visit_missing(const struct command *command,
                         int (*missing)(const struct syncq_set_member *member,
                                        void *context),
                         void *context);

#endif
