/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/queue_internal.h"
#include "module/running.h"

int syncq_running_helper(struct syncq_queue *queue)
{
    struct syncq_channel_handle *handle = &queue->handle;
    int result = syncq_channel_usable(handle);

    if (result == SYNCQ_ERR_NO_HELPER || result == SYNCQ_ERR_DETACHED)
        return result;
    /* The channel outlives its helper. */
    return syncq_channel_helper_alive(handle) ? result : SYNCQ_ERR_NO_HELPER;
}

int syncq_running_manager(const char *directory)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat status;
    int directory_fd = -1, fd = -1;
    int result;

    result = syncq_directory_open(directory, &directory_fd);
    if (result == 0)
        result =
            syncq_file_open(directory_fd, SYNCQ_MANAGER_FILE, 0, &fd, &status);
    if (result == SYNCQ_ERR_NO_QUEUE)
        result = ESRCH;
    if (result == 0 && fcntl(fd, F_OFD_GETLK, &lock) != 0)
        result = errno;
    if (result == 0 && lock.l_type == F_UNLCK)
        result = ESRCH;
    if (fd >= 0)
        close(fd);
    if (directory_fd >= 0)
        close(directory_fd);
    return result;
}
