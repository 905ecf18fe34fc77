/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"

int syncq_directory_open(const char *path, int *fd)
{
    struct stat status;
    int opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = 0;

    if (opened < 0)
        return errno == ENOENT ? SYNCQ_ERR_NO_QUEUE : errno;
    if (fstat(opened, &status) != 0)
        result = errno;
    else if (geteuid() != 0 && status.st_uid != geteuid())
        result = SYNCQ_ERR_OWNER;
    else if ((status.st_mode & 077) != 0)
        result = SYNCQ_ERR_MODE;
    if (result != 0) {
        close(opened);
        return result;
    }
    *fd = opened;
    return 0;
}

static int check_file(int directory_fd, const struct stat *status)
{
    struct stat directory;

    if (fstat(directory_fd, &directory) != 0)
        return errno;
    if (!S_ISREG(status->st_mode) || status->st_nlink != 1)
        return SYNCQ_ERR_MODE;
    if (status->st_uid != directory.st_uid)
        return SYNCQ_ERR_OWNER;
    if ((status->st_mode & 077) != 0)
        return SYNCQ_ERR_MODE;
    return 0;
}

int syncq_file_open(int directory_fd, const char *name, int writable, int *fd,
                    struct stat *status)
{
    int flags =
        (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int opened = openat(directory_fd, name, flags);
    int result = 0;

    if (opened < 0) {
        if (errno == ENOENT)
            return SYNCQ_ERR_NO_QUEUE;
        return errno == ELOOP ? SYNCQ_ERR_MODE : errno;
    }
    if (fstat(opened, status) != 0)
        result = errno;
    else
        result = check_file(directory_fd, status);
    if (result != 0) {
        close(opened);
        return result;
    }
    *fd = opened;
    return 0;
}

int syncq_file_create(int directory_fd, const char *name, int *fd)
{
    int opened =
        openat(directory_fd, name,
               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (opened < 0)
        return errno;
    *fd = opened;
    return 0;
}

int syncq_file_read(int fd, void *bytes, size_t size, off_t offset)
{
    char *at = bytes;

    while (size > 0) {
        ssize_t count = pread(fd, at, size, offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        if (count == 0)
            return EIO;
        at += count;
        size -= (size_t)count;
        offset += count;
    }
    return 0;
}

int syncq_file_write(int fd, const void *bytes, size_t size, off_t offset)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t count = pwrite(fd, at, size, offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        at += count;
        size -= (size_t)count;
        offset += count;
    }
    return 0;
}
