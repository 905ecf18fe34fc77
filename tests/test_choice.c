/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include "module/choice.h"

static uint64_t cost(uint32_t in_flight, uint64_t sync_us, uint64_t since_us,
                     uint64_t idle_us)
{
    struct syncq_load load = {in_flight, sync_us, since_us, idle_us, 1};

    return syncq_load_cost(&load);
}

static void test_cost__more_in_flight__more(void **state)
{
    (void)state;
    assert_true(cost(0, 1000, 0, 0) < cost(1, 1000, 0, 0));
    assert_true(cost(9, 1000, 0, 0) < cost(10, 1000, 0, 0));
}

static void test_cost__slower_disk__more_but_noise_is_equal(void **state)
{
    (void)state;
    assert_true(cost(0, 1000, 0, 0) < cost(0, 4000, 0, 0));
    assert_true(cost(0, 1040, 0, 0) == cost(0, 1990, 0, 0));
    /* Three in flight on a fast disk are over before one on a slow one. */
    assert_true(cost(2, 1024, 0, 0) < cost(0, 4096, 0, 0));
    assert_true(cost(5, 1024, 0, 0) > cost(0, 4096, 0, 0));
}

static void test_cost__sync_hangs__its_time_counts(void **state)
{
    (void)state;
    assert_true(cost(1, 1000, 30000000, 0) > cost(100, 4000, 0, 0));
    /* However long it rested before that sync. */
    assert_true(cost(0, 8192, 1, 60000000) == cost(0, 8192, 0, 0));
}

static void test_cost__slow_long_ago__is_forgotten(void **state)
{
    (void)state;
    assert_true(cost(0, 1 << 20, 0, 0) > cost(0, 1 << 20, 0, 2000000));
    assert_true(cost(0, 1 << 20, 0, 60000000) == cost(0, 0, 0, 0));
    assert_true(cost(0, UINT64_MAX, 0, UINT64_MAX) == cost(0, 0, 0, 0));
}

static void test_cost__largest_numbers__do_not_overflow(void **state)
{
    (void)state;
    assert_true(cost(1023, UINT64_MAX, UINT64_MAX, 0) >
                cost(1022, UINT64_MAX, UINT64_MAX, 0));
}

static void test_order__different_costs__lowest_first(void **state)
{
    const uint64_t costs[] = {30, 10, 20};
    unsigned order[3], turn;

    (void)state;
    for (turn = 0; turn < 6; turn++) {
        syncq_choice_order(costs, 3, turn, order);
        assert_int_equal(order[0], 1);
        assert_int_equal(order[1], 2);
        assert_int_equal(order[2], 0);
    }
}

static void test_order__equal_costs__take_turns(void **state)
{
    const uint64_t costs[] = {5, 5, 9, 5};
    const unsigned firsts[] = {0, 1, 3, 3};
    unsigned order[4], turn;

    (void)state;
    for (turn = 0; turn < 4; turn++) {
        syncq_choice_order(costs, 4, turn, order);
        assert_int_equal(order[0], firsts[turn]);
        assert_int_equal(order[3], 2);
    }
    syncq_choice_order(costs, 4, UINT32_MAX, order);
    assert_int_equal(order[0], 3);
}

static void test_order__one_or_none__is_no_trouble(void **state)
{
    const uint64_t costs[] = {UINT64_MAX};
    unsigned order[1] = {7};

    (void)state;
    syncq_choice_order(costs, 0, 3, order);
    assert_int_equal(order[0], 7);
    syncq_choice_order(costs, 1, 3, order);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost__more_in_flight__more),
        cmocka_unit_test(test_cost__slower_disk__more_but_noise_is_equal),
        cmocka_unit_test(test_cost__sync_hangs__its_time_counts),
        cmocka_unit_test(test_cost__slow_long_ago__is_forgotten),
        cmocka_unit_test(test_cost__largest_numbers__do_not_overflow),
        cmocka_unit_test(test_order__different_costs__lowest_first),
        cmocka_unit_test(test_order__equal_costs__take_turns),
        cmocka_unit_test(test_order__one_or_none__is_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
