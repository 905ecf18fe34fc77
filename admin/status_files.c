/* SPDX-License-Identifier: MIT */
/*
 * status_files.c - queue files that are missing from the lists
 */
#include <stdlib.h>
#include <string.h>

#include "admin/status.h"

/* The newest copy of the set, from the files that can be read. */
static void read_sets(const struct command *command, struct syncq_set *set)
{
    const char *usual = command->config->queue_directory;
    struct syncq_set copy;
    unsigned i;

    for (i = 0; i < command->files->count; i++)
        if (!syncq_set_read(command->files->list[i].directory, &copy))
            (void)syncq_set_merge(set, &copy);
    /* It may have been the only one once. */
    if (!files_find(command->files, usual) && !syncq_set_read(usual, &copy))
        (void)syncq_set_merge(set, &copy);
}

/* A file that cannot be read is known by its directory. */
static int is_listed(const struct command *command,
                     const struct syncq_set_member *member)
{
    uint8_t uuid[SYNCQ_UUID_SIZE];
    unsigned i;

    for (i = 0; i < command->files->count; i++) {
        const char *directory = command->files->list[i].directory;

        if (!syncq_queue_uuid(directory, uuid)
                ? !memcmp(uuid, member->uuid, sizeof(uuid))
                : !strcmp(directory, member->directory))
            return 1;
    }
    return 0;
}

int status_visit_missing(const struct command *command,
                         int (*missing)(const struct syncq_set_member *member,
                                        void *context),
                         void *context)
{
    struct syncq_set set = {.count = 0};
    int result = 0;
    unsigned i;

    if (command->chosen)
        return 0;
    read_sets(command, &set);
    for (i = 0; i < set.count && !result; i++)
        if (set.members[i].state != SYNCQ_SET_DRAINED &&
            !is_listed(command, &set.members[i]))
            result = missing(&set.members[i], context);
    syncq_set_clear(&set);
    return result;
}
