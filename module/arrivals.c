/* SPDX-License-Identifier: MIT */
/*
 * arrivals.c - tell the queue manager which parts have arrived
 *
 * A FIFO carries hints, a counter in the channel carries the truth: when the
 * manager has read fewer arrivals than were counted, it walks the index.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/append.h"
#include "module/error.h"
#include "module/queue_internal.h"

enum { PER_WRITE = PIPE_BUF / sizeof(struct syncq_arrival) };

static int open_fifo(const struct syncq_queue *queue, int flags, int *fd)
{
    char path[PATH_MAX];
    struct stat status;
    int opened;
    int length = snprintf(path, sizeof path, "%s/" SYNCQ_ARRIVALS_FILE,
                          queue->run_directory);

    if (length < 0 || (size_t)length >= sizeof path)
        return ENAMETOOLONG;
    if (mkfifo(path, 0600) != 0 && errno != EEXIST)
        return errno;
    opened = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (opened < 0)
        return errno;
    if (fstat(opened, &status) != 0 || !S_ISFIFO(status.st_mode) ||
        (status.st_mode & 077) != 0) {
        close(opened);
        return SYNCQ_ERR_MODE;
    }
    *fd = opened;
    return 0;
}

/* Opened for both directions: a writer then needs no reader to be there. */
static int writing_end(struct syncq_queue *queue)
{
    int fd = -1;

    if (__atomic_load_n(&queue->arrivals_fd, __ATOMIC_ACQUIRE) < 0 &&
        open_fifo(queue, O_RDWR, &fd) == 0) {
        int none = -1;

        if (!__atomic_compare_exchange_n(&queue->arrivals_fd, &none, fd, 0,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            close(fd); /* another thread was faster */
    }
    return __atomic_load_n(&queue->arrivals_fd, __ATOMIC_ACQUIRE);
}

void syncq_arrival_send(struct syncq_queue *queue,
                        const struct syncq_ticket *ticket)
{
    int fd = writing_end(queue);

    atomic_fetch_add(&queue->handle.channel->arrivals, ticket->slot_count);
    for (uint32_t done = 0; done < ticket->slot_count && fd >= 0;) {
        struct syncq_arrival arrivals[PER_WRITE];
        uint32_t count = 0;

        for (; count < PER_WRITE && done < ticket->slot_count; count++, done++)
            arrivals[count] = (struct syncq_arrival){ticket->sequence,
                                                     ticket->slots[done], done};
        /* A full FIFO is no error: the counter shows what was missed. */
        if (write(fd, arrivals, count * sizeof arrivals[0]) < 0)
            break;
    }
}

int syncq_arrivals_open(struct syncq_queue *queue, int *fd)
{
    /* For both directions: no end of file when the last writer leaves. */
    return open_fifo(queue, O_RDWR, fd);
}

uint64_t syncq_arrivals_count(struct syncq_queue *queue)
{
    return atomic_load(&queue->handle.channel->arrivals);
}
