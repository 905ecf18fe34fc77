/* SPDX-License-Identifier: MIT */
/*
 * guard.h - a case that crashes, asserts or hangs is a finding, too
 *
 * Between guard_begin and guard_end a signal, the end of the process, or more
 * than GUARD_TIME_S seconds is reported as FINDING_STUCK with the case's text,
 * and ends the program with 1.  One case at a time, one program.
 *
 * With -Wl,--wrap=log_info,--wrap=log_error the helper's log lines are left
 * out but with --verbose.
 */
#ifndef SYNCQ_FAULTS_GUARD_H
#define SYNCQ_FAULTS_GUARD_H

#include "tests/faults/findings.h"

enum { GUARD_TIME_S = 60 }; /* a case takes milliseconds */

void guard_begin(struct findings *findings, const char *case_text);
void guard_end(void);

/* Is this case to be run?  Says so with --verbose. */
int case_is_chosen(const struct findings *findings, const char *case_text);

#endif
