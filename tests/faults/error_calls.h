/* SPDX-License-Identifier: MIT */
/*
 * error_calls.h - the n-th system call of a kind fails
 *
 * Linked with -Wl,--wrap=statx,--wrap=pwritev,--wrap=pwrite and with what
 * sync_control.h needs, which must be at work for the syncs.
 */
#ifndef SYNCQ_FAULTS_ERROR_CALLS_H
#define SYNCQ_FAULTS_ERROR_CALLS_H

#include <stdint.h>

enum error_call {
    ERROR_SYNC,    /* msync of data, index and superblock; fsync */
    ERROR_STATX,   /* the look at the file before and after each sync */
    ERROR_PWRITEV, /* a record into the page cache */
    ERROR_PWRITE,  /* the latch, a new index */
    ERROR_CALLS
};

extern const char *const error_call_names[ERROR_CALLS];

/* The n-th call of this kind for a file below directory, 1 is the next, fails
 * with error. */
void error_arm(const char *directory, enum error_call call, uint64_t n,
               int error);
void error_disarm(void);
/* It has failed since error_arm. */
int error_fired(void);

#endif
