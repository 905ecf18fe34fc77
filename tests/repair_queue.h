/* SPDX-License-Identifier: MIT */
/*
 * repair_queue.h - a queue to damage and repair, and what must be so afterwards
 */
#ifndef SYNCQ_TESTS_REPAIR_QUEUE_H
#define SYNCQ_TESTS_REPAIR_QUEUE_H

#include "module/repair.h"
#include "tests/queue_fixture.h"

enum { REPAIR_MAILS = 12 };

/* What a check or a repair has told. */
struct repair_seen {
    uint64_t lost[REPAIR_MAILS];
    size_t lost_count;
    struct syncq_damage damage; /* the last one */
    unsigned damage_count, superblocks, pages;
};

/* Run either; seen may be NULL for a repair, report as well. */
int repair_run(const struct fixture *fixture, struct repair_seen *seen,
               struct syncq_repair_report *report);
void repair_check(const struct fixture *fixture, struct repair_seen *seen,
                  struct syncq_check_report *report);

struct repair_filled {
    struct mail mails[REPAIR_MAILS];
    uint64_t offsets[REPAIR_MAILS];
    uint64_t marks_lsn, marks_offset;
};

/* Mails 0 and 1 are done, 2 and 3 deferred; the marks lie behind mail 5.
 * Leaves helper and writer running. */
void repair_fill(struct fixture *fixture, struct repair_filled *filled);
unsigned repair_plain_status(unsigned i);

/* Every mail is as it was, but one that is gone, and those below number
 * held_below that are not done and held. */
void repair_check_statuses(const struct fixture *fixture,
                           const struct repair_filled *filled, unsigned gone,
                           unsigned held_below);

/* A check finds nothing. */
void repair_check_good(const struct fixture *fixture);
/* The queue takes mail. */
void repair_check_works(struct fixture *fixture);

#endif
