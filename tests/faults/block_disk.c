/* SPDX-License-Identifier: MIT */
#include "tests/faults/block_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/channel.h"
#include "tests/daemon.h"

enum { START_MS = 10000, STOP_MS = 30000 };

const char *block_disk_missing(void)
{
    if (access(daemon_program("tests/disk/model-disk"), X_OK) != 0)
        return "no FUSE: built without libfuse3";
    if (geteuid() != 0)
        return "not root";
    if (access("/dev/fuse", W_OK) != 0)
        return "no FUSE: /dev/fuse";
    if (access("/dev/loop-control", W_OK) != 0)
        return "no loop device";
    if (access("/sbin/mkfs.ext4", X_OK) != 0 ||
        access("/sbin/fsck.ext4", X_OK) != 0)
        return "no mkfs.ext4 and fsck.ext4";
    return NULL;
}

static int failed(const char *what, int error)
{
    (void)fprintf(stderr, "block-log: %s: %s\n", what, strerror(error));
    return error;
}

/* Its control file is there as soon as it serves. */
static int wait_ready(struct block_disk *disk)
{
    _Atomic uint32_t never = 0;
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof path, "%s/control", disk->fuse);
    for (int i = 0; i < START_MS; i++) {
        disk->control = open(path, O_WRONLY | O_CLOEXEC);
        if (disk->control >= 0)
            return 0;
        if (kill(disk->pid, 0) != 0)
            return errno;
        (void)syncq_futex_wait(&never, 0, 1000);
    }
    return ETIMEDOUT;
}

static int start_model(struct block_disk *disk, uint64_t size, const char *log)
{
    char size_text[24];
    const char *argv[] = {daemon_program("tests/disk/model-disk"),
                          "--size",
                          size_text,
                          "--log",
                          log,
                          disk->fuse,
                          NULL};

    (void)snprintf(size_text, sizeof size_text, "%" PRIu64, size);
    disk->pid = daemon_start(argv, NULL, disk->output);
    return disk->pid < 0 ? errno : wait_ready(disk);
}

/* As on a real disk, whatever its size: blocks of 4 KiB. */
static int make_filesystem(struct block_disk *disk)
{
    const char *argv[] = {"/sbin/mkfs.ext4",
                          "-q",
                          "-b",
                          "4096",
                          "-E",
                          "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                          disk->device.path,
                          NULL};

    if (block_command(argv, disk->output) != 0)
        return EIO;
    return mount(disk->device.path, disk->mount, "ext4", 0, NULL) == 0 ? 0
                                                                       : errno;
}

int block_disk_start(struct block_disk *disk, const char *directory,
                     uint64_t size, const char *log)
{
    char path[PATH_MAX + 16];
    int result;

    *disk = (struct block_disk){.control = -1, .device = {.fd = -1}};
    (void)snprintf(disk->fuse, PATH_MAX, "%s/fuse", directory);
    (void)snprintf(disk->mount, PATH_MAX, "%s/disk", directory);
    (void)snprintf(disk->output, PATH_MAX, "%s/disk.out", directory);
    if (mkdir(disk->fuse, 0700) != 0 || mkdir(disk->mount, 0755) != 0)
        return failed(directory, errno);
    result = start_model(disk, size, log);
    if (result != 0)
        return failed("model-disk", result);
    (void)snprintf(path, sizeof path, "%s/disk", disk->fuse);
    result = block_device_attach(&disk->device, path);
    if (result != 0)
        return failed("loop device", result);
    result = make_filesystem(disk);
    return result == 0 ? 0 : failed("ext4", result);
}

int block_disk_stop(struct block_disk *disk)
{
    if (umount2(disk->mount, 0) != 0)
        return failed(disk->mount, errno);
    block_device_detach(&disk->device);
    close(disk->control);
    (void)kill(disk->pid, SIGTERM);
    if (daemon_wait(disk->pid, STOP_MS) == DAEMON_RUNNING)
        return failed("model-disk", ETIMEDOUT);
    return 0;
}

void block_disk_say(const struct block_disk *disk, const char *format, ...)
{
    char text[256];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text &&
        write(disk->control, text, (size_t)length) == length)
        return;
    (void)failed("model-disk", errno);
    _exit(EXIT_FAILURE);
}
