/* SPDX-License-Identifier: MIT */
/*
 * kill_world.h - processes around one small queue, to be killed and stopped
 *
 * One sync helper, one manager and two writers, each a process of its own,
 * forked from the test so that starting one takes a moment only.  What they
 * share with the test is one piece of shared memory.  They never assert: what
 * is wrong is said there.
 *
 * Each process writes down what it did as words for the oracle, in its own
 * journal, so that the words outlive it.
 *
 * A second copy of the queue's files, the medium, gets what an msync or fsync
 * of the helper has returned for, and nothing else: what a power cut leaves.
 */
#ifndef SYNCQ_FAULTS_KILL_WORLD_H
#define SYNCQ_FAULTS_KILL_WORLD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "module/failpoint.h"
#include "tests/faults/oracle.h"
#include "tests/queue_fixture.h"

enum role_name { ROLE_HELPER, ROLE_MANAGER, ROLE_WRITER, ROLE_OTHER, ROLES };

enum {
    JOURNAL_WORDS = 16384,
    FAILPOINTS_MAX = 256,
    WORLD_WAIT_MS = 20000, /* what must happen has happened by then */
};

struct journal {
    _Atomic uint32_t count;
    struct journal_word {
        struct mail mail;
        enum oracle_word word;
    } words[JOURNAL_WORDS];
};

struct role {
    struct syncq_failpoint_plan plan;
    _Atomic uint32_t progress; /* futex: things done, over all incarnations */
    _Atomic uint32_t stop;     /* end in order */
    _Atomic uint32_t seed;     /* of the last mail, over all incarnations */
    _Atomic uint32_t ready;    /* this incarnation has begun to work */
    char trouble[160];         /* what should never happen, or "" */
    struct journal journal;
};

/* Shared by all processes of a case. */
struct world {
    struct role roles[ROLES];
    _Atomic uint32_t reached[FAILPOINTS_MAX];
    _Atomic uint32_t permits;    /* futex: mails that a writer may write */
    _Atomic uint32_t fail_sync;  /* the next msync of a segment fails */
    _Atomic uint32_t fail_write; /* so does the writer's next copy */
    struct findings findings;    /* those of all cases */
};

/* One case, in the process that runs it. */
struct session {
    struct world *world;
    struct fixture *fixture, *medium;
    struct findings *findings;
    const char *case_text;
    struct chance chance;
    pid_t pids[ROLES]; /* 0: does not run */
    int failed;        /* a finding was added: go no further */
};

const char *role_text(enum role_name name);

/* kill_roles.c: what each process does until it is told to stop. */
void helper_run(struct world *world, struct fixture *fixture);
void manager_run(struct world *world, struct fixture *fixture);
void writer_run(struct world *world, struct fixture *fixture,
                enum role_name name);

/* kill_medium.c: which copy gets what is synced, from now on; NULL: none.
 * Inherited over fork. */
void medium_use(struct world *world, struct fixture *fixture,
                const struct fixture *medium);

/* kill_session.c */
struct world *world_new(void);
void session_begin(struct session *session, struct world *world);
void session_end(struct session *session);

/* Add a finding and go no further. */
void session_fail(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void session_start(struct session *session, enum role_name name);
/* Start it and wait until it works. */
void session_start_ready(struct session *session, enum role_name name);
void session_kill(struct session *session, enum role_name name);
void session_kill_all(struct session *session);
/* Told to end, and does. */
void session_stop(struct session *session, enum role_name name);

/* Make a process act at a point when it reaches it for the hit-th time. */
void session_arm(struct session *session, enum role_name name,
                 const struct syncq_failpoint *point, uint32_t hit,
                 enum syncq_failpoint_action action);
void session_disarm(struct session *session, enum role_name name);
/* Wait until one of these roles (bits) has fired: its name, or ROLES when none
 * did in time. */
enum role_name session_wait_fired(struct session *session, unsigned names,
                                  int timeout_ms);
/* Wait until this process has ended, or was stopped, as planned. */
void session_wait_end(struct session *session, enum role_name name,
                      enum syncq_failpoint_action action);

/* Each of these roles (bits) gets something done. */
void session_progress(struct session *session, unsigned names);

/* After the error of a sync: wait until the latch on disk says so; take all
 * it says back, as `syncq check --repair` does.  All roles have ended then. */
void session_await_latch(struct session *session);
void session_unlatch(struct session *session);

/* Everything is settled without a crash: no request open, no part new. */
void session_check_settled(struct session *session);
/* Recover what a crash of all processes leaves, and what a power cut leaves,
 * and compare both with what was said.  All roles have ended. */
void session_check_recovered(struct session *session);

#endif
