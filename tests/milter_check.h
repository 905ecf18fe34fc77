/* SPDX-License-Identifier: MIT */
/*
 * milter_check.h - what the tests with the real milter have in common; each
 * call fails the test when something is not as it must be
 */
#ifndef SYNCQ_TESTS_MILTER_CHECK_H
#define SYNCQ_TESTS_MILTER_CHECK_H

#include "milter/outcome.h"
#include "tests/milter_system.h"

#define ID_1 "3pXyzABCDEz1kQ"
#define ID_2 "3pXyzABCDFz1kR"
#define ID_3 "3pXyzABCDGz1kS"

/* cmocka's fixtures: *state is a struct milter_system, nothing runs. */
int milter_check_setup(void **state);
int milter_check_teardown(void **state);
#define MILTER_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, milter_check_setup,                  \
                                    milter_check_teardown)

/*
 * The shim to be preloaded: the environment's SHIM_MSYNC, or where libtool
 * puts it.
 */
const char *milter_check_shim(void);

/* Helper, with the shim or NULL, and milter, with a parameter or NULL. */
void milter_check_start(struct milter_system *system, const char *shim,
                        const char *parameter);

void milter_check_session(struct milter_system *system,
                          struct milter_peer *peer);
void milter_check_reply(struct milter_peer *peer, int letter);

/* A mail in a session of its own is answered so; text may be NULL. */
void milter_check_answer(struct milter_system *system, const char *queue_id,
                         int letter, const char *text);

/* How often the milter counted this outcome. */
uint64_t milter_check_count(struct milter_system *system, enum outcome outcome);

#endif
