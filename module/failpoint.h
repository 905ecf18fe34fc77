/* SPDX-License-Identifier: MIT */
/*
 * failpoint.h - named steps at which a test can end or stop a process
 *
 *   SYNCQ_FAILPOINT("batch.synced");
 *
 * stands where a process may die between two steps that the reader should tell
 * apart.  It is nothing unless configured with --enable-failpoints, which is
 * for tests only.  There, a plan names one point and what happens when it is
 * reached the n-th time from now on, by any thread:
 *
 *   kill   SIGKILL     exit   _exit(SYNCQ_FAILPOINT_EXIT)
 *   stop   SIGSTOP     abort  abort()
 *
 * A test that forks gives each child a plan in shared memory.  A program that
 * is executed reads its plan, the text "NAME:HIT:ACTION", from the file that
 * the environment's SYNCQ_FAILPOINT_FILE names, each time that it reaches a
 * point; the file is removed when the plan comes true, so that the program's
 * successor lives.
 *
 * This is the module's only global state, and no release build has it.
 */
#ifndef SYNCQ_FAILPOINT_H
#define SYNCQ_FAILPOINT_H

#ifndef SYNCQ_FAILPOINTS

#define SYNCQ_FAILPOINT(text) ((void)0)

#else

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SYNCQ_FAILPOINT_EXIT 86
#define SYNCQ_FAILPOINT_FILE "SYNCQ_FAILPOINT_FILE"

struct syncq_failpoint {
    const char *name;
    _Atomic uint32_t *reached; /* how often, or NULL */
    uint32_t number;           /* from 1, in this program */
};

enum syncq_failpoint_action {
    SYNCQ_FAILPOINT_KILL = 1,
    SYNCQ_FAILPOINT_STOP,
    SYNCQ_FAILPOINT_DO_EXIT,
    SYNCQ_FAILPOINT_ABORT,
};

/* Written before number, which arms it. */
struct syncq_failpoint_plan {
    _Atomic uint32_t number; /* of the point; 0: none */
    _Atomic uint32_t left;   /* hits until it comes true */
    enum syncq_failpoint_action action;
    _Atomic uint32_t fired; /* futex: it has come true */
};

/* All points of this program; *count of them. */
struct syncq_failpoint **syncq_failpoints(size_t *count);
/* NULL: this program has no such point. */
struct syncq_failpoint *syncq_failpoint_find(const char *name);

/* Follow this plan from now on.  NULL: none. */
void syncq_failpoint_follow(struct syncq_failpoint_plan *plan);

/* Count how often each point is reached; one counter for each, in the order
 * of syncq_failpoints(). */
void syncq_failpoint_count(_Atomic uint32_t *reached);

/* What the macro calls. */
void syncq_failpoint_reach(struct syncq_failpoint *point);

/* The section's bounds give the list of all points that were linked. */
#define SYNCQ_FAILPOINT(text)                                                  \
    do {                                                                       \
        static struct syncq_failpoint failpoint = {.name = (text)};            \
        static struct syncq_failpoint *failpoint_listed                        \
            __attribute__((section("syncq_failpoints"), used)) = &failpoint;   \
        syncq_failpoint_reach(&failpoint);                                     \
        (void)failpoint_listed;                                                \
    } while (0)

#endif
#endif
