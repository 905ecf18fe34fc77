/* SPDX-License-Identifier: MIT */
#include "tests/faults/error_calls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/sync_control.h"

int __real_statx(int fd, const char *path, int flags, unsigned mask,
                 struct statx *status);
ssize_t __real_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask,
                 struct statx *status);
ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);

const char *const error_call_names[ERROR_CALLS] = {
    [ERROR_SYNC] = "sync",
    [ERROR_STATX] = "statx",
    [ERROR_PWRITEV] = "pwritev",
    [ERROR_PWRITE] = "pwrite",
};

static struct {
    _Atomic int call, error, fired;
    _Atomic int64_t left; /* calls until it fails */
    char directory[512];
} armed = {.call = -1};

static int is_below(int fd)
{
    char link[64], path[1024] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 &&
           strncmp(path, armed.directory, strlen(armed.directory)) == 0;
}

static int fails(enum error_call call, int fd)
{
    if (atomic_load(&armed.call) != (int)call || !is_below(fd) ||
        atomic_fetch_sub(&armed.left, 1) != 1)
        return 0;
    atomic_store(&armed.fired, 1);
    errno = atomic_load(&armed.error);
    return 1;
}

int __wrap_statx(int fd, const char *path, int flags, unsigned mask,
                 struct statx *status)
{
    return fails(ERROR_STATX, fd) ? -1
                                  : __real_statx(fd, path, flags, mask, status);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *pieces, int count,
                       off_t offset)
{
    return fails(ERROR_PWRITEV, fd) ? -1
                                    : __real_pwritev(fd, pieces, count, offset);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return fails(ERROR_PWRITE, fd) ? -1
                                   : __real_pwrite(fd, bytes, size, offset);
}

void error_arm(const char *directory, enum error_call call, uint64_t n,
               int error)
{
    error_disarm();
    atomic_store(&armed.fired, 0);
    (void)snprintf(armed.directory, sizeof armed.directory, "%s/", directory);
    if (call == ERROR_SYNC) {
        sync_fail_nth(n, error);
        return;
    }
    atomic_store(&armed.error, error);
    atomic_store(&armed.left, (int64_t)n);
    atomic_store(&armed.call, (int)call);
}

void error_disarm(void)
{
    sync_fail_nth(0, 0);
    atomic_store(&armed.call, -1);
}

int error_fired(void)
{
    return atomic_load(&armed.fired) || sync_failed_file() != NULL;
}
