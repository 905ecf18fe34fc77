/* SPDX-License-Identifier: MIT */
/*
 * scan.h - the queue ids in one of Postfix's queue directories, step by step
 *
 * Names of one character are hash directories and are entered; names that are
 * no queue ids are passed over.
 */
#ifndef SYNCQ_QMGR_SCAN_H
#define SYNCQ_QMGR_SCAN_H

#include <dirent.h>

#define SCAN_DEPTH_MAX 8
#define SCAN_ID_SIZE   256

struct scan {
    DIR *directories[SCAN_DEPTH_MAX];
    unsigned depth; /* 0: not open */
};

/* 0 or an errno value. */
int scan_open(struct scan *scan, const char *queue_name);
/* The next id, or 0 at the end, when the scan is closed. */
int scan_next(struct scan *scan, char queue_id[SCAN_ID_SIZE]);
void scan_close(struct scan *scan);

#endif
