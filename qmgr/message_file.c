/* SPDX-License-Identifier: MIT */
#include "qmgr/message_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

#include "module/envelope.h"
#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/memory.h"

void message_file_clear(struct message_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd); /* and with it the lock */
    free(file->bytes);
    *file = (struct message_file){.fd = -1};
}

static int message_file_load(struct message_file *file)
{
    size_t done = 0;

    file->size = (size_t)file->status.st_size;
    file->bytes = memory_new(file->size + 1);
    while (done < file->size) {
        ssize_t got =
            pread(file->fd, file->bytes + done, file->size - done, (off_t)done);

        if (got < 0)
            return errno;
        if (got == 0)
            return EIO; /* it became shorter: nobody but us may do that */
        done += (size_t)got;
    }
    return 0;
}

static int message_file_open(const struct settings *settings,
                             const char *queue_name, const char *queue_id,
                             int lock, struct message_file *file)
{
    char path[SETTINGS_PATH_SIZE];
    int result = 0;

    *file = (struct message_file){.fd = -1};
    settings_path(settings, queue_name, queue_id, path);
    file->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file->fd < 0)
        return errno;
    if (lock && flock(file->fd, LOCK_EX | LOCK_NB) != 0)
        result = errno;
    if (result == 0 && fstat(file->fd, &file->status) != 0)
        result = errno;
    if (result == 0 && !S_ISREG(file->status.st_mode))
        result = EINVAL;
    if (result == 0)
        result = message_file_load(file);
    if (result != 0)
        message_file_clear(file);
    return result;
}

int message_file_read(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct message_file *file)
{
    int result = message_file_open(settings, queue_name, queue_id, 0, file);

    if (result == 0) {
        (void)close(file->fd);
        file->fd = -1;
    }
    return result;
}

int message_file_lock(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct message_file *file)
{
    return message_file_open(settings, queue_name, queue_id, 1, file);
}

/* Hash directories come into being when they are needed, as in Postfix. */
static void message_file_make_directories(char *path)
{
    char *slash;

    for (slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

int message_file_move(const struct settings *settings, const char *from,
                      const char *to, const char *queue_id)
{
    char old_path[SETTINGS_PATH_SIZE], new_path[SETTINGS_PATH_SIZE];
    int result = 0;

    settings_path(settings, from, queue_id, old_path);
    settings_path(settings, to, queue_id, new_path);
    if (rename(old_path, new_path) == 0)
        return 0;
    if (errno == ENOENT && access(old_path, F_OK) == 0) {
        message_file_make_directories(new_path);
        if (rename(old_path, new_path) == 0)
            return 0;
    }
    result = errno;
    if (result != ENOENT)
        log_warning("%s: rename from %s to %s: %s", queue_id, old_path,
                    new_path, strerror(result));
    return result;
}

void message_file_set_time(const struct settings *settings,
                           const char *queue_name, const char *queue_id,
                           uint32_t time_s)
{
    struct timeval times[2] = {{(time_t)time_s, 0}, {(time_t)time_s, 0}};
    char path[SETTINGS_PATH_SIZE];

    settings_path(settings, queue_name, queue_id, path);
    if (utimes(path, times) != 0 && errno != ENOENT)
        log_warning("%s: set time of %s: %s", queue_id, path, strerror(errno));
}

void message_file_corrupt(const struct settings *settings, const char *queue_id,
                          const char *reason)
{
    log_warning("%s: %s", queue_id, reason);
    if (message_file_move(settings, "active", "corrupt", queue_id) == 0)
        log_warning("saving corrupt file \"%s\" from queue \"active\" to "
                    "queue \"corrupt\"",
                    queue_id);
}

int message_file_stat(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct stat *status)
{
    char path[SETTINGS_PATH_SIZE];

    settings_path(settings, queue_name, queue_id, path);
    return lstat(path, status) == 0 ? 0 : errno;
}

int message_file_is(const struct settings *settings, const char *queue_name,
                    const char *queue_id, const struct syncq_envelope *envelope)
{
    struct message_file content;
    struct queue_file file;
    const char *arrival =
        syncq_envelope_attribute_text(envelope, "arrival", "");
    int same;

    if (message_file_read(settings, queue_name, queue_id, &content) != 0)
        return 0;
    if (queue_file_parse(content.bytes, content.size, queue_id, &file) != 0) {
        message_file_clear(&content);
        return 0;
    }
    same = strcmp(arrival, syncq_envelope_attribute_text(&file.envelope,
                                                         "arrival", "")) == 0;
    queue_file_clear(&file);
    message_file_clear(&content);
    return same;
}
