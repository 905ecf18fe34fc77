/* SPDX-License-Identifier: MIT */
#include "tests/faults/block_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/daemon.h"

enum { TRIES = 100, COMMAND_MS = 120000 };

/* Another process may take the same free number first. */
static int attach_to(struct block_device *device, int number, int file)
{
    struct loop_config config = {
        .fd = (unsigned)file,
        .block_size = 512,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR},
    };
    int result;

    (void)snprintf(device->path, sizeof device->path, "/dev/loop%d", number);
    device->fd = open(device->path, O_RDWR | O_CLOEXEC);
    if (device->fd < 0)
        return errno;
    if (ioctl(device->fd, LOOP_CONFIGURE, &config) == 0)
        return 0;
    result = errno;
    close(device->fd);
    device->fd = -1;
    return result;
}

int block_device_attach(struct block_device *device, const char *path)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(path, O_RDWR | O_CLOEXEC);
    int result = control < 0 || file < 0 ? errno : EBUSY;

    device->fd = -1;
    for (int i = 0; i < TRIES && result == EBUSY; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);

        result = number < 0 ? errno : attach_to(device, number, file);
    }
    if (file >= 0)
        close(file);
    if (control >= 0)
        close(control);
    return result;
}

void block_device_detach(struct block_device *device)
{
    if (device->fd >= 0)
        close(device->fd);
    device->fd = -1;
}

int block_device_forget(const struct block_device *device)
{
    return ioctl(device->fd, BLKFLSBUF, 0) == 0 ? 0 : errno;
}

int block_command(const char *const *argv, const char *log_path)
{
    pid_t pid = daemon_start(argv, NULL, log_path);
    int code = pid < 0 ? DAEMON_KILLED : daemon_wait(pid, COMMAND_MS);

    if (code == DAEMON_RUNNING)
        daemon_kill(pid);
    return code;
}
