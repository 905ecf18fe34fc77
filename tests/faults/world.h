/* SPDX-License-Identifier: MIT */
/*
 * world.h - one run of a workload, and what is known of it
 *
 * A round is some lives, one after the other.  A life starts from what a crash
 * left (the first one: from a new queue), recovers, does what its workload
 * says, and stops.  Each step of it is a crash point; from one of them, chosen
 * by the seed, the next life starts.
 */
#ifndef SYNCQ_FAULTS_WORLD_H
#define SYNCQ_FAULTS_WORLD_H

#include "tests/faults/findings.h"
#include "tests/faults/oracle.h"
#include "tests/queue_fixture.h"

enum { WORLD_MAILS_MAX = 512 };

enum world_mail_state {
    WORLD_SUBMITTED, /* nothing is known yet, or it was given up */
    WORLD_STORED,    /* confirmed; not marked by anybody */
    WORLD_PINNED,    /* confirmed; never marked in this life */
    WORLD_HELD,
    WORLD_DONE,
};

struct world_mail {
    struct mail mail;
    enum world_mail_state state;
};

struct world {
    struct findings *findings;
    struct chance chance; /* for the workload */
    struct fixture *live;
    struct oracle *oracle;
    struct world_mail mails[WORLD_MAILS_MAX];
    unsigned mail_count;
};

struct workload {
    const char *name;
    /* In a life's only task at first.  The queue is there, no helper runs; at
     * the end none may run. */
    void (*run)(struct world *world);
    int needs_queue; /* 0: starts in an empty folder */
    unsigned points; /* that a life has, about */
};

/* Ends with a NULL name.  A new workload is a function and a line here. */
extern const struct workload workloads[];

/* How the workloads' queues are made. */
extern const struct syncq_create_options world_queue_options;

/* ---- what workloads do ---- */

/* Tell the oracle; a crash point. */
void world_say(struct world *world, const struct mail *mail,
               enum oracle_word word);

/* Submit a mail of about this size and wait for the confirm; sometimes give it
 * up.  0, or why it could not be appended. */
int world_store(struct world *world, size_t size_max);

/* Mark up to count stored mails done, some only deferred or held. */
void world_deliver(struct world *world, unsigned count);

/* Retire one segment, as the queue manager does; 0: there was none. */
int world_retire(struct world *world);

#endif
