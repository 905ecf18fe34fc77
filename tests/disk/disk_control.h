/* SPDX-License-Identifier: MIT */
/*
 * disk_control.h - the words by which a model disk is driven while it runs
 *
 *   mark TEXT                  note TEXT in the write log
 *   flush-ms X, seek-ms X      times, milliseconds, maybe with a fraction
 *   fail OP N ERROR [always]   OP: write, flush; ERROR: EIO, ENOSPC; the N-th
 *                              from now, or also all after it
 *   fail OP 0                  no more
 *   reset                      counters to zero
 */
#ifndef SYNCQ_TESTS_DISK_DISK_CONTROL_H
#define SYNCQ_TESTS_DISK_DISK_CONTROL_H

#include <stddef.h>

#include "tests/disk/disk_model.h"

#define DISK_CONTROL_SIZE_MAX 1024 /* bytes of one command */

/*
 * Carry out one command of that many bytes; a newline at its end is no part of
 * it.  0, an errno, or EINVAL: no such command.
 */
int disk_control_run(struct disk *disk, const char *command, size_t length);

/* What follows "fail", with colons or blanks between the words. */
int disk_control_fail(struct disk *disk, const char *text);

/* "NAME VALUE" lines of all counters; bytes without the closing NUL. */
size_t disk_control_counters(struct disk *disk, char *text, size_t size);

#endif
