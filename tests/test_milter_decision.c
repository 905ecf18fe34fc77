/* SPDX-License-Identifier: MIT */
/*
 * The queue is a fake here: each test says what its calls return and sees in
 * which order they were made.  The rule that must never break is checked after
 * every decision: DISCARD only when the record was confirmed.
 */
#include <errno.h>
#include <string.h>

#include "tests/cmocka_all.h"
#include "tests/decision_fake.h"

static void test_decision__confirmed__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait arrival synced ");
    assert_int_equal(fake.captures[OUTCOME_CAPTURED], 1);
    assert_log("capturing mail into /queue\n");
    assert_log(ID ": captured, size=123, nrcpt=1, parts=1, confirm=");
}

static void test_decision__confirm_after_some_slices__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    fake.wait_results[0] = fake.wait_results[1] = SYNCQ_ERR_TIMEOUT;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait wait wait arrival synced ");
    assert_int_equal(world.progress_count, 2);
    assert_int_equal(fake.wait_ms[0], DECISION_SLICE_MS);
}

static void timeout_config(struct fixture *fixture)
{
    fixture->config.confirm_timeout_ms = 0;
    fake.wait_results[0] = fake.wait_results[1] = SYNCQ_ERR_TIMEOUT;
}

static void test_decision__no_confirm_in_time__is_not_discarded(void **state)
{
    struct fixture *fixture = *state;

    timeout_config(fixture);
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append wait abandon arrival cancelled ");
    assert_log(ID ": let through, outcome=not confirmed");
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    assert_log(ID ": refused for now, outcome=not confirmed");
    assert_int_equal(fake.captures[OUTCOME_UNCONFIRMED], 2);
    assert_int_equal(fake.captures[OUTCOME_CAPTURED], 0);
}

static void test_decision__confirm_beats_the_timeout__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    timeout_config(fixture);
    fake.abandon_result = SYNCQ_ERR_EXISTS;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait abandon arrival synced ");
}

static void test_decision__mta_gone_while_waiting__is_given_up(void **state)
{
    struct fixture *fixture = *state;

    fake.wait_results[0] = SYNCQ_ERR_TIMEOUT;
    world.progress_result = 0;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append wait abandon arrival cancelled ");
}

static void test_decision__failed_wait__is_never_discarded(void **state)
{
    static const int errors[] = {SYNCQ_ERR_SYNC_FAILED, SYNCQ_ERR_DETACHED,
                                 SYNCQ_ERR_ABANDONED, EIO};
    struct fixture *fixture = *state;
    unsigned i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake.calls[0] = 0;
        fake.wait_count = 0;
        fake.wait_results[0] = errors[i];
        assert_int_equal(decide(fixture), DECISION_ACCEPT);
        assert_string_equal(fake.calls, "append wait arrival cancelled ");
        assert_log(syncq_strerror(errors[i]));
    }
    assert_int_equal(fake.captures[OUTCOME_UNCONFIRMED], 4);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    fake.wait_count = 0;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
}

static void test_decision__failed_append__answers_as_unavailable(void **state)
{
    struct fixture *fixture = *state;

    fake.append_result = SYNCQ_ERR_SEGMENTS_FULL;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append ");
    assert_int_equal(fake.captures[OUTCOME_UNAVAILABLE], 1);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    fake.append_result = SYNCQ_ERR_TOO_LARGE;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(fake.captures[OUTCOME_TOO_LARGE], 1);
}

static void test_decision__unreadable_mail__is_let_through(void **state)
{
    static const enum outcome outcomes[] = {
        OUTCOME_NO_FILE, OUTCOME_NOT_UNDERSTOOD, OUTCOME_TOO_LARGE};
    struct fixture *fixture = *state;
    unsigned i;

    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    for (i = 0; i < 3; i++) {
        world.outcome = outcomes[i];
        assert_int_equal(decide(fixture), DECISION_ACCEPT);
        assert_int_equal(fake.captures[outcomes[i]], 1);
    }
    assert_string_equal(fake.calls, "");
    assert_log(ID ": let through, outcome=not understood, reason=because\n");
    world.outcome = OUTCOME_UNAVAILABLE; /* no memory */
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
}

static void test_decision__closed_gate__is_let_through(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    fake.gate = "milter_header_checks";
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count, 0);
    assert_int_equal(fake.captures[OUTCOME_GATED], 2);
    assert_string_equal(
        world.log, "not capturing mail: gate closed: milter_header_checks\n");
    fake.gate = NULL;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_log("\ncapturing mail into /queue\n");
}

static void
test_decision__unavailable_queue__answers_as_configured(void **state)
{
    struct fixture *fixture = *state;

    fake.open_result = SYNCQ_ERR_NO_HELPER;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    assert_int_equal(world.read_count, 0);
    /* Tried once, not once a mail, and said once. */
    assert_int_equal(fake.open_count, 1);
    assert_ptr_equal(strchr(world.log, '\n'), strrchr(world.log, '\n'));
    assert_log("not capturing mail: queue unavailable: ");
}

static void test_decision__latched_queue__takes_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    fake.calls[0] = 0;
    fake.usable_result = SYNCQ_ERR_LATCHED;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "");
    assert_int_equal(fake.close_count, 0);
    assert_log(syncq_strerror(SYNCQ_ERR_LATCHED));
}

static void test_decision__capture_off__does_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.capture = CONFIG_CAPTURE_OFF;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count + fake.open_count, 0);
    assert_string_equal(world.log, "");
}

static void test_decision__observe__reads_but_stores_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.capture = CONFIG_CAPTURE_OBSERVE;
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    world.outcome = OUTCOME_UNAVAILABLE;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count, 2);
    assert_int_equal(fake.open_count, 0);
    assert_string_equal(fake.calls, "");
    assert_log(ID ": observed, size=123, nrcpt=1, parts=1\n");
}

static void test_decision__bad_queue_id__is_not_logged(void **state)
{
    struct fixture *fixture = *state;

    world.outcome = OUTCOME_NO_FILE;
    assert_int_equal(decision_make(&fixture->maker, "x\nforged: line",
                                   &fixture->event, progress, &world),
                     DECISION_ACCEPT);
    assert_int_equal(
        decision_make(&fixture->maker, NULL, &fixture->event, progress, &world),
        DECISION_ACCEPT);
    assert_null(strstr(world.log, "forged"));
    assert_log("NOQUEUE: let through");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_decision__confirmed__is_discarded),
        TEST(test_decision__confirm_after_some_slices__is_discarded),
        TEST(test_decision__no_confirm_in_time__is_not_discarded),
        TEST(test_decision__confirm_beats_the_timeout__is_discarded),
        TEST(test_decision__mta_gone_while_waiting__is_given_up),
        TEST(test_decision__failed_wait__is_never_discarded),
        TEST(test_decision__failed_append__answers_as_unavailable),
        TEST(test_decision__unreadable_mail__is_let_through),
        TEST(test_decision__closed_gate__is_let_through),
        TEST(test_decision__unavailable_queue__answers_as_configured),
        TEST(test_decision__latched_queue__takes_nothing),
        TEST(test_decision__capture_off__does_nothing),
        TEST(test_decision__observe__reads_but_stores_nothing),
        TEST(test_decision__bad_queue_id__is_not_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
