/* SPDX-License-Identifier: MIT */
/*
 * latch.c - remembers over restarts that a sync failed
 *
 * The file is made with the queue, so setting it needs no allocation: one
 * write of one sector with O_DSYNC, before anybody is told of the failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/queue_internal.h"

#define GOOD         "good\n"
#define INDEX_FAILED "INDEX FAILED\n"

enum { LATCH_SIZE = 512 };

static int write_latch(int fd, const char *text)
{
    char sector[LATCH_SIZE] = "";

    (void)snprintf(sector, sizeof sector, "%s", text);
    return syncq_file_write(fd, sector, sizeof sector, 0);
}

int syncq_latch_create(int directory_fd)
{
    int fd = -1;
    int result = syncq_file_create(directory_fd, SYNCQ_LATCH_FILE, &fd);

    if (result != 0)
        return result;
    result = write_latch(fd, GOOD);
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    close(fd);
    return result;
}

static int rewrite_latch(int directory_fd, const char *text)
{
    int result;
    int fd = openat(directory_fd, SYNCQ_LATCH_FILE,
                    O_WRONLY | O_DSYNC | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno;
    result = write_latch(fd, text);
    if (close(fd) != 0 && result == 0)
        result = errno;
    return result;
}

int syncq_latch_set(int directory_fd, uint64_t durable_lsn)
{
    char text[64];

    (void)snprintf(text, sizeof text, "FAILED %" PRIu64 "\n", durable_lsn);
    return rewrite_latch(directory_fd, text);
}

int syncq_latch_set_index(int directory_fd)
{
    return rewrite_latch(directory_fd, INDEX_FAILED);
}

int syncq_latch_clear(int directory_fd)
{
    return rewrite_latch(directory_fd, GOOD);
}

int syncq_latch_read(int directory_fd, uint64_t *durable_lsn)
{
    char sector[LATCH_SIZE + 1] = "";
    struct stat status;
    int fd = -1;
    int result =
        syncq_file_open(directory_fd, SYNCQ_LATCH_FILE, 0, &fd, &status);

    *durable_lsn = 0;
    if (result == 0) {
        result = syncq_file_read(fd, sector, LATCH_SIZE, 0);
        close(fd);
    }
    if (result == 0 && strcmp(sector, GOOD) == 0)
        return 0;
    if (result == 0 && strcmp(sector, INDEX_FAILED) == 0)
        return SYNCQ_ERR_INDEX;
    (void)sscanf(sector, "FAILED %" SCNu64, durable_lsn);
    return SYNCQ_ERR_LATCHED;
}
