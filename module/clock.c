/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "module/channel.h"

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for these two clocks */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t syncq_clock_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t syncq_date_us(void)
{
    return (int64_t)clock_us(CLOCK_REALTIME);
}
