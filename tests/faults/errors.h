/* SPDX-License-Identifier: MIT */
/*
 * errors.h - the parts of the test of errors
 */
#ifndef SYNCQ_FAULTS_ERRORS_H
#define SYNCQ_FAULTS_ERRORS_H

#include "tests/faults/findings.h"
#include "tests/faults/oracle.h"
#include "tests/faults/small_queue.h"

/* What goes on in a queue while something fails. */
struct load {
    struct findings *findings;
    const char *text;
    struct oracle *oracle;
    unsigned seed;
    int failed_before; /* the channel said so before the last append */
};

/* One mail, and now and then a mark; what fails is no finding, but a confirm
 * after the channel has failed is.  0, or what append or wait returned. */
int load_step(struct load *load, struct syncq_queue *queue);

/* What an administrator does after a failure: clear the latch, have the index
 * made anew.  Then everything that was confirmed must be there. */
void load_repair_and_check(struct load *load, struct fixture *fixture);

/* errors_kill.c: the helper dies between the error and the latch. */
void errors_kill(const struct fixture *base, struct findings *findings,
                 uint64_t count);
/* errors_file.c: files that are cut short, punched or removed under load. */
void errors_file(const struct fixture *base, struct findings *findings,
                 uint64_t count);
/* errors_space.c: a file system that is full. */
void errors_space(struct findings *findings);
/* errors_groups.c: Berkeley DB fails. */
void errors_groups(struct findings *findings, uint64_t count);

#endif
