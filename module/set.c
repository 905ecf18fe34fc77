/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/set.h"

#define SET_FILE_NEW SYNCQ_SET_FILE ".new"
#define FIRST_LINE   "syncq set 1 "
#define LAST_LINE    "end\n"

enum { LINE_SIZE = PATH_MAX + 64, UUID_DIGITS = 2 * SYNCQ_UUID_SIZE };

static const char *const state_names[] = {"used", "draining", "drained"};

const char *syncq_set_state_name(enum syncq_set_state state)
{
    return state_names[state];
}

void syncq_set_clear(struct syncq_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        free(set->members[i].directory);
    *set = (struct syncq_set){.count = 0};
}

struct syncq_set_member *syncq_set_find(struct syncq_set *set,
                                        const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    for (unsigned i = 0; i < set->count; i++)
        if (memcmp(set->members[i].uuid, uuid, SYNCQ_UUID_SIZE) == 0)
            return &set->members[i];
    return NULL;
}

int syncq_set_put(struct syncq_set *set, const uint8_t uuid[SYNCQ_UUID_SIZE],
                  const char *directory, enum syncq_set_state state)
{
    struct syncq_set_member *member = syncq_set_find(set, uuid);
    char *copy;

    if (member != NULL && member->state == state &&
        strcmp(member->directory, directory) == 0)
        return 0;
    if (member == NULL && set->count == SYNCQ_FILES_MAX)
        return SYNCQ_ERR_RANGE;
    copy = strdup(directory);
    if (copy == NULL)
        return ENOMEM;
    if (member == NULL) {
        member = &set->members[set->count++];
        memcpy(member->uuid, uuid, SYNCQ_UUID_SIZE);
    } else {
        free(member->directory);
    }
    member->directory = copy;
    member->state = state;
    set->generation++;
    return 0;
}

void syncq_set_remove(struct syncq_set *set,
                      const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    struct syncq_set_member *member = syncq_set_find(set, uuid);

    if (member == NULL)
        return;
    free(member->directory);
    *member = set->members[--set->count];
    set->generation++;
}

int syncq_set_merge(struct syncq_set *set, struct syncq_set *copy)
{
    int newer = copy->generation > set->generation;

    if (newer) {
        syncq_set_clear(set);
        *set = *copy;
        *copy = (struct syncq_set){.count = 0};
    } else {
        syncq_set_clear(copy);
    }
    return newer;
}

static int parse_uuid(const char *text, uint8_t uuid[SYNCQ_UUID_SIZE])
{
    for (int i = 0; i < SYNCQ_UUID_SIZE; i++) {
        unsigned value;

        if (strspn(text + 2 * i, "0123456789abcdef") < 2 ||
            sscanf(text + 2 * i, "%2x", &value) != 1)
            return SYNCQ_ERR_MAGIC;
        uuid[i] = (uint8_t)value;
    }
    return 0;
}

/* "UUID STATE DIRECTORY\n"; the directory is all the rest of the line. */
static int parse_member(char *line, struct syncq_set *set)
{
    uint8_t uuid[SYNCQ_UUID_SIZE];
    size_t size = strlen(line);
    char *state, *directory;

    if (size < UUID_DIGITS + 2 || line[size - 1] != '\n' ||
        line[UUID_DIGITS] != ' ' || parse_uuid(line, uuid) != 0)
        return SYNCQ_ERR_MAGIC;
    line[size - 1] = '\0';
    state = line + UUID_DIGITS + 1;
    directory = strchr(state, ' ');
    if (directory == NULL || directory[1] != '/')
        return SYNCQ_ERR_MAGIC;
    *directory++ = '\0';
    for (int i = SYNCQ_SET_USED; i <= SYNCQ_SET_DRAINED; i++)
        if (strcmp(state, state_names[i]) == 0)
            return syncq_set_put(set, uuid, directory, (enum syncq_set_state)i);
    return SYNCQ_ERR_MAGIC;
}

static int parse(FILE *file, struct syncq_set *set)
{
    char line[LINE_SIZE];
    uint64_t generation;
    int result = 0;

    if (fgets(line, sizeof line, file) == NULL)
        return SYNCQ_ERR_MAGIC;
    if (strncmp(line, FIRST_LINE, strlen(FIRST_LINE)) != 0)
        return strncmp(line, "syncq set ", 10) == 0 ? SYNCQ_ERR_VERSION
                                                    : SYNCQ_ERR_MAGIC;
    if (sscanf(line + strlen(FIRST_LINE), "%" SCNu64, &generation) != 1)
        return SYNCQ_ERR_MAGIC;
    while (result == 0) {
        if (fgets(line, sizeof line, file) == NULL)
            return SYNCQ_ERR_MAGIC; /* its end was never written */
        if (strcmp(line, LAST_LINE) == 0)
            break;
        result = parse_member(line, set);
    }
    set->generation = generation;
    return result;
}

int syncq_set_read(const char *directory, struct syncq_set *set)
{
    struct stat status;
    int directory_fd = -1, fd = -1;
    FILE *file = NULL;
    int result = syncq_directory_open(directory, &directory_fd);

    *set = (struct syncq_set){.count = 0};
    if (result != 0)
        return result;
    result = syncq_file_open(directory_fd, SYNCQ_SET_FILE, 0, &fd, &status);
    close(directory_fd);
    if (result != 0)
        return result == SYNCQ_ERR_NO_QUEUE ? 0 : result;
    file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return errno;
    }
    result = parse(file, set);
    if (result != 0)
        syncq_set_clear(set);
    (void)fclose(file);
    return result;
}

static int print(FILE *file, const struct syncq_set *set)
{
    int failed = fprintf(file, FIRST_LINE "%" PRIu64 "\n", set->generation) < 0;

    for (unsigned i = 0; i < set->count; i++) {
        const struct syncq_set_member *member = &set->members[i];

        for (int byte = 0; byte < SYNCQ_UUID_SIZE; byte++)
            failed |= fprintf(file, "%02x", member->uuid[byte]) < 0;
        failed |= fprintf(file, " %s %s\n", state_names[member->state],
                          member->directory) < 0;
    }
    failed |= fprintf(file, LAST_LINE) < 0;
    failed |= fflush(file) != 0;
    return failed ? (errno != 0 ? errno : EIO) : 0;
}

/* A crash before the rename leaves the old copy, one after it the new one. */
static int write_in(int directory_fd, const struct syncq_set *set)
{
    FILE *file;
    int fd = -1;
    int result;

    (void)unlinkat(directory_fd, SET_FILE_NEW, 0);
    result = syncq_file_create(directory_fd, SET_FILE_NEW, &fd);
    if (result != 0)
        return result;
    file = fdopen(fd, "w");
    if (file == NULL) {
        result = errno;
        close(fd);
        return result;
    }
    errno = 0;
    result = print(file, set);
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    if (fclose(file) != 0 && result == 0)
        result = errno;
    if (result == 0 &&
        renameat(directory_fd, SET_FILE_NEW, directory_fd, SYNCQ_SET_FILE) != 0)
        result = errno;
    if (result == 0 && fsync(directory_fd) != 0)
        result = errno;
    return result;
}

int syncq_set_write(const char *directory, const struct syncq_set *set)
{
    int directory_fd = -1;
    int result = syncq_directory_open(directory, &directory_fd);

    if (result != 0)
        return result;
    result = write_in(directory_fd, set);
    close(directory_fd);
    return result;
}
