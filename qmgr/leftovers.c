/* SPDX-License-Identifier: MIT */
/*
 * leftovers.c - read an agent's marks after its manager has gone
 *
 * An agent holds a shared lock while it delivers.  Who gets the exclusive lock
 * knows that the marks are final; only then is the file removed.
 */
#include "qmgr/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/delivery_trailer.h"
#include "qmgr/memory.h"

void leftovers_clear(struct leftovers *leftovers)
{
    unsigned i;

    for (i = 0; i < leftovers->count; i++)
        free(leftovers->files[i].queue_id);
    free(leftovers->files);
    leftovers->files = NULL;
    leftovers->count = 0;
}

int leftovers_have(const struct leftovers *leftovers, const char *queue_id)
{
    unsigned i;

    for (i = 0; i < leftovers->count; i++) {
        if (strcmp(leftovers->files[i].queue_id, queue_id) == 0)
            return 1;
    }
    return 0;
}

static void leftovers_keep(struct leftovers *leftovers, const char *directory,
                           const char *queue_id)
{
    struct leftover *last;

    leftovers->files = memory_grow(
        leftovers->files, (leftovers->count + 1) * sizeof(leftovers->files[0]));
    last = &leftovers->files[leftovers->count++];
    last->directory = directory;
    last->queue_id = memory_text(queue_id);
}

/*
 * What is torn or not ours has no marks to offer: the mail goes out again.
 * False: nobody takes the marks now.
 */
static int leftovers_read(const uint8_t *bytes, size_t size,
                          const struct leftovers_taker *taker)
{
    struct delivery_trailer trailer;
    uint32_t i;

    if (!delivery_trailer_read(bytes, size, &trailer))
        return 1;
    for (i = 0; i < trailer.count; i++) {
        uint32_t recipient;
        uint64_t offset;

        delivery_trailer_get(&trailer, i, &recipient, &offset);
        if (bytes[offset] == 'D' && !taker->done(taker->context, trailer.uuid,
                                                 trailer.sequence, recipient))
            return 0;
    }
    return 1;
}

static int leftovers_load(int fd, uint8_t **bytes, size_t *size)
{
    struct stat status;
    ssize_t got;

    if (fstat(fd, &status) != 0)
        return errno;
    *size = (size_t)status.st_size;
    *bytes = memory_new(*size + 1);
    got = pread(fd, *bytes, *size, 0);
    if (got == (ssize_t)*size)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return got < 0 ? errno : EIO;
}

/* 0, or EWOULDBLOCK when an agent has it or nobody takes its marks. */
static int leftovers_one(int directory, const char *name,
                         const struct leftovers_taker *taker)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int result = 0;
    int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    /* An agent that found its file damaged has taken the rights away. */
    if (fd < 0 && errno == EACCES)
        fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        result = EWOULDBLOCK;
    } else {
        if (leftovers_load(fd, &bytes, &size) == 0 &&
            !leftovers_read(bytes, size, taker))
            result = EWOULDBLOCK;
        else
            (void)unlinkat(directory, name, 0);
    }
    free(bytes);
    (void)close(fd);
    return result;
}

void leftovers_recover(struct leftovers *leftovers, const char *directory,
                       const struct leftovers_taker *taker)
{
    DIR *entries = opendir(directory);
    struct dirent *entry;

    if (entries == NULL) {
        if (errno != ENOENT)
            log_warning("open directory %s: %s", directory, strerror(errno));
        return;
    }
    while ((entry = readdir(entries)) != NULL) {
        if (strncmp(entry->d_name, "new.", 4) == 0)
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
        else if (queue_id_valid(entry->d_name) &&
                 leftovers_one(dirfd(entries), entry->d_name, taker) != 0)
            leftovers_keep(leftovers, directory, entry->d_name);
    }
    (void)closedir(entries);
}

void leftovers_retry(struct leftovers *leftovers,
                     const struct leftovers_taker *taker)
{
    struct leftovers old = *leftovers;
    unsigned i;

    *leftovers = (struct leftovers){0};
    for (i = 0; i < old.count; i++) {
        const struct leftover *file = &old.files[i];
        int directory =
            open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (directory < 0)
            continue;
        if (leftovers_one(directory, file->queue_id, taker) != 0)
            leftovers_keep(leftovers, file->directory, file->queue_id);
        (void)close(directory);
    }
    leftovers_clear(&old);
}
