/* SPDX-License-Identifier: MIT */
/*
 * mail_log.h - what became of each mail that mail-load sent
 *
 * One line for each: number, recipient, digest (XXH3-128 of the content as
 * sent, before dots are added) and the last reply's code; 0 when the server
 * never answered.
 */
#ifndef SYNCQ_TESTS_MAIL_LOG_H
#define SYNCQ_TESTS_MAIL_LOG_H

#include <stddef.h>
#include <stdio.h>

#include <xxhash.h>

#include "tests/mail_source.h"

struct mail_log_entry {
    size_t number;
    char recipient[MAIL_RECIPIENT_SIZE];
    XXH128_hash_t digest;
    int code;
    size_t arrived; /* not in the file: for the comparer */
};

/* 0 or errno. */
int mail_log_write(FILE *file, const struct mail_log_entry *entry);

/* All lines; *entries is the caller's to free.  EINVAL: not such a log. */
int mail_log_read(const char *path, struct mail_log_entry **entries,
                  size_t *count);

#endif
