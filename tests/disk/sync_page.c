/* SPDX-License-Identifier: MIT */
/*
 * sync_page.c - overwrite the first page of a file and make that durable
 *
 *   sync-page msync|fsync|fdatasync FILE BYTE
 *
 * Prints the name of the error that the sync ended with, or "ok".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

enum { PAGE_SIZE = 4096 };

static int by_msync(int fd, int byte)
{
    int result = 0;
    void *map =
        mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return errno;
    memset(map, byte, PAGE_SIZE);
    if (msync(map, PAGE_SIZE, MS_SYNC) != 0)
        result = errno;
    (void)munmap(map, PAGE_SIZE);
    return result;
}

static int by_write(int fd, int byte, int (*sync_file)(int))
{
    char page[PAGE_SIZE];

    memset(page, byte, sizeof(page));
    if (pwrite(fd, page, sizeof(page), 0) != PAGE_SIZE)
        return errno;
    return sync_file(fd) == 0 ? 0 : errno;
}

int main(int argc, char *argv[])
{
    int fd, result;

    if (argc != 4)
        return EX_USAGE;
    fd = open(argv[2], O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return EX_NOINPUT;
    if (strcmp(argv[1], "msync") == 0)
        result = by_msync(fd, argv[3][0]);
    else
        result = by_write(fd, argv[3][0],
                          strcmp(argv[1], "fsync") == 0 ? fsync : fdatasync);
    puts(result == 0 ? "ok" : strerrorname_np(result));
    (void)close(fd); /* what it would say has just been said */
    return 0;
}
