/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/queue_file.h"
#include "program/log.h"
#include "qmgr/showq.h"
#include "qmgr/showq_file.h"

#define HASH_DEPTH_MAX 16 /* directories below each other */

struct directory {
    struct showq *showq;
    struct showq_output *output;
    const char *queue_name;
};

/* Files are listed as they are found; a directory of one letter holds more. */
static void list_directory(const struct directory *directory, const char *path,
                           unsigned depth)
{
    char below[SETTINGS_PATH_SIZE];
    struct dirent *item;
    DIR *items = opendir(path);

    if (items == NULL) {
        /* Hash directories are made when they are needed. */
        if (errno != ENOENT)
            log_warning("open directory %s: %s", path, strerror(errno));
        return;
    }
    while (!directory->output->failed && (item = readdir(items)) != NULL) {
        const char *name = item->d_name;

        if (*name == '.' || snprintf(below, sizeof(below), "%s/%s", path,
                                     name) >= (int)sizeof(below))
            continue;
        if (name[1] == '\0' && depth < HASH_DEPTH_MAX)
            list_directory(directory, below, depth + 1);
        else if (queue_id_valid(name) && showq_id_add(directory->showq, name))
            showq_file_list(directory->showq, directory->output,
                            directory->queue_name, name, below);
    }
    closedir(items);
}

void showq_list_directories(struct showq *showq, struct showq_output *output)
{
    static const char *const names[] = {"maildrop", "active", "incoming",
                                        "deferred", "hold"};
    struct directory directory = {.showq = showq, .output = output};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        directory.queue_name = names[i];
        list_directory(&directory, names[i], 0);
    }
}
