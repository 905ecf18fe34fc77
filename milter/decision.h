/* SPDX-License-Identifier: MIT */
/*
 * decision.h - what to answer at end-of-message
 *
 * The promise of the whole system is kept here: DECISION_DISCARD is given only
 * after syncq_ticket_wait returned 0 for this mail's record (or
 * syncq_ticket_abandon found that the confirm had come first).
 */
#ifndef SYNCQ_MILTER_DECISION_H
#define SYNCQ_MILTER_DECISION_H

#include "milter/capture.h"
#include "milter/queues.h"
#include "program/config.h"

#define DECISION_SLICE_MS 5000 /* between two signs of life to the MTA */

enum decision {
    DECISION_ACCEPT,   /* the MTA keeps the mail */
    DECISION_TEMPFAIL, /* 451: the client keeps it */
    DECISION_DISCARD,  /* we keep it */
};

/* All that does not change from one mail to the next. */
struct decision_maker {
    const struct config *config;
    const struct capture_source *source;
    struct queues *queues;
};

/*
 * Capture the mail if everything allows it.  queue_id and event are NULL when
 * the MTA did not say.  Blocks for at most confirm_timeout and the time to
 * append.  progress is called every DECISION_SLICE_MS and tells the MTA that
 * there is work going on; false from it means that the MTA is gone.
 */
enum decision decision_make(const struct decision_maker *maker,
                            const char *queue_id,
                            const struct mail_event *event,
                            int (*progress)(void *context), void *context);

#endif
