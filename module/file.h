/* SPDX-License-Identifier: MIT */
/*
 * file.h - open the files of a queue with the checks they all need (inside)
 */
#ifndef SYNCQ_FILE_H
#define SYNCQ_FILE_H

#include <stddef.h>
#include <sys/stat.h>

/*
 * Open the queue directory.  ENOENT becomes SYNCQ_ERR_NO_QUEUE; others than
 * the owner (or root) get SYNCQ_ERR_OWNER; a directory that other users can
 * enter is SYNCQ_ERR_MODE.
 */
int syncq_directory_open(const char *path, int *fd);

/*
 * Open an existing file there: no link is followed, it is a regular file with
 * one name, of the directory's owner, closed to everyone else.  A missing file
 * is SYNCQ_ERR_NO_QUEUE, the rest SYNCQ_ERR_OWNER or SYNCQ_ERR_MODE.
 */
int syncq_file_open(int directory_fd, const char *name, int writable, int *fd,
                    struct stat *status);

/* Make a new file, 0600.  EEXIST and other errno values. */
int syncq_file_create(int directory_fd, const char *name, int *fd);

/* pread and pwrite of the whole size; a short file is EIO. */
int syncq_file_read(int fd, void *bytes, size_t size, off_t offset);
int syncq_file_write(int fd, const void *bytes, size_t size, off_t offset);

#endif
