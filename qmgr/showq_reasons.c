/* SPDX-License-Identifier: MIT */
#include "qmgr/showq_reasons.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/memory.h"

#define LOG_SIZE_MAX       (16 << 20) /* bytes; what follows is not read */
#define VERSION_BOUNCE_LOG 311

/* One group of lines while it is read; texts point into the log. */
struct group {
    const char *recipient, *original, *reason;
    const char *old_recipient, *old_reason;
};

static void add_group(struct showq_reasons *reasons, struct group *group,
                      const char *log_class)
{
    struct showq_reason *reason;

    if (group->recipient == NULL)
        group->recipient = group->old_recipient;
    if (group->reason == NULL)
        group->reason = group->old_reason;
    if (group->recipient != NULL && group->reason != NULL) {
        if (reasons->count == reasons->capacity) {
            reasons->capacity = reasons->capacity * 2 + 16;
            reasons->reasons =
                memory_grow(reasons->reasons,
                            reasons->capacity * sizeof(*reasons->reasons));
        }
        reason = &reasons->reasons[reasons->count++];
        reason->recipient = memory_text(group->recipient);
        reason->original =
            memory_text(group->original != NULL ? group->original : "");
        reason->text = memory_text(group->reason);
        reason->log_class = log_class;
    }
    memset(group, 0, sizeof(*group));
}

/* "<recipient>: reason", taken apart in place. */
static void take_old_line(struct group *group, char *line)
{
    char *end = strstr(line, ">: ");

    if (*line != '<' || end == NULL)
        return;
    *end = '\0';
    group->old_recipient = line + 1;
    group->old_reason = end + 3;
}

static void take_line(struct group *group, char *line)
{
    if (strncmp(line, "recipient=", 10) == 0)
        group->recipient = line + 10;
    else if (strncmp(line, "original_recipient=", 19) == 0)
        group->original = line + 19;
    else if (strncmp(line, "reason=", 7) == 0)
        group->reason = line + 7;
    else
        take_old_line(group, line);
}

void showq_reasons_parse(struct showq_reasons *reasons, const char *text,
                         const char *log_class)
{
    char *copy = memory_text(text), *next = copy, *line;
    struct group group = {0};

    while ((line = strsep(&next, "\n")) != NULL) {
        if (*line == '\0')
            add_group(reasons, &group, log_class);
        else
            take_line(&group, line);
    }
    add_group(reasons, &group, log_class);
    free(copy);
}

/* The start of a regular file; free() it. */
static int read_text(const char *path, char **text)
{
    struct stat status;
    size_t size = 0, done = 0;
    ssize_t count = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int result = 0;

    if (fd < 0)
        return errno;
    if (fstat(fd, &status) != 0)
        result = errno;
    else if (!S_ISREG(status.st_mode))
        result = EINVAL;
    else
        size = status.st_size < LOG_SIZE_MAX ? (size_t)status.st_size
                                             : LOG_SIZE_MAX;
    *text = memory_new(size + 1);
    while (result == 0 && done < size && count > 0) {
        count = read(fd, *text + done, size - done);
        if (count < 0)
            result = errno;
        else
            done += (size_t)count;
    }
    close(fd);
    return result;
}

static void read_log(struct showq_reasons *reasons,
                     const struct settings *settings, const char *service,
                     const char *queue_id, const char *log_class)
{
    char path[SETTINGS_PATH_SIZE];
    char *text = NULL;
    int result;

    settings_path(settings, service, queue_id, path);
    result = read_text(path, &text);
    if (result == 0)
        showq_reasons_parse(reasons, text, log_class);
    else if (result != ENOENT)
        log_warning("open %s: %s", path, strerror(result));
    free(text);
}

void showq_reasons_read(struct showq_reasons *reasons,
                        const struct settings *settings, const char *queue_id)
{
    read_log(reasons, settings, settings->defer_service, queue_id, "defer");
    if (settings->version >= VERSION_BOUNCE_LOG)
        read_log(reasons, settings, settings->bounce_service, queue_id,
                 "bounce");
}

const struct showq_reason *showq_reasons_find(struct showq_reasons *reasons,
                                              const char *recipient)
{
    size_t i, at;

    for (i = 0; i < reasons->count; i++) {
        at = (reasons->next + i) % reasons->count;
        if (strcmp(reasons->reasons[at].recipient, recipient) != 0)
            continue;
        reasons->next = at + 1;
        return &reasons->reasons[at];
    }
    return NULL;
}

void showq_reasons_clear(struct showq_reasons *reasons)
{
    size_t i;

    for (i = 0; i < reasons->count; i++) {
        free(reasons->reasons[i].recipient);
        free(reasons->reasons[i].original);
        free(reasons->reasons[i].text);
    }
    free(reasons->reasons);
    memset(reasons, 0, sizeof(*reasons));
}
