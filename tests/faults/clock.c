/* SPDX-License-Identifier: MIT */
/*
 * clock.c - a wall clock that steps, stands still or wanders
 *
 * The laps of laps.h, while the clock does that between any two operations.
 * Nothing that a queue holds may follow from it: the same must be there.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "tests/faults/laps.h"

enum {
    LAPS_DEFAULT = 20,
    STEP_ONE_IN = 5,
    YEAR_S = 31557600,
};

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
time_t __wrap_time(time_t *seconds);

static struct {
    _Atomic int64_t offset_s; /* to the real time */
    _Atomic int64_t frozen_s; /* or this time; 0: it moves */
} wall;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t frozen_s = atomic_load(&wall.frozen_s);
    int result = __real_clock_gettime(clock, now);

    if (result != 0 || clock != CLOCK_REALTIME)
        return result;
    if (frozen_s != 0)
        *now = (struct timespec){.tv_sec = (time_t)frozen_s};
    else
        now->tv_sec += (time_t)atomic_load(&wall.offset_s);
    return 0;
}

time_t __wrap_time(time_t *seconds)
{
    struct timespec now;

    (void)__wrap_clock_gettime(CLOCK_REALTIME, &now);
    if (seconds != NULL)
        *seconds = now.tv_sec;
    return now.tv_sec;
}

/* Set the clock to a time. */
static void set(int64_t seconds)
{
    struct timespec now;

    (void)__real_clock_gettime(CLOCK_REALTIME, &now);
    atomic_store(&wall.offset_s, seconds - (int64_t)now.tv_sec);
    atomic_store(&wall.frozen_s, 0);
}

static void step(struct chance *chance)
{
    static const int64_t steps[] = {-1, -3600, -10LL * YEAR_S, 10LL * YEAR_S};
    static const int64_t times[] = {
        0, 1, 2147483646, 2147483648, 4294967294, 4294967296, 253402300799};
    uint64_t what = chance_below(chance, 4 * STEP_ONE_IN);

    if (what == 0)
        atomic_fetch_add(&wall.offset_s, steps[chance_below(chance, 4)]);
    else if (what == 1)
        set(times[chance_below(chance, 7)]);
    else if (what == 2)
        atomic_store(&wall.frozen_s, time(NULL));
    else if (what == 3) /* a random walk */
        atomic_fetch_add(&wall.offset_s,
                         (int64_t)chance_below(chance, 2001) - 1000);
}

int main(int argc, char **argv)
{
    struct findings findings;

    findings_begin(&findings, "clock", argc, argv);
    laps_run(&findings, findings.count == 0 ? LAPS_DEFAULT : findings.count,
             step);
    return findings_end(&findings);
}
