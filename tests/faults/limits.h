/* SPDX-License-Identifier: MIT */
/*
 * limits.h - the parts of the test of limits
 */
#ifndef SYNCQ_FAULTS_LIMITS_H
#define SYNCQ_FAULTS_LIMITS_H

#include "tests/faults/findings.h"

struct limits;

/* What was changed decides what may follow. */
enum limits_change {
    LIMITS_RECORD,   /* one record, or the index: all others are found */
    LIMITS_ENVELOPE, /* an envelope that says something else now, or nothing */
    LIMITS_FILE,     /* the whole queue may be refused */
};

void limits_judge(struct limits *limits, const char *text,
                  enum limits_change change);

/* limits_ends.c: records that end where a page or a segment does. */
void limits_ends(struct findings *findings);

#endif
