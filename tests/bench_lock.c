/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/bench_lock.h"

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

enum { STEP_NS = 20, BUCKETS = 5000 }; /* up to 100 us */

static _Atomic uint64_t buckets[BUCKETS];
static _Thread_local uint64_t locked_ns;

static uint64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    int result = __real_pthread_mutex_lock(mutex);

    locked_ns = clock_ns();
    return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    uint64_t bucket = (clock_ns() - locked_ns) / STEP_NS;

    atomic_fetch_add_explicit(&buckets[bucket < BUCKETS ? bucket : BUCKETS - 1],
                              1, memory_order_relaxed);
    return __real_pthread_mutex_unlock(mutex);
}

void bench_lock_reset(void)
{
    for (int i = 0; i < BUCKETS; i++)
        atomic_store(&buckets[i], 0);
}

uint64_t bench_lock_quantile_ns(double part)
{
    uint64_t total = 0, seen = 0;

    for (int i = 0; i < BUCKETS; i++)
        total += atomic_load(&buckets[i]);
    for (int i = 0; i < BUCKETS; i++) {
        seen += atomic_load(&buckets[i]);
        if ((double)seen >= part * (double)total && seen > 0)
            return (uint64_t)(i + 1) * STEP_NS;
    }
    return 0;
}
