/* SPDX-License-Identifier: MIT */
/*
 * outcome.h - what became of a mail at end-of-message
 *
 * The numbers are the indexes of syncq_statistics.captures.
 */
#ifndef SYNCQ_MILTER_OUTCOME_H
#define SYNCQ_MILTER_OUTCOME_H

enum outcome {
    OUTCOME_CAPTURED = 0,   /* durable with us, discarded by the MTA */
    OUTCOME_OBSERVED,       /* dry run: could have been captured */
    OUTCOME_GATED,          /* the queue manager closed the capture gate */
    OUTCOME_UNAVAILABLE,    /* the queue takes no mail now */
    OUTCOME_NO_FILE,        /* no queue id, or its file cannot be trusted */
    OUTCOME_NOT_UNDERSTOOD, /* something in the mail that we do not know */
    OUTCOME_TOO_LARGE,      /* fits in no segment */
    OUTCOME_UNCONFIRMED,    /* appended, but not durable in time or at all */
};
#define OUTCOME_COUNT 8

/* Constant lower-case name, for log lines and metrics. */
const char *outcome_name(enum outcome outcome);

#endif
