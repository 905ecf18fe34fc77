/* SPDX-License-Identifier: MIT */
/*
 * read_ahead.c - read pages ahead of the head
 *
 * A record rarely ends at a page end, and to write a part of a page the kernel
 * reads the rest first: one wait for the disk for each append.  One thread of
 * each writing process therefore has the next MiB read, in few large reads.
 * The advice "random" that the file was given keeps the pages single ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "module/channel.h"
#include "module/limits.h"
#include "module/read_ahead.h"

enum {
    AHEAD_SIZE = 4 << 20, /* bytes in front of the head */
    CHUNK_SIZE = 1 << 20, /* bytes of one read */
    WAKE_SIZE = 1 << 19,  /* bytes appended between two looks */
};

struct syncq_read_ahead {
    struct syncq_data *data;
    pthread_t thread;
    _Atomic uint32_t wake; /* futex */
    _Atomic int stop;
    _Atomic uint32_t segment;
    _Atomic uint64_t offset;   /* the head as last seen */
    _Atomic uint64_t appended; /* bytes, by this process */
    uint32_t done_segment;
    uint64_t done_offset; /* read up to here in done_segment */
};

static void read_next(struct syncq_read_ahead *read_ahead)
{
    uint32_t segment = atomic_load(&read_ahead->segment);
    uint64_t head = atomic_load(&read_ahead->offset);
    uint64_t limit = read_ahead->data->segment_size - SYNCQ_PAGE_SIZE;
    uint64_t end = head + AHEAD_SIZE;

    if (segment >= read_ahead->data->segment_count || head >= limit)
        return;
    if (end > limit)
        end = limit;
    if (read_ahead->done_segment != segment || read_ahead->done_offset < head) {
        read_ahead->done_segment = segment;
        read_ahead->done_offset = head;
    }
    while (read_ahead->done_offset < end && !atomic_load(&read_ahead->stop)) {
        uint64_t size = end - read_ahead->done_offset;

        if (size > CHUNK_SIZE)
            size = CHUNK_SIZE;
        (void)posix_fadvise(
            read_ahead->data->fd,
            (off_t)(syncq_data_segment_offset(read_ahead->data, segment) +
                    read_ahead->done_offset),
            (off_t)size, POSIX_FADV_WILLNEED);
        read_ahead->done_offset += size;
    }
}

static void *read_ahead_run(void *context)
{
    struct syncq_read_ahead *read_ahead = context;

    while (!atomic_load(&read_ahead->stop)) {
        uint32_t wake = atomic_load(&read_ahead->wake);

        if (wake > 0)
            read_next(read_ahead);
        (void)syncq_futex_wait(&read_ahead->wake, wake, -1);
    }
    return NULL;
}

int syncq_read_ahead_new(struct syncq_data *data,
                         struct syncq_read_ahead **read_ahead)
{
    struct syncq_read_ahead *made = calloc(1, sizeof *made);
    sigset_t all, before;
    int result;

    if (made == NULL)
        return ENOMEM;
    made->data = data;
    made->done_segment = UINT32_MAX;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&made->thread, NULL, read_ahead_run, made);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        free(made);
        return result;
    }
    *read_ahead = made;
    return 0;
}

static void wake_up(struct syncq_read_ahead *read_ahead)
{
    atomic_fetch_add(&read_ahead->wake, 1);
    syncq_futex_wake(&read_ahead->wake);
}

void syncq_read_ahead_free(struct syncq_read_ahead *read_ahead)
{
    if (read_ahead == NULL)
        return;
    atomic_store(&read_ahead->stop, 1);
    wake_up(read_ahead);
    (void)pthread_join(read_ahead->thread, NULL);
    free(read_ahead);
}

void syncq_read_ahead_advance(struct syncq_read_ahead *read_ahead,
                              uint32_t segment, uint64_t offset, uint64_t size)
{
    uint64_t before;

    if (read_ahead == NULL)
        return;
    atomic_store_explicit(&read_ahead->segment, segment, memory_order_relaxed);
    atomic_store_explicit(&read_ahead->offset, offset + size,
                          memory_order_relaxed);
    before = atomic_fetch_add(&read_ahead->appended, size);
    if (before == 0 || before / WAKE_SIZE != (before + size) / WAKE_SIZE)
        wake_up(read_ahead);
}
