/* SPDX-License-Identifier: MIT */
/*
 * populate.c - populate pages ahead of the head
 *
 * A store to a page that is not mapped yet costs a fault that reads the page:
 * 55 to 125 us for a 4 KiB record instead of 0.2 us.  One thread of each
 * writing process therefore reads and populates some MiB ahead of the head,
 * with few large reads.  Populated pages are dirty, and the kernel would write
 * them for nothing if the head did not reach them soon: so nothing is
 * populated until the appends come fast.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "module/channel.h"
#include "module/limits.h"
#include "module/populate.h"

enum {
    AHEAD_SIZE = 4 << 20, /* bytes populated in front of the head */
    CHUNK_SIZE = 1 << 20, /* bytes of one read */
    WAKE_SIZE = 1 << 19,  /* bytes appended between two looks */
    FAST_US = 1000000,    /* WAKE_SIZE within this time is fast */
};

struct syncq_populate {
    struct syncq_data *data;
    pthread_t thread;
    _Atomic uint32_t wake; /* futex */
    _Atomic int stop;
    _Atomic uint32_t segment;
    _Atomic uint64_t offset;   /* the head as last seen */
    _Atomic uint64_t appended; /* bytes, by this process */
    uint32_t done_segment;
    uint64_t done_offset; /* populated up to here in done_segment */
    uint64_t woken_us;
};

static void populate_chunk(struct syncq_data *data, uint32_t segment,
                           uint64_t offset, uint64_t size)
{
    uint8_t *map;

    if (syncq_data_map(data, segment, &map) != 0)
        return;
    (void)posix_fadvise(
        data->fd, (off_t)(syncq_data_segment_offset(data, segment) + offset),
        (off_t)size, POSIX_FADV_WILLNEED);
    (void)madvise(map + offset, size, MADV_POPULATE_WRITE);
}

static void populate_ahead(struct syncq_populate *populate)
{
    uint32_t segment = atomic_load(&populate->segment);
    uint64_t head = atomic_load(&populate->offset);
    uint64_t limit = populate->data->segment_size - SYNCQ_PAGE_SIZE;
    uint64_t end = head + AHEAD_SIZE;

    if (segment >= populate->data->segment_count || head >= limit)
        return;
    if (end > limit)
        end = limit;
    if (populate->done_segment != segment || populate->done_offset < head) {
        populate->done_segment = segment;
        /* Not the head's own page: it may hold confirmed bytes by now. */
        populate->done_offset =
            (head + SYNCQ_PAGE_SIZE - 1) & ~(SYNCQ_PAGE_SIZE - 1);
    }
    while (populate->done_offset < end && !atomic_load(&populate->stop)) {
        uint64_t size = end - populate->done_offset;

        if (size > CHUNK_SIZE)
            size = CHUNK_SIZE;
        populate_chunk(populate->data, segment, populate->done_offset, size);
        populate->done_offset += size;
    }
}

static void *populate_run(void *context)
{
    struct syncq_populate *populate = context;

    while (!atomic_load(&populate->stop)) {
        uint32_t wake = atomic_load(&populate->wake);
        uint64_t now_us = syncq_clock_us();

        if (wake > 0 && now_us - populate->woken_us < FAST_US)
            populate_ahead(populate);
        populate->woken_us = now_us;
        (void)syncq_futex_wait(&populate->wake, wake, -1);
    }
    return NULL;
}

int syncq_populate_new(struct syncq_data *data,
                       struct syncq_populate **populate)
{
    struct syncq_populate *made = calloc(1, sizeof *made);
    sigset_t all, before;
    int result;

    if (made == NULL)
        return ENOMEM;
    made->data = data;
    made->done_segment = UINT32_MAX;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&made->thread, NULL, populate_run, made);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        free(made);
        return result;
    }
    *populate = made;
    return 0;
}

static void wake_up(struct syncq_populate *populate)
{
    atomic_fetch_add(&populate->wake, 1);
    syncq_futex_wake(&populate->wake);
}

void syncq_populate_free(struct syncq_populate *populate)
{
    if (populate == NULL)
        return;
    atomic_store(&populate->stop, 1);
    wake_up(populate);
    (void)pthread_join(populate->thread, NULL);
    free(populate);
}

void syncq_populate_advance(struct syncq_populate *populate, uint32_t segment,
                            uint64_t offset, uint64_t size)
{
    uint64_t before;

    if (populate == NULL)
        return;
    atomic_store_explicit(&populate->segment, segment, memory_order_relaxed);
    atomic_store_explicit(&populate->offset, offset + size,
                          memory_order_relaxed);
    before = atomic_fetch_add(&populate->appended, size);
    if (before / WAKE_SIZE != (before + size) / WAKE_SIZE)
        wake_up(populate);
}
