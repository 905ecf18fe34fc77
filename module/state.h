/* SPDX-License-Identifier: MIT */
/*
 * state.h - what has been done about one part of a message
 *
 * A part is a message's recipients of one domain, at most 64 of them.  The
 * same state stands in the part's index entry (two versions) and in the marks
 * records of the log.  ARCHITECTURE.md holds the table of transitions.
 */
#ifndef SYNCQ_STATE_H
#define SYNCQ_STATE_H

#include <stdint.h>

enum syncq_status {
    SYNCQ_STATUS_FREE = 0,  /* the slot holds nothing */
    SYNCQ_STATUS_NEW,       /* reserved; not known to be durable */
    SYNCQ_STATUS_SYNCED,    /* durable; the MTA's answer is not known yet */
    SYNCQ_STATUS_READY,     /* to be delivered */
    SYNCQ_STATUS_ACTIVE,    /* handed to a delivery agent */
    SYNCQ_STATUS_DEFERRED,  /* to be tried again at next_attempt_s */
    SYNCQ_STATUS_HELD,      /* waits for an administrator */
    SYNCQ_STATUS_FLUSHING,  /* part 0: all finished, reports still to send */
    SYNCQ_STATUS_DONE,      /* nothing is left to do */
    SYNCQ_STATUS_CANCELLED, /* the MTA kept the mail, or it was deleted */
    SYNCQ_STATUS_LOST,      /* its record is gone or damaged */
};

/* Constant lower-case name of a status, "unknown" for any other number. */
const char *syncq_status_name(unsigned status);

/* True for done and cancelled: nothing will ever be delivered again. */
int syncq_status_is_final(unsigned status);

struct syncq_state {
    uint64_t lsn;            /* of the record; changes when it is relocated */
    uint64_t mask;           /* bit n: recipient first_recipient + n is done */
    uint32_t last_attempt_s; /* seconds since 1970; 0: none yet */
    uint32_t next_attempt_s; /* seconds since 1970; 0: at once */
    uint16_t attempts;       /* stays at 65535 */
    uint16_t reason;         /* free for the queue manager */
    uint8_t dsn_class, dsn_subject; /* of the last trouble; 0.0.0: none */
    uint16_t dsn_detail;
    uint8_t status; /* enum syncq_status */
};

#endif
