/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "module/queue.h"
#include "program/files.h"

/* How long is the path without slashes at its end? */
static size_t path_length(const char *path, size_t length)
{
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

static struct files_one *find(const struct files *files, const char *path,
                              size_t length)
{
    unsigned i;

    length = path_length(path, length);
    for (i = 0; i < files->count; i++)
        if (strlen(files->list[i].directory) == length &&
            !memcmp(files->list[i].directory, path, length))
            return &files->list[i];
    return NULL;
}

const struct files_one *files_find(const struct files *files,
                                   const char *directory)
{
    return find(files, directory, strlen(directory));
}

/* Add one, or change what is known of it. */
static int add(struct files *files, const char *path, size_t length, int drain)
{
    struct files_one *one = find(files, path, length);

    if (one) {
        one->drain |= drain;
        return 0;
    }
    if (files->count == SYNCQ_FILES_MAX)
        return E2BIG;
    one = &files->list[files->count];
    one->directory = strndup(path, path_length(path, length));
    if (!one->directory)
        return ENOMEM;
    one->drain = drain;
    files->count++;
    return 0;
}

static int add_list(struct files *files, const char *text, int drain)
{
    size_t length;
    int result = 0;

    text += strspn(text, CONFIG_LIST_BLANKS);
    while (!result && *text) {
        length = strcspn(text, CONFIG_LIST_BLANKS);
        result = add(files, text, length, drain);
        text += length;
        text += strspn(text, CONFIG_LIST_BLANKS);
    }
    return result;
}

int files_read(const struct config *config, struct files *files, char *error,
               size_t error_size)
{
    const char *directory = config->queue_directory;
    int result;

    files->count = 0;
    files->list = calloc(SYNCQ_FILES_MAX, sizeof(*files->list));
    result = files->list ? add_list(files, config->queue_files, 0) : ENOMEM;
    if (!result && !files->count)
        result = add(files, directory, strlen(directory), 0);
    if (!result)
        result = add_list(files, config->drain_files, 1);
    if (!result)
        return 0;
    files_clear(files);
    if (result == E2BIG) {
        snprintf(error, error_size,
                 "queue_files, drain_files: more than %d queue files",
                 SYNCQ_FILES_MAX);
        return EX_CONFIG;
    }
    snprintf(error, error_size, "out of memory");
    return EX_OSERR;
}

void files_clear(struct files *files)
{
    unsigned i;

    for (i = 0; i < files->count; i++)
        free(files->list[i].directory);
    free(files->list);
    files->list = NULL;
    files->count = 0;
}

void files_uuid_text(const uint8_t uuid[SYNCQ_UUID_SIZE],
                     char text[FILES_UUID_TEXT_SIZE])
{
    int i;

    for (i = 0; i < SYNCQ_UUID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
}

/* The run directory of a file that is not in queue_directory. */
static int own_run_directory(const struct config *config, struct config *one)
{
    char text[FILES_UUID_TEXT_SIZE], *path;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    int result;

    result = syncq_queue_uuid(one->queue_directory, uuid);
    if (result)
        return result;
    files_uuid_text(uuid, text);
    if (asprintf(&path, "%s/%s", config->run_directory, text) < 0)
        return ENOMEM;
    free(one->run_directory);
    one->run_directory = path;
    return 0;
}

int files_config(const struct config *config, const char *directory,
                 struct config *one)
{
    const char *usual = config->queue_directory;
    size_t length = path_length(usual, strlen(usual));

    *one = *config;
    one->queue_directory = strdup(directory);
    one->run_directory = strdup(config->run_directory);
    if (!one->queue_directory || !one->run_directory)
        return ENOMEM;
    if (strlen(directory) == length && !memcmp(directory, usual, length))
        return 0;
    return own_run_directory(config, one);
}

void files_config_clear(struct config *one)
{
    free(one->queue_directory);
    free(one->run_directory);
    memset(one, 0, sizeof(*one));
}
