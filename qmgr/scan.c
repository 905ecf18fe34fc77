/* SPDX-License-Identifier: MIT */
#include "qmgr/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "postfix/queue_file.h"

int scan_open(struct scan *scan, const char *queue_name)
{
    scan_close(scan);
    scan->directories[0] = opendir(queue_name);
    if (scan->directories[0] == NULL)
        return errno;
    scan->depth = 1;
    return 0;
}

static void scan_enter(struct scan *scan, const char *name)
{
    int fd;

    if (scan->depth == SCAN_DEPTH_MAX)
        return;
    fd = openat(dirfd(scan->directories[scan->depth - 1]), name,
                O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    scan->directories[scan->depth] = fdopendir(fd);
    if (scan->directories[scan->depth] == NULL)
        (void)close(fd);
    else
        scan->depth++;
}

int scan_next(struct scan *scan, char queue_id[SCAN_ID_SIZE])
{
    while (scan->depth > 0) {
        struct dirent *entry = readdir(scan->directories[scan->depth - 1]);

        if (entry == NULL) {
            (void)closedir(scan->directories[--scan->depth]);
            continue;
        }
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_name[1] == '\0') {
            scan_enter(scan, entry->d_name);
        } else if (queue_id_valid(entry->d_name) &&
                   strlen(entry->d_name) < SCAN_ID_SIZE) {
            memcpy(queue_id, entry->d_name, strlen(entry->d_name) + 1);
            return 1;
        }
    }
    return 0;
}

void scan_close(struct scan *scan)
{
    while (scan->depth > 0)
        (void)closedir(scan->directories[--scan->depth]);
}
