/* SPDX-License-Identifier: MIT */
/*
 * wrap_model.h - which mails a queue holds, kept in a list
 *
 * The reference for wrap.c: a mail is live from its append until its delivery,
 * and nothing else is known of it.  Where it lies in the log is asked of the
 * queue's entries only, since copies move.
 */
#ifndef SYNCQ_FAULTS_WRAP_MODEL_H
#define SYNCQ_FAULTS_WRAP_MODEL_H

#include "tests/faults/oracle.h"
#include "tests/queue_fixture.h"

enum {
    MODEL_MAILS_MAX = 2400, /* what has entries, and what had them last */
};

enum model_state {
    MODEL_LIVE = 1,
    MODEL_CANCELLED, /* given up; may be there after a crash */
    MODEL_DONE,      /* the entry says so; the mark is not yet durable */
    MODEL_MARKED,    /* the mark is durable */
};

struct model_mail {
    struct mail mail;
    enum model_state state;
    int stuck; /* never delivered of its own accord */
    int gone;  /* it had no entry when the model was refreshed */
};

struct model {
    struct model_mail mails[MODEL_MAILS_MAX]; /* oldest first */
    unsigned count;
};

/* Add a mail; when there is no room, the older half of those that are gone is
 * forgotten.  NULL: none is. */
struct model_mail *model_add(struct model *model, const struct mail *mail,
                             enum model_state state);

/* A live mail that is not stuck, by chance; NULL: there is none. */
struct model_mail *model_pick(struct model *model, struct chance *chance);

/* All that is known, for oracle_check; the caller frees it. */
struct oracle *model_oracle(const struct model *model);

/* After recovery: where each mail is now, and what became of those about which
 * the log may not have had the last word. */
void model_refresh(struct model *model, struct syncq_queue *queue);

/* LSN of the mail's record now; 0: it has no entry. */
uint64_t model_lsn(const struct model_mail *mail, struct syncq_queue *queue);

#endif
