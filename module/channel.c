/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module/channel.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/file.h"

#define OWNER_REGISTRATION(owner) ((owner)&0xff)
#define OWNER_INCARNATION(owner)  ((owner) >> 8)

static_assert(SYNCQ_PROCESSES_MAX <= 255, "a registration fits in 8 bits");

/* 16 bytes that change with each boot. */
static int read_boot_id(uint8_t boot_id[16])
{
    char text[37] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t count;
    size_t byte = 0;

    if (fd < 0)
        return errno;
    count = read(fd, text, sizeof text - 1);
    close(fd);
    if (count != (ssize_t)sizeof text - 1)
        return EIO;
    for (size_t i = 0; i < sizeof text - 1 && byte < 16; i++) {
        unsigned value;

        if (text[i] == '-')
            continue;
        if (sscanf(text + i++, "%2x", &value) != 1)
            return EIO;
        boot_id[byte++] = (uint8_t)value;
    }
    return 0;
}

static int init_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int result = pthread_mutexattr_init(&attributes);

    if (result != 0)
        return result;
    result = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (result == 0)
        result = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (result == 0)
        result = pthread_mutex_init(mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return result;
}

static int format_channel(struct syncq_channel *channel,
                          const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    int result = read_boot_id(channel->boot_id);

    memcpy(channel->magic, SYNCQ_CHANNEL_MAGIC, sizeof channel->magic);
    channel->layout = SYNCQ_CHANNEL_LAYOUT;
    channel->size = sizeof *channel;
    memcpy(channel->uuid, uuid, sizeof channel->uuid);
    atomic_store(&channel->state, SYNCQ_CHANNEL_STARTING);
    channel->head_segment = channel->next_segment = SYNCQ_SEGMENT_NONE;
    atomic_store(&channel->gate_closed, 1);
    (void)snprintf(channel->gate_text, sizeof channel->gate_text,
                   "the queue manager has not started yet");
    if (result == 0)
        result = init_mutex(&channel->receipt);
    if (result == 0)
        result = init_mutex(&channel->reserve);
    return result;
}

static int map_channel(int fd, int writable, struct syncq_channel **channel)
{
    void *map =
        mmap(NULL, sizeof **channel, PROT_READ | (writable ? PROT_WRITE : 0),
             MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return errno;
    *channel = map;
    return 0;
}

int syncq_channel_create(const char *run_directory,
                         const uint8_t uuid[SYNCQ_UUID_SIZE],
                         struct syncq_channel_handle *handle)
{
    static const char temporary[] = SYNCQ_CHANNEL_FILE ".new";
    int directory_fd = -1;
    int result;

    *handle = (struct syncq_channel_handle){.fd = -1};
    result = syncq_directory_open(run_directory, &directory_fd);
    if (result != 0)
        return result == SYNCQ_ERR_NO_QUEUE ? SYNCQ_ERR_RUN_DIRECTORY : result;
    (void)unlinkat(directory_fd, temporary, 0);
    result = syncq_file_create(directory_fd, temporary, &handle->fd);
    if (result != 0)
        goto out;
    /* Allocate now: a full tmpfs must be an error here, not a SIGBUS later. */
    result = posix_fallocate(handle->fd, 0, sizeof *handle->channel);
    if (result == 0)
        result = map_channel(handle->fd, 1, &handle->channel);
    if (result == 0)
        result = format_channel(handle->channel, uuid);
    if (result == 0)
        result = syncq_channel_register_helper(handle);
    SYNCQ_FAILPOINT("channel.made");
    if (result == 0 && renameat(directory_fd, temporary, directory_fd,
                                SYNCQ_CHANNEL_FILE) != 0)
        result = errno;
out:
    if (result != 0)
        syncq_channel_detach(handle);
    close(directory_fd);
    return result;
}

static int check_channel(const struct syncq_channel *channel,
                         const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    uint8_t boot_id[16];
    int result = read_boot_id(boot_id);

    if (result != 0)
        return result;
    if (memcmp(channel->magic, SYNCQ_CHANNEL_MAGIC, sizeof channel->magic) ||
        channel->layout != SYNCQ_CHANNEL_LAYOUT ||
        channel->size != sizeof *channel ||
        memcmp(channel->boot_id, boot_id, sizeof boot_id) != 0 ||
        memcmp(channel->uuid, uuid, sizeof channel->uuid) != 0)
        return SYNCQ_ERR_NO_HELPER;
    return 0;
}

int syncq_channel_attach(const char *run_directory, int writable,
                         const uint8_t uuid[SYNCQ_UUID_SIZE],
                         struct syncq_channel_handle *handle)
{
    struct stat status;
    int directory_fd = -1;
    int result;

    *handle = (struct syncq_channel_handle){.fd = -1};
    result = syncq_directory_open(run_directory, &directory_fd);
    if (result == 0)
        result = syncq_file_open(directory_fd, SYNCQ_CHANNEL_FILE, writable,
                                 &handle->fd, &status);
    if (result == SYNCQ_ERR_NO_QUEUE)
        result = SYNCQ_ERR_NO_HELPER;
    if (result == 0 && (uint64_t)status.st_size < sizeof *handle->channel)
        result = SYNCQ_ERR_NO_HELPER;
    if (result == 0)
        result = map_channel(handle->fd, writable, &handle->channel);
    if (result == 0)
        result = check_channel(handle->channel, uuid);
    if (result != 0)
        syncq_channel_detach(handle);
    if (directory_fd >= 0)
        close(directory_fd);
    return result;
}

void syncq_channel_detach(struct syncq_channel_handle *handle)
{
    if (handle->channel != NULL)
        munmap(handle->channel, sizeof *handle->channel);
    handle->channel = NULL;
    if (handle->fd >= 0)
        close(handle->fd); /* drops the registration */
    handle->fd = -1;
}

static int lock_byte(int fd, uint32_t byte)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)byte,
                         .l_len = 1};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? SYNCQ_ERR_BUSY : errno;
}

int syncq_channel_register_helper(struct syncq_channel_handle *handle)
{
    handle->owner = 0;
    return lock_byte(handle->fd, 0);
}

int syncq_channel_register(struct syncq_channel_handle *handle)
{
    for (uint32_t byte = 1; byte < SYNCQ_PROCESSES_MAX; byte++) {
        int result = lock_byte(handle->fd, byte);
        uint32_t incarnation;

        if (result == SYNCQ_ERR_BUSY)
            continue;
        if (result != 0)
            return result;
        /* Requests of a dead process with this byte stay told apart. */
        incarnation =
            atomic_fetch_add(&handle->channel->incarnations[byte], 1) + 1;
        handle->owner = (incarnation & 0xffffff) << 8 | byte;
        return 0;
    }
    return SYNCQ_ERR_BUSY;
}

/* Is this byte locked through another open file? */
static int byte_locked(int fd, uint32_t byte)
{
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)byte,
                         .l_len = 1};

    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return 1; /* in doubt it lives: its requests are only kept longer */
    return lock.l_type != F_UNLCK;
}

int syncq_channel_helper_alive(const struct syncq_channel_handle *handle)
{
    return byte_locked(handle->fd, 0);
}

int syncq_channel_owner_alive(const struct syncq_channel_handle *handle,
                              uint32_t owner)
{
    uint32_t byte = OWNER_REGISTRATION(owner);

    if (byte == 0 || byte >= SYNCQ_PROCESSES_MAX)
        return 0;
    if ((atomic_load(&handle->channel->incarnations[byte]) & 0xffffff) !=
        OWNER_INCARNATION(owner))
        return 0;
    return owner == handle->owner || byte_locked(handle->fd, byte);
}

int syncq_channel_usable(const struct syncq_channel_handle *handle)
{
    struct stat status;

    if (handle->channel == NULL)
        return SYNCQ_ERR_NO_HELPER;
    if (fstat(handle->fd, &status) != 0 || status.st_nlink == 0)
        return SYNCQ_ERR_DETACHED;
    switch (atomic_load(&handle->channel->state)) {
    case SYNCQ_CHANNEL_OPEN:
        return 0;
    case SYNCQ_CHANNEL_FAILED:
        return SYNCQ_ERR_LATCHED;
    case SYNCQ_CHANNEL_STARTING:
        return SYNCQ_ERR_RECOVERING;
    default:
        return SYNCQ_ERR_DETACHED;
    }
}

void syncq_channel_ring(struct syncq_channel *channel)
{
    atomic_fetch_add(&channel->bell, 1);
    if (atomic_load(&channel->sleeping))
        syncq_futex_wake(&channel->bell);
}
