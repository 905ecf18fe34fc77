/* SPDX-License-Identifier: MIT */
/*
 * filesystem.h - is this a file system that keeps the promise? (inside)
 */
#ifndef SYNCQ_FILESYSTEM_H
#define SYNCQ_FILESYSTEM_H

/*
 * 0 for ext4 without data=journal and for xfs; SYNCQ_ERR_FILESYSTEM for all
 * that was not tested: copy-on-write and network file systems report a full
 * disk only when a page is written back, and data=journal syncs otherwise.
 */
int syncq_filesystem_check(int fd);

#endif
