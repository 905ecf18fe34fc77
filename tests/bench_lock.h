/* SPDX-License-Identifier: MIT */
/*
 * bench_lock.h - how long do appends hold the shared lock?
 *
 * Link with -Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_unlock: each
 * pair of calls in this process is timed.  Nothing in the module knows of it.
 */
#ifndef SYNCQ_BENCH_LOCK_H
#define SYNCQ_BENCH_LOCK_H

#include <stdint.h>

/* Forget what was measured. */
void bench_lock_reset(void);

/* Nanoseconds that this part (0 to 1) of all holds did not exceed. */
uint64_t bench_lock_quantile_ns(double part);

#endif
