/* SPDX-License-Identifier: MIT */
/*
 * mail_event.h - what the MAIL command said
 *
 * All that end-of-message needs of it: the sender, to check that the queue
 * file is this mail's, and the arguments that leave no trace in the file.
 */
#ifndef SYNCQ_MILTER_MAIL_EVENT_H
#define SYNCQ_MILTER_MAIL_EVENT_H

#define MAIL_EVENT_UNKNOWN_SIZE 40 /* bytes, with the closing NUL */

struct mail_event {
    char *sender;   /* as Postfix writes it: without <>, route and quotes */
    int smtputf8;   /* SMTPUTF8 was given */
    int requiretls; /* REQUIRETLS was given */
    char
        unknown[MAIL_EVENT_UNKNOWN_SIZE]; /* first argument that is none of
                                             Postfix's; "" when there is none */
};

/*
 * argv: the address as typed, then ESMTP arguments, then NULL.  mail_addr:
 * the macro of that name, which has the address completed by Postfix (domain
 * appended, route removed); NULL when there is none.  ENOMEM.
 */
int mail_event_init(struct mail_event *event, char *const *argv,
                    const char *mail_addr);

/* Zeroed is fine. */
void mail_event_clear(struct mail_event *event);

/*
 * Can a queue file with this sender belong to this event?  True when they are
 * equal; domains compare without case.  Postfix turns its own mailer-daemon
 * into the null sender.
 */
int mail_event_sender_fits(const struct mail_event *event, const char *sender);

#endif
