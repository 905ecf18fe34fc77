/* SPDX-License-Identifier: MIT */
/*
 * progress.h - a progress bar on standard error, if that is a terminal
 */
#ifndef SYNCQ_ADMIN_PROGRESS_H
#define SYNCQ_ADMIN_PROGRESS_H

#include <stdint.h>

struct progress {
    const char *what; /* a word or two before the bar */
    int shown;        /* a terminal is there */
    int percent;      /* as last drawn, or -1 */
};

void progress_init(struct progress *progress, const char *what);

/* context is the struct progress; draws only when the percentage changes. */
void progress_update(uint64_t done, uint64_t total, void *context);

/* Wipe the bar, so that what follows starts on a clean line. */
void progress_clear(struct progress *progress);

#endif
