/* SPDX-License-Identifier: MIT */
/*
 * kill_round.h - bring a process to a failpoint, and the others through it
 */
#ifndef SYNCQ_FAULTS_KILL_ROUND_H
#define SYNCQ_FAULTS_KILL_ROUND_H

#include "tests/faults/kill_world.h"

struct round {
    const struct syncq_failpoint *point;
    enum role_name name;
    enum syncq_failpoint_action action;
    uint32_t hit;
};

/* What has to happen so that a point is reached. */
struct way {
    const char *prefix; /* of the points' names; the first that fits counts */
    unsigned roles;     /* bits: who reaches it */
    void (*round)(struct session *session, const struct round *round);
};

/* The helper dies in the middle of a batch under load; the others go on for a
 * moment, as far as they get without it. */
void round_crash(struct session *session);

/* NULL: nobody has said how this point is reached. */
const struct way *way_find(const char *point);

#endif
