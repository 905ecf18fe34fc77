/* SPDX-License-Identifier: MIT */
/*
 * decision_fake.h - decision_make() with a fake queue module under it
 *
 * The module's calls are defined here, so this is linked into the tests that
 * want them and into nothing else.
 */
#ifndef SYNCQ_TESTS_DECISION_FAKE_H
#define SYNCQ_TESTS_DECISION_FAKE_H

#include "milter/decision.h"
#include "module/append.h"
#include "module/error.h"
#include "module/statistics.h"

#define ID "3pXyzABCDEz1kQ"

struct decision_fake {
    int open_result, usable_result, append_result, abandon_result;
    int wait_results[8];
    unsigned wait_count, waits_before_result;
    const char *gate; /* NULL: open */

    char calls[1000]; /* names of the calls, with blanks between */
    int confirmed;
    int wait_ms[8];
    unsigned captures[OUTCOME_COUNT];
    unsigned open_count, close_count;
    _Atomic unsigned second_open_count;
    int unserved; /* the helper of the first one has died */
    int second_append_result;
    uint64_t second_size_max;
    const char *second_gate;
};
extern struct decision_fake fake;

struct decision_world {
    enum outcome outcome; /* of reading */
    unsigned read_count;
    uint64_t size_max; /* of the mail that was asked for */
    int progress_result;
    unsigned progress_count;
    char log[2000]; /* all log lines */
};
extern struct decision_world world;

struct fixture {
    struct config config;
    struct capture_source source;
    struct decision_maker maker;
    struct mail_event event;
};

/* One queue file, /queue; teardown for both. */
int setup(void **state);
/* Also /second, which is always the slower one, both opened. */
int setup_two(void **state);
int teardown(void **state);

enum decision decide(struct fixture *fixture);
int progress(void *context);
void assert_log(const char *text);

#endif
