/* SPDX-License-Identifier: MIT */
/*
 * forgery_mail.h - an adversarial mail for the place where it will lie
 */
#ifndef SYNCQ_FAULTS_FORGERY_MAIL_H
#define SYNCQ_FAULTS_FORGERY_MAIL_H

#include "tests/faults/oracle.h"
#include "tests/queue_fixture.h"

enum { FORGER_STOLEN = 8, FORGER_STEAL_SIZE = 2048 };

struct forger {
    struct fixture *fixture;
    struct chance *chance;
    struct syncq_key key; /* the right one, or but for one bit */
    /* Genuine records of this queue, of another one, and what they name. */
    uint8_t stolen[FORGER_STOLEN][FORGER_STEAL_SIZE];
    unsigned stolen_count;
    struct mail victims[FORGER_STOLEN];
    unsigned victim_count;
    uint64_t lap; /* added to the LSN of the place */
};

/* key_known: the control. */
void forger_init(struct forger *forger, struct fixture *fixture,
                 struct chance *chance, int key_known);
void forger_clear(struct forger *forger);

/* These mails and their records are known to the forger. */
void forger_see(struct forger *forger, const struct mail *mails,
                unsigned count);

/* From now on for the LSNs that the segment's places get when it is the next
 * one to be opened. */
void forger_aim_at_next_lap(struct forger *forger);

/*
 * Append one mail full of forgeries, whose place the forger guesses right.
 * 0, or what append returned.
 */
int forger_append(struct forger *forger, uint64_t *sequence, uint64_t *lsn);

#endif
