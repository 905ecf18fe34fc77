/* SPDX-License-Identifier: MIT */
/*
 * sync_control.h - what msync does in a test, and what a power cut would leave
 *
 * Linked with -Wl,--wrap=msync,--wrap=fsync,--wrap=syncq_latch_set.  Only the
 * helper of the fixture given is controlled.
 */
#ifndef SYNCQ_TESTS_SYNC_CONTROL_H
#define SYNCQ_TESTS_SYNC_CONTROL_H

#include <stdint.h>

#include "tests/queue_fixture.h"

/* Start and end control; everything is let through at first. */
void sync_control_start(struct fixture *fixture);
/* The same without what a power cut needs. */
void sync_control_start_light(struct fixture *fixture);
/* The same where the medium lags behind the files already; it is freed by
 * sync_control_stop. */
void sync_control_start_with(struct fixture *fixture, struct fixture *medium);
void sync_control_stop(void);

/* Setup and teardown of a test with a running helper under control. */
int sync_control_setup(void **state);
int sync_control_teardown(void **state);
#define SYNC_CONTROLLED(test)                                                  \
    cmocka_unit_test_setup_teardown(test, sync_control_setup,                  \
                                    sync_control_teardown)

/* Stop every msync of a segment until released; wait until one is stopped. */
void sync_hold(void);
void sync_wait_held(void);
void sync_release(void);
/* Let only the one go on that is stopped now. */
void sync_pass(void);

/* The next msync of a segment fails with error and syncs nothing. */
void sync_fail_next(int error);

/* Every msync of the index fails with EIO from now on. */
void sync_fail_index(void);

/* Every msync from the n-th on, 1 is the next one, fails with EIO; 0: none. */
void sync_fail_from(uint64_t n);

/* The same of every msync and fsync in this process, whatever the queue. */
void sync_fail_all_from(uint64_t n);

/* Only the n-th msync or fsync, 1 is the next one, fails with error; the later
 * ones succeed, as they do in a kernel that has reported it.  0: none. */
void sync_fail_nth(uint64_t n, int error);
/* Name of the file whose sync failed last; NULL: none did. */
const char *sync_failed_file(void);

/* How many msync calls there were since start. */
uint64_t sync_count(void);

/* Call hook before the next msync of a segment, in the helper's thread. */
void sync_before_next(void (*hook)(void *context), void *context);

/* Call hook before every msync of the queue's files and every fsync of its data
 * or index; in whichever thread it is. */
void sync_before_each(void (*hook)(void *context), void *context);

/* Call hook when the latch is about to be set. */
void sync_on_latch(void (*hook)(void *context), void *context);

/*
 * What is on the medium at this moment, at worst: only what msync and fsync
 * have returned success for, with the bytes that were there when they were
 * called.
 */
struct fixture *sync_power_cut(void);

#endif
