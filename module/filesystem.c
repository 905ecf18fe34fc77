/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "module/error.h"
#include "module/filesystem.h"

/* Does the mount with this device number carry the option? */
static int mount_has_option(dev_t device, const char *option)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    int found = 0;

    while (mounts != NULL && !found && getline(&line, &capacity, mounts) > 0) {
        unsigned device_major, device_minor;

        if (sscanf(line, "%*d %*d %u:%u", &device_major, &device_minor) == 2 &&
            device_major == major(device) && device_minor == minor(device))
            found = strstr(line, option) != NULL;
    }
    free(line);
    if (mounts != NULL)
        (void)fclose(mounts);
    return found;
}

int syncq_filesystem_check(int fd)
{
    struct statfs filesystem;
    struct stat status;

    if (fstatfs(fd, &filesystem) != 0 || fstat(fd, &status) != 0)
        return errno;
    switch ((unsigned long)filesystem.f_type) {
    case EXT4_SUPER_MAGIC:
        return mount_has_option(status.st_dev, "data=journal")
                   ? SYNCQ_ERR_FILESYSTEM
                   : 0;
    case XFS_SUPER_MAGIC:
        return 0;
    default:
        return SYNCQ_ERR_FILESYSTEM;
    }
}
