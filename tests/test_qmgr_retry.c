/* SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "qmgr/context.h"
#include "qmgr/retry.h"
#include "tests/cmocka_all.h"

enum {
    BACKOFF_S = 4000,
    LATEST_S = BACKOFF_S + BACKOFF_S / RETRY_JITTER_DIVISOR,
    NOW_S = 1700000000,
    TEN_YEARS_S = 315576000,
    COUNT = 20,
};

time_t __wrap_time(time_t *seconds);

static time_t clock_s;

time_t __wrap_time(time_t *seconds)
{
    if (seconds != NULL)
        *seconds = clock_s;
    return clock_s;
}

static int setup(void **state)
{
    struct qmgr *qmgr = calloc(1, sizeof(*qmgr));

    assert_non_null(qmgr);
    clock_s = NOW_S;
    qmgr->base = event_base_new();
    qmgr->settings.maximal_backoff_s = BACKOFF_S;
    qmgr->settings.active_limit = 10;
    qmgr->retry = retry_new(qmgr);
    *state = qmgr;
    return qmgr->base == NULL;
}

static int teardown(void **state)
{
    struct qmgr *qmgr = *state;

    retry_free(qmgr->retry);
    event_base_free(qmgr->base);
    free(qmgr);
    return 0;
}

static void test_retry__within_the_backoff__as_it_is(void **state)
{
    struct qmgr *qmgr = *state;
    struct message messages[3] = {
        {.sequence = 1}, {.sequence = 2}, {.sequence = 3}};

    retry_add(qmgr, &messages[0], NOW_S + LATEST_S);
    retry_add(qmgr, &messages[1], NOW_S + 5);
    retry_add(qmgr, &messages[2], 0);
    assert_int_equal(messages[0].next_attempt_s, NOW_S + LATEST_S);
    assert_int_equal(messages[1].next_attempt_s, NOW_S + 5);
    assert_int_equal(messages[2].next_attempt_s, 0);
    assert_int_equal(messages[2].heap_index, 1);
}

/* Written while the clock was ten years ahead. */
static void test_retry__far_in_the_future__cut(void **state)
{
    struct qmgr *qmgr = *state;
    struct message messages[2] = {{.sequence = 1}, {.sequence = 2}};

    retry_add(qmgr, &messages[0], NOW_S + TEN_YEARS_S);
    retry_add(qmgr, &messages[1], UINT32_MAX);
    assert_int_equal(messages[0].next_attempt_s, NOW_S + LATEST_S);
    assert_int_equal(messages[1].next_attempt_s, NOW_S + LATEST_S);
}

/* The clock was ten years ahead, and is set right while they wait; one has a
 * time from before. */
static void test_retry__clock_set_back__all_cut_in_order(void **state)
{
    struct qmgr *qmgr = *state;
    struct message messages[COUNT] = {{.sequence = 0}};

    struct message early = {.sequence = COUNT + 1};

    clock_s = NOW_S + TEN_YEARS_S;
    retry_add(qmgr, &early, NOW_S + 7);
    for (unsigned i = 0; i < COUNT; i++) {
        messages[i].sequence = COUNT - i;
        retry_add(qmgr, &messages[i], (uint32_t)(clock_s + 100 * i));
    }
    clock_s = NOW_S;
    retry_wake(qmgr->retry);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(messages[i].next_attempt_s, NOW_S + LATEST_S);
    assert_int_equal(early.next_attempt_s, NOW_S + 7);
    retry_remove(qmgr->retry, &early);
    assert_int_equal(messages[COUNT - 1].heap_index, 1); /* the oldest */
}

static void test_retry__all_now__due_in_order(void **state)
{
    struct qmgr *qmgr = *state;
    struct message messages[COUNT] = {{.sequence = 0}};

    for (unsigned i = 0; i < COUNT; i++) {
        messages[i].sequence = COUNT - i;
        retry_add(qmgr, &messages[i], NOW_S + 100 * i);
    }
    retry_all_now(qmgr, MESSAGE_FLUSH);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(messages[i].next_attempt_s, NOW_S);
        assert_true(messages[i].flags & MESSAGE_FLUSH);
    }
    assert_int_equal(messages[COUNT - 1].heap_index, 1);
}

#define RETRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RETRY(test_retry__within_the_backoff__as_it_is),
        RETRY(test_retry__far_in_the_future__cut),
        RETRY(test_retry__clock_set_back__all_cut_in_order),
        RETRY(test_retry__all_now__due_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
