/* SPDX-License-Identifier: MIT */
/*
 * block_disk.h - a model disk with ext4 on it, and what is noted in its log
 */
#ifndef SYNCQ_FAULTS_BLOCK_DISK_H
#define SYNCQ_FAULTS_BLOCK_DISK_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/faults/block_device.h"

struct block_disk {
    char fuse[PATH_MAX], mount[PATH_MAX], output[PATH_MAX];
    pid_t pid;
    int control;
    struct block_device device;
};

/* Why there can be no such disk here; NULL: nothing is missing. */
const char *block_disk_missing(void);

/*
 * Start one whose write log goes to log, make ext4 on it and mount it, all
 * below an empty directory.  0 or an errno, after a line on standard error.
 */
int block_disk_start(struct block_disk *disk, const char *directory,
                     uint64_t size, const char *log);
/* Unmount, and end it: the log is complete then.  0 or an errno. */
int block_disk_stop(struct block_disk *disk);

/* A command of disk_control.h.  Any thread or process.  Ends the program when
 * the disk is gone. */
void block_disk_say(const struct block_disk *disk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
