/* SPDX-License-Identifier: MIT */
/*
 * fence.h - give up every file that a program does not need
 */
#ifndef SYNCQ_PROGRAM_FENCE_H
#define SYNCQ_PROGRAM_FENCE_H

#include <stddef.h>

#include "program/config.h"

/* A folder below which a fenced process may still open files. */
struct fence_path {
    const char *path;
    int may_write; /* and make, rename and remove */
};

/*
 * From now on this thread and those it starts can open nothing outside these
 * folders, execute nothing, gain no rights, and are not dumped or traced by
 * their own user.  What is open already stays usable.  A folder that is not
 * there yet (a disk to be mounted) is covered by its nearest parent that is,
 * unless that is the root.
 *
 * 0; ENOSYS: this kernel has no Landlock, and only the gain of rights, dumps
 * and tracing are shut off; another errno: nothing may be relied on.
 */
int fence_close(const struct fence_path *paths, size_t count);

/*
 * The same for a program that works on the queue: what that needs, and the
 * given folders.  Logs and goes on when the kernel has no Landlock; 0, or
 * EX_OSERR with a line in the log.
 */
int fence_queue(const struct config *config, const struct fence_path *more,
                size_t count);

#endif
