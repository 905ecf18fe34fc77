/* SPDX-License-Identifier: MIT */
/*
 * Which of two queue files a mail goes to, and what is said when none takes it.
 */
#include <string.h>

#include "tests/cmocka_all.h"
#include "tests/decision_fake.h"

static void test_two_files__the_faster_one__gets_the_mail(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait arrival synced ");
    assert_log("capturing mail into /queue, /second\n");
}

static void test_two_files__one_refuses__the_other_gets_it(void **state)
{
    static const int errors[] = {SYNCQ_ERR_SEGMENTS_FULL, SYNCQ_ERR_LATCHED,
                                 SYNCQ_ERR_DRAINING, SYNCQ_ERR_DETACHED,
                                 SYNCQ_ERR_TOO_LARGE};
    struct fixture *fixture = *state;
    unsigned i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake.calls[0] = 0;
        fake.wait_count = 0;
        fake.append_result = errors[i];
        assert_int_equal(decide(fixture), DECISION_DISCARD);
        assert_string_equal(fake.calls, "append second wait arrival synced ");
    }
    assert_int_equal(fake.captures[OUTCOME_CAPTURED], i);
    assert_int_equal(fake.captures[OUTCOME_UNAVAILABLE], 0);
}

static void test_two_files__one_is_not_usable__is_not_asked(void **state)
{
    struct fixture *fixture = *state;

    fake.usable_result = SYNCQ_ERR_LATCHED;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "second wait arrival synced ");
}

static void test_two_files__one_has_no_helper__is_not_asked(void **state)
{
    struct fixture *fixture = *state;

    fake.unserved = 1;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "second wait arrival synced ");
}

static void test_two_files__one_has_no_manager__is_not_asked(void **state)
{
    struct fixture *fixture = *state;

    fake.gate = "the queue manager has not started yet";
    fake.second_size_max = 99;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "second wait arrival synced ");
}

static void test_two_files__all_refuse__each_is_named(void **state)
{
    struct fixture *fixture = *state;

    fake.append_result = SYNCQ_ERR_SEGMENTS_FULL;
    fake.second_append_result = SYNCQ_ERR_DRAINING;
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    assert_string_equal(fake.calls, "append second ");
    assert_log("/queue: the queue is full");
    assert_log("; /second: this queue file is being drained");
    assert_int_equal(fake.captures[OUTCOME_UNAVAILABLE], 1);
    /* Too large for one, and the other one is full: it may fit later. */
    fake.second_append_result = SYNCQ_ERR_TOO_LARGE;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    fake.append_result = SYNCQ_ERR_TOO_LARGE;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(fake.captures[OUTCOME_TOO_LARGE], 1);
}

/* Its record may become durable yet, so the mail must not be in two. */
static void test_two_files__not_confirmed__no_other_is_tried(void **state)
{
    struct fixture *fixture = *state;

    fake.wait_results[0] = SYNCQ_ERR_SYNC_FAILED;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append wait arrival cancelled ");
}

static void test_two_files__different_sizes__the_larger_counts(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_true(world.size_max == 12345);
    fake.gate = "closed";
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_true(world.size_max == fake.second_size_max);
}

static void test_two_files__one_leaves_the_list__is_not_asked(void **state)
{
    static char second[] = "/second";
    struct fixture *fixture = *state;
    struct files_one one = {second, 0};
    struct files files = {&one, 1};

    assert_int_equal(queues_change(fixture->maker.queues, &files), 0);
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "second wait arrival synced ");
}

static void test_reports__are_logged_when_they_change(void **state)
{
    struct fixture *fixture = *state;
    struct queues *queues = fixture->maker.queues;

    queues_report(queues, "full");
    queues_report(queues, "full");
    queues_report(queues, "failed");
    queues_report(queues, NULL);
    queues_report(queues, NULL);
    queues_report(queues, "failed");
    assert_string_equal(world.log, "not capturing mail: full\n"
                                   "not capturing mail: failed\n"
                                   "capturing mail into /queue\n"
                                   "not capturing mail: failed\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_files__the_faster_one__gets_the_mail),
        TEST(test_two_files__one_refuses__the_other_gets_it),
        TEST(test_two_files__one_is_not_usable__is_not_asked),
        TEST(test_two_files__one_has_no_helper__is_not_asked),
        TEST(test_two_files__one_has_no_manager__is_not_asked),
        TEST(test_two_files__all_refuse__each_is_named),
        TEST(test_two_files__not_confirmed__no_other_is_tried),
        TEST(test_two_files__different_sizes__the_larger_counts),
        TEST(test_two_files__one_leaves_the_list__is_not_asked),
        cmocka_unit_test_setup_teardown(
            test_reports__are_logged_when_they_change, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
