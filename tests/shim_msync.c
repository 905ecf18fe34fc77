/* SPDX-License-Identifier: MIT */
/*
 * shim_msync.c - to be preloaded: stop each msync of one file until told
 *
 *   SHIM_MSYNC_FILE       the file; other mappings are left alone
 *   SHIM_MSYNC_DIRECTORY  with two FIFOs, and a file `hold` while msync is to
 *                         be stopped
 *
 * A stopped msync writes one byte to the FIFO `reached`, waits for one from
 * the FIFO `release`, and obeys it: `g` goes on to the real msync, `e` fails
 * with EIO and syncs nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPS_MAX 4096

struct map {
    uintptr_t start, end;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct map maps[MAPS_MAX];
static unsigned map_count;

static int is_the_file(int fd)
{
    const char *path = getenv("SHIM_MSYNC_FILE");
    struct stat wanted, given;

    return path && fd >= 0 && !stat(path, &wanted) && !fstat(fd, &given) &&
           wanted.st_dev == given.st_dev && wanted.st_ino == given.st_ino;
}

static void *map_note(void *address, size_t size, int fd)
{
    if (address == MAP_FAILED || !is_the_file(fd))
        return address;
    pthread_mutex_lock(&mutex);
    if (map_count < MAPS_MAX) {
        maps[map_count].start = (uintptr_t)address;
        maps[map_count++].end = (uintptr_t)address + size;
    }
    pthread_mutex_unlock(&mutex);
    return address;
}

/* dlsym gives an object pointer for what is a function. */
static void real_find(const char *name, void *function)
{
    *(void **)function = dlsym(RTLD_NEXT, name);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd,
           off_t offset)
{
    void *(*real)(void *, size_t, int, int, int, off_t);

    real_find("mmap", &real);
    return map_note(real(address, size, protection, flags, fd, offset), size,
                    fd);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd,
             off64_t offset)
{
    void *(*real)(void *, size_t, int, int, int, off64_t);

    real_find("mmap64", &real);
    return map_note(real(address, size, protection, flags, fd, offset), size,
                    fd);
}

static int is_noted(const void *address)
{
    int found = 0;
    unsigned i;

    pthread_mutex_lock(&mutex);
    for (i = 0; i < map_count; i++)
        found |= (uintptr_t)address >= maps[i].start &&
                 (uintptr_t)address < maps[i].end;
    pthread_mutex_unlock(&mutex);
    return found;
}

/* One byte through a FIFO; the test at the other end may come later. */
static char fifo_byte(const char *directory, const char *name, char byte)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, (byte ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || (byte ? write(fd, &byte, 1) : read(fd, &byte, 1)) != 1)
        byte = 'e'; /* the test is gone: nothing may look synced */
    if (fd >= 0)
        close(fd);
    return byte;
}

int msync(void *address, size_t size, int flags)
{
    const char *directory = getenv("SHIM_MSYNC_DIRECTORY");
    char path[PATH_MAX], order = 'g';
    int (*real)(void *, size_t, int);

    if (directory && is_noted(address)) {
        (void)snprintf(path, sizeof(path), "%s/hold", directory);
        if (!access(path, F_OK)) {
            (void)fifo_byte(directory, "reached", 'r');
            order = fifo_byte(directory, "release", 0);
        }
    }
    if (order == 'e') {
        errno = EIO;
        return -1;
    }
    real_find("msync", &real);
    return real(address, size, flags);
}
