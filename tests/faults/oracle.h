/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - what a queue must hold after a crash
 *
 * A driver tells what it did, in order; the oracle later compares a recovered
 * queue with it:
 *
 *   confirmed, no durable word that it is done    there, byte for byte, pending
 *                                                 (or done, if a mark was on
 *                                                 its way)
 *   a durable mark said done                      never pending again
 *   submitted, not confirmed                      there whole, or not at all
 *   never submitted                               not there
 *
 * Mails are those of queue_fixture.h: content and envelope follow from the
 * mail's seed, so the oracle keeps numbers only.
 */
#ifndef SYNCQ_FAULTS_ORACLE_H
#define SYNCQ_FAULTS_ORACLE_H

#include <stdint.h>

#include "module/queue.h"
#include "tests/faults/findings.h"
#include "tests/queue_fixture.h"

enum oracle_word {
    ORACLE_SUBMITTED = 1, /* append began */
    ORACLE_CONFIRMED,     /* the wait for the ticket returned 0 */
    ORACLE_CANCELLED,     /* given up and told so; may be there or not */
    ORACLE_DONE,          /* entry says done; the mark may be lost; say it
                             before the entry is changed */
    ORACLE_DONE_DURABLE,  /* the marks record was confirmed */
    ORACLE_HELD,          /* entry says held, mark durable: there, held */
    ORACLE_HOLDING,       /* about to be held; the mark may be lost */
};

struct oracle;

struct oracle *oracle_new(void);
void oracle_free(struct oracle *oracle);
/* A copy as of now: what was known when an image was taken. */
struct oracle *oracle_copy(const struct oracle *oracle);

/* What happened to a mail, known by its seed, which no other mail may have.
 * Any thread; the words of one mail in order. */
void oracle_say(struct oracle *oracle, const struct mail *mail,
                enum oracle_word word);

/*
 * Compare a queue, opened for reading after recovery, with what was said.
 * Damage within [damaged_from, damaged_to) of the data file excuses records
 * that lie there, if recovery or check reported a range that covers them, and
 * then any mail may be on hold, since a mark may have been there, too; both 0:
 * nothing is excused.  Adds findings under case_text; returns how many.
 */
struct oracle_excuse {
    uint64_t damaged_from, damaged_to; /* file offsets */
    int reported;                      /* that range was reported */
};
unsigned oracle_check(const struct oracle *oracle, struct syncq_queue *queue,
                      const struct oracle_excuse *excuse,
                      struct findings *findings, const char *case_text);

#endif
