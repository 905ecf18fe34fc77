/* SPDX-License-Identifier: MIT */
/*
 * test_cleaner_policy.c - what the cleaner chooses, and when there is alarm
 */
#include <errno.h>

#include "module/channel_format.h"
#include "module/cleaner.h"
#include "module/space_report.h"
#include "qmgr/space_watch.h"
#include "tests/cmocka_all.h"

#define ROOM UINT64_C(1000000)

static struct syncq_space space_of(struct syncq_segment_use *segments,
                                   uint32_t count, uint32_t free)
{
    for (uint32_t i = 0; i < count; i++) {
        segments[i].base_lsn = (i + 1) * 2 * ROOM;
        if (segments[i].state == 0)
            segments[i].state = SYNCQ_SEGMENT_CLOSED;
        if (segments[i].live_parts == 0)
            segments[i].live_parts = 10;
    }
    return (struct syncq_space){.segment_count = count,
                                .segments_free = free,
                                .entry_count = 16000,
                                .entries_free = 8000,
                                .segment_room = ROOM,
                                .head_segment = SYNCQ_SEGMENT_NONE,
                                .segments = segments};
}

static void test_policy__plenty_free__nothing(void **state)
{
    struct syncq_segment_use segments[8] = {{.live_size = 10}};
    struct syncq_space space = space_of(segments, 8, 6);

    (void)state;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_NOTHING);
    space.segments_free = 1;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_SEGMENTS);
    space.segments_free = 6;
    space.entries_free = 10;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_ENTRIES);
}

static void test_policy__few_segments__least_live_bytes(void **state)
{
    struct syncq_segment_use segments[] = {
        {.live_size = 500000},
        {.live_size = 1000, .busy = 1},
        {.live_size = 2000, .broken = 1},
        {.live_size = 300000, .final_parts = 1},
        {.live_size = 900000},
        {.live_size = 3000, .state = SYNCQ_SEGMENT_OPEN},
    };
    struct syncq_space space = space_of(segments, 6, 1);
    uint32_t segment;

    (void)state;
    assert_int_equal(
        syncq_cleaner_choose(&space, SYNCQ_CLEANER_SEGMENTS, &segment), 0);
    assert_int_equal(segment, 3);
    assert_true(syncq_cleaner_reclaimable(&space) == 500000 + 700000);
}

static void test_policy__few_entries__most_slots_for_its_bytes(void **state)
{
    struct syncq_segment_use segments[] = {
        {.live_size = 1000, .final_parts = 0},
        {.live_size = 500000, .final_parts = 5000},
        {.live_size = 400000, .final_parts = 100},
    };
    struct syncq_space space = space_of(segments, 3, 2);
    uint32_t segment;

    (void)state;
    assert_int_equal(
        syncq_cleaner_choose(&space, SYNCQ_CLEANER_ENTRIES, &segment), 0);
    assert_int_equal(segment, 1);
}

static void test_policy__no_room_for_copies__left_alone(void **state)
{
    struct syncq_segment_use segments[] = {{.live_size = 500000},
                                           {.live_size = 990000}};
    struct syncq_space space = space_of(segments, 2, 0);
    uint32_t segment;

    (void)state;
    space.head_room = 400000;
    assert_int_equal(
        syncq_cleaner_choose(&space, SYNCQ_CLEANER_SEGMENTS, &segment), ENOENT);
    space.head_room = 600000;
    assert_int_equal(
        syncq_cleaner_choose(&space, SYNCQ_CLEANER_SEGMENTS, &segment), 0);
}

static void test_policy__one_is_being_emptied__goes_first(void **state)
{
    struct syncq_segment_use segments[] = {
        {.live_size = 10},
        {.live_size = 900000, .state = SYNCQ_SEGMENT_EMPTYING}};
    struct syncq_space space = space_of(segments, 2, 2);
    uint32_t segment;

    (void)state;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_FINISH);
    assert_int_equal(
        syncq_cleaner_choose(&space, SYNCQ_CLEANER_FINISH, &segment), 0);
    assert_int_equal(segment, 1);
}

static void test_policy__a_segment_of_old_mail__gathered(void **state)
{
    struct syncq_segment_use segments[] = {
        {.live_size = 600000}, {.live_size = 600000}, {.live_size = 10}};
    struct syncq_space space = space_of(segments, 3, 1);

    (void)state;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_GATHER);
    segments[1].live_size = 10;
    space.segments_free = 3;
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_GATHER),
                     SYNCQ_CLEANER_GATHER);
    assert_int_equal(syncq_cleaner_need(&space, SYNCQ_CLEANER_NOTHING),
                     SYNCQ_CLEANER_NOTHING);
}

/* ---- alarms ---- */

static void test_alarm__percent__its_level(void **state)
{
    (void)state;
    assert_int_equal(space_alarm_level(69), 0);
    assert_int_equal(space_alarm_level(70), 70);
    assert_int_equal(space_alarm_level(84), 70);
    assert_int_equal(space_alarm_level(85), 85);
    assert_int_equal(space_alarm_level(95), 95);
    assert_int_equal(space_alarm_level(100), 95);
}

static void test_trend__filling_and_falling__time_to_full(void **state)
{
    struct space_trend trend = {0};

    (void)state;
    assert_true(space_trend_full_in_s(&trend, 0, 0, 1000) ==
                SYNCQ_FULL_UNKNOWN);
    space_trend_add(&trend, 1000, 100);
    assert_true(space_trend_full_in_s(&trend, 1030, 200, 1000) ==
                SYNCQ_FULL_UNKNOWN);
    /* 100 in 100 s, 800 are left. */
    assert_in_range(space_trend_full_in_s(&trend, 1100, 200, 1000), 800, 801);
    assert_true(space_trend_full_in_s(&trend, 1100, 100, 1000) ==
                SYNCQ_FULL_NEVER);
    assert_true(space_trend_full_in_s(&trend, 1100, 50, 1000) ==
                SYNCQ_FULL_NEVER);
}

/* After a day the first samples are forgotten. */
static void test_trend__a_day_later__only_that_day_counts(void **state)
{
    struct space_trend trend = {0};
    int64_t at_s = 0;

    (void)state;
    space_trend_add(&trend, at_s, 0);
    for (int i = 0; i < SPACE_WATCH_SAMPLES; i++) {
        at_s += SPACE_WATCH_STEP_S;
        space_trend_add(&trend, at_s, 5000);
    }
    assert_true(space_trend_full_in_s(&trend, at_s, 5000, 10000) ==
                SYNCQ_FULL_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__plenty_free__nothing),
        cmocka_unit_test(test_policy__few_segments__least_live_bytes),
        cmocka_unit_test(test_policy__few_entries__most_slots_for_its_bytes),
        cmocka_unit_test(test_policy__no_room_for_copies__left_alone),
        cmocka_unit_test(test_policy__one_is_being_emptied__goes_first),
        cmocka_unit_test(test_policy__a_segment_of_old_mail__gathered),
        cmocka_unit_test(test_alarm__percent__its_level),
        cmocka_unit_test(test_trend__filling_and_falling__time_to_full),
        cmocka_unit_test(test_trend__a_day_later__only_that_day_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
