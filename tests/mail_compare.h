/* SPDX-License-Identifier: MIT */
/*
 * mail_compare.h - did what was accepted arrive, once and unaltered?
 */
#ifndef SYNCQ_TESTS_MAIL_COMPARE_H
#define SYNCQ_TESTS_MAIL_COMPARE_H

#include <stddef.h>

struct mail_comparison {
    size_t accepted;   /* answered 250 */
    size_t delivered;  /* of these, arrived whole at least once */
    size_t missing;    /* accepted, never arrived */
    size_t doubled;    /* arrivals beyond the first */
    size_t altered;    /* arrivals whose content differs */
    size_t unexpected; /* arrivals of what was never sent, or was refused */
};

/*
 * Compare a log of mail-load with a directory of mail-sink.  Content has to
 * be the same below any number of trace headers (Received, Return-Path,
 * Delivered-To, X-Original-To) at its start, and below the empty line that
 * Postfix puts before a text without a header.  Mail with code 0 may have
 * arrived or not.  A line on standard output names each of the first ten
 * findings; duplicates are findings unless allowed.  0 or errno.
 */
int mail_compare(const char *log, const char *directory, int allow_duplicates,
                 struct mail_comparison *comparison);

#endif
