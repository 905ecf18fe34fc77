/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <math.h>
#include <string.h>

#include "module/statistics.h"

/* The bound that a histogram with only this time reports. */
static uint64_t bound_of(uint64_t time_us)
{
    struct syncq_histogram histogram = {{0}};

    histogram.counts[syncq_histogram_bucket(time_us)] = 1;
    return syncq_histogram_quantile(&histogram, 0.5);
}

static void test_bucket__rising_times__never_falls_or_jumps(void **state)
{
    unsigned before = 0;
    uint64_t time_us;

    (void)state;
    for (time_us = 0; time_us < 1000000; time_us++) {
        unsigned bucket = syncq_histogram_bucket(time_us);

        assert_true(bucket == before || bucket == before + 1);
        before = bucket;
    }
}

static void test_bucket__each_power_of_two__has_eight(void **state)
{
    unsigned power;

    (void)state;
    for (power = 3; power < 33; power++)
        assert_int_equal(syncq_histogram_bucket(UINT64_C(2) << power) -
                             syncq_histogram_bucket(UINT64_C(1) << power),
                         8);
}

static void test_bucket__very_long_times__go_into_the_last(void **state)
{
    (void)state;
    assert_int_equal(syncq_histogram_bucket((UINT64_C(1) << 34) - 1), 255);
    assert_int_equal(syncq_histogram_bucket(UINT64_C(1) << 34), 255);
    assert_int_equal(syncq_histogram_bucket(UINT64_MAX), 255);
}

static void test_quantile__one_time__bound_is_near_and_not_below(void **state)
{
    uint64_t time_us;

    (void)state;
    for (time_us = 0; time_us < 8; time_us++)
        assert_int_equal(bound_of(time_us), time_us);
    for (time_us = 8; time_us < UINT64_C(1) << 33; time_us += time_us / 7) {
        assert_true(bound_of(time_us) >= time_us);
        assert_true(bound_of(time_us) - time_us <= time_us / 8);
        assert_int_equal(syncq_histogram_bucket(bound_of(time_us)),
                         syncq_histogram_bucket(time_us));
        assert_int_equal(syncq_histogram_bucket(bound_of(time_us) + 1),
                         syncq_histogram_bucket(time_us) + 1);
    }
}

static void test_quantile__empty__is_zero(void **state)
{
    struct syncq_histogram histogram = {{0}};

    (void)state;
    assert_int_equal(syncq_histogram_quantile(&histogram, 0.5), 0);
}

static void test_quantile__hundred_times__counts_from_below(void **state)
{
    struct syncq_histogram histogram = {{0}};

    (void)state;
    histogram.counts[syncq_histogram_bucket(1)] = 50;
    histogram.counts[syncq_histogram_bucket(3)] = 49;
    histogram.counts[syncq_histogram_bucket(7)] = 1;
    assert_int_equal(syncq_histogram_quantile(&histogram, 0), 1);
    assert_int_equal(syncq_histogram_quantile(&histogram, 0.5), 1);
    assert_int_equal(syncq_histogram_quantile(&histogram, 0.51), 3);
    assert_int_equal(syncq_histogram_quantile(&histogram, 0.99), 3);
    assert_int_equal(syncq_histogram_quantile(&histogram, 0.991), 7);
    assert_int_equal(syncq_histogram_quantile(&histogram, 1), 7);
}

static void test_quantile__part_outside_0_to_1__is_clipped(void **state)
{
    struct syncq_histogram histogram = {{0}};

    (void)state;
    histogram.counts[2] = 1;
    histogram.counts[5] = 1;
    assert_int_equal(syncq_histogram_quantile(&histogram, -1), 2);
    assert_int_equal(syncq_histogram_quantile(&histogram, (double)NAN), 2);
    assert_int_equal(syncq_histogram_quantile(&histogram, 2), 5);
    assert_int_equal(syncq_histogram_quantile(&histogram, (double)INFINITY), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket__rising_times__never_falls_or_jumps),
        cmocka_unit_test(test_bucket__each_power_of_two__has_eight),
        cmocka_unit_test(test_bucket__very_long_times__go_into_the_last),
        cmocka_unit_test(test_quantile__one_time__bound_is_near_and_not_below),
        cmocka_unit_test(test_quantile__empty__is_zero),
        cmocka_unit_test(test_quantile__hundred_times__counts_from_below),
        cmocka_unit_test(test_quantile__part_outside_0_to_1__is_clipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
