/* SPDX-License-Identifier: MIT */
/*
 * block_device.h - files as disks, and the programs that work on disks
 */
#ifndef SYNCQ_FAULTS_BLOCK_DEVICE_H
#define SYNCQ_FAULTS_BLOCK_DEVICE_H

struct block_device {
    int fd;        /* -1: none */
    char path[32]; /* /dev/loopN */
};

/* A loop device on a file; detaches itself when nobody has it open any more.
 * 0 or an errno. */
int block_device_attach(struct block_device *device, const char *file);
void block_device_detach(struct block_device *device);

/* The file was changed behind its back; nobody has it mounted.  0, errno. */
int block_device_forget(const struct block_device *device);

/* Run a program, output appended to log_path; its exit code or a DAEMON_ one
 * (daemon.h) after at most two minutes. */
int block_command(const char *const *argv, const char *log_path);

#endif
