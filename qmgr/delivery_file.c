/* SPDX-License-Identifier: MIT */
#include "qmgr/delivery_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/delivery_trailer.h"
#include "qmgr/memory.h"
#include "qmgr/pass.h"
#include "qmgr/leftovers.h"

struct delivery_files {
    int is_tmpfs;
    int recovered; /* the directories were looked through */
    struct leftovers leftovers;
};

struct delivery_files *delivery_files_new(void)
{
    struct delivery_files *files = memory_new(sizeof(*files));
    struct statfs status;

    files->is_tmpfs = statfs(DELIVERY_FILE_DIRECTORY, &status) == 0 &&
                      status.f_type == TMPFS_MAGIC;
    return files;
}

void delivery_files_free(struct delivery_files *files)
{
    if (files == NULL)
        return;
    leftovers_clear(&files->leftovers);
    free(files);
}

/* Write all under a temporary name, then rename: never half a file. */
static int delivery_file_put(const char *directory, const char *queue_id,
                             const uint8_t *bytes, size_t size,
                             const uint8_t *trailer, size_t trailer_size)
{
    char path[SETTINGS_PATH_SIZE], temporary[SETTINGS_PATH_SIZE];
    struct iovec pieces[2] = {{(void *)(uintptr_t)bytes, size},
                              {(void *)(uintptr_t)trailer, trailer_size}};
    ssize_t put;
    int result = 0;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, queue_id);
    (void)snprintf(temporary, sizeof(temporary), "%s/new.%s", directory,
                   queue_id);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (fd < 0)
        return errno;
    put = writev(fd, pieces, 2);
    if (put != (ssize_t)(size + trailer_size))
        result = put < 0 ? errno : ENOSPC;
    if (result == 0 && fchmod(fd, 0700) != 0)
        result = errno;
    if (close(fd) != 0 && result == 0)
        result = errno;
    if (result == 0 && rename(temporary, path) != 0)
        result = errno;
    if (result != 0)
        (void)unlink(temporary);
    return result;
}

/* In memory if there is room, else on disk. */
static int delivery_file_place(struct pass *pass, const uint8_t *bytes,
                               size_t size, const uint8_t *trailer,
                               size_t trailer_size)
{
    const struct delivery_files *files = pass->qmgr->files;
    const char *queue_id = pass->message->queue_id;
    int result = EFBIG;

    pass->queue_name = DELIVERY_FILE_DIRECTORY;
    if (!files->is_tmpfs || size <= DELIVERY_FILE_SIZE_MAX)
        result = delivery_file_put(pass->queue_name, queue_id, bytes, size,
                                   trailer, trailer_size);
    if (result != 0 && files->is_tmpfs) {
        pass->queue_name = DELIVERY_FILE_ON_DISK;
        result = delivery_file_put(pass->queue_name, queue_id, bytes, size,
                                   trailer, trailer_size);
    }
    return result;
}

int delivery_file_write(struct pass *pass, const uint8_t *content,
                        size_t content_size)
{
    uint32_t count = pass->work_count;
    uint32_t *recipients = memory_new((count + 1) * sizeof(*recipients));
    uint64_t *offsets = memory_new((count + 1) * sizeof(*offsets));
    uint8_t *bytes = NULL;
    uint8_t *trailer = NULL;
    size_t size = 0, trailer_size = 0;
    uint32_t i;
    int result;

    for (i = 0; i < count; i++)
        recipients[i] = pass->works[i].recipient;
    result = queue_file_build(&pass->envelope, recipients, count, content,
                              content_size, offsets, &pass->data_offset, &bytes,
                              &size);
    if (result != 0)
        goto out;
    trailer = delivery_trailer_build(
        backlog_of(pass->qmgr, pass->message)->uuid, pass->message->sequence,
        recipients, offsets, count, &trailer_size);
    result = delivery_file_place(pass, bytes, size, trailer, trailer_size);
    for (i = 0; i < count && result == 0; i++)
        pass->works[i].offset = offsets[i];
out:
    free(recipients);
    free(offsets);
    free(bytes);
    free(trailer);
    return result;
}

void delivery_file_remove(const struct pass *pass)
{
    char path[SETTINGS_PATH_SIZE];

    pass_path(pass, path);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warning("remove %s: %s", path, strerror(errno));
}

unsigned delivery_files_recover(struct delivery_files *files,
                                const struct leftovers_taker *taker)
{
    if (files->recovered) {
        leftovers_retry(&files->leftovers, taker);
        return files->leftovers.count;
    }
    files->recovered = 1;
    leftovers_recover(&files->leftovers, DELIVERY_FILE_DIRECTORY, taker);
    leftovers_recover(&files->leftovers, DELIVERY_FILE_ON_DISK, taker);
    return files->leftovers.count;
}

int delivery_file_is_locked(const struct delivery_files *files,
                            const char *queue_id)
{
    return leftovers_have(&files->leftovers, queue_id);
}
