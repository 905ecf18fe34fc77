/* SPDX-License-Identifier: MIT */
/*
 * fence.c - Landlock, by its three system calls: the C library has none
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "module/limits.h"
#include "program/fence.h"
#include "program/log.h"

/* Of the third version of the interface; our headers may be older. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |             \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |            \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO)
#define NEVER                                                                  \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |              \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What this kernel can forbid; 0: it has no Landlock. */
static uint64_t known_rights(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
                           LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t rights = READING | WRITING | NEVER;

    if (version < 1)
        return 0;
    return version < 3 ? rights & ~LANDLOCK_ACCESS_FS_TRUNCATE : rights;
}

/* The folder, or its nearest parent that is there; -1: only the root is. */
static int open_nearest(const char *path)
{
    char name[PATH_MAX];
    int fd = -1;

    if (snprintf(name, sizeof(name), "%s", path) >= (int)sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    while (*name && (fd = open(name, O_PATH | O_CLOEXEC)) < 0 &&
           errno == ENOENT) {
        char *slash = strrchr(name, '/');

        if (!slash)
            break;
        *slash = '\0';
    }
    return fd;
}

static int allow(int ruleset, const struct fence_path *path, uint64_t known)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = (READING | (path->may_write ? WRITING : 0)) & known,
        .parent_fd = open_nearest(path->path),
    };
    int result = 0;

    if (rule.parent_fd < 0)
        return errno == ENOENT ? 0 : errno;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
                &rule, 0) < 0)
        result = errno;
    close(rule.parent_fd);
    return result;
}

int fence_close(const struct fence_path *paths, size_t count)
{
    struct landlock_ruleset_attr attributes = {.handled_access_fs =
                                                   known_rights()};
    int ruleset, result = 0;

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return errno;
    if (!attributes.handled_access_fs)
        return ENOSYS;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes,
                           sizeof(attributes), 0);
    if (ruleset < 0)
        return errno;
    for (size_t i = 0; i < count && !result; i++)
        result = allow(ruleset, &paths[i], attributes.handled_access_fs);
    if (!result && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        result = errno;
    close(ruleset);
    return result;
}

enum { MORE_PATHS_MAX = SYNCQ_FILES_MAX + 4 };

int fence_queue(const struct config *config, const struct fence_path *more,
                size_t count)
{
    struct fence_path paths[4 + MORE_PATHS_MAX] = {
        {config->queue_directory, 1},
        {config->run_directory, 1},
        {"/proc/sys/kernel/random", 0}, /* boot_id */
        {"/proc/self", 0},              /* mountinfo */
    };
    int result = count > MORE_PATHS_MAX ? E2BIG : 0;

    tzset(); /* reads its file now, for the dates in the log */
    if (!result && count) /* more may be NULL */
        memcpy(paths + 4, more, count * sizeof(*more));
    if (!result)
        result = fence_close(paths, 4 + count);
    if (result == ENOSYS) {
        log_info("this kernel has no Landlock: file access is not fenced");
        return 0;
    }
    if (result)
        log_error("cannot fence file access: %s", strerror(result));
    return result ? EX_OSERR : 0;
}
