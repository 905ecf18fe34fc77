/* SPDX-License-Identifier: MIT */
/*
 * sendopts.h - the send options that a queue file does not hold yet
 *
 * cleanup(8) writes them into the size record after the milters, so at
 * end-of-message they are worked out again from the MAIL arguments, the
 * addresses and the headers, by the same rules.
 */
#ifndef SYNCQ_MILTER_SENDOPTS_H
#define SYNCQ_MILTER_SENDOPTS_H

#include <stddef.h>
#include <stdint.h>

#include "milter/mail_event.h"
#include "module/envelope.h"
#include "postfix/parameters.h"

#define SENDOPTS_SMTPUTF8_REQUESTED 1u
#define SENDOPTS_SMTPUTF8_HEADER    2u
#define SENDOPTS_SMTPUTF8_SENDER    4u
#define SENDOPTS_TLS_REQUIRED_NO    16u /* header TLS-Required: no */
#define SENDOPTS_REQUIRETLS         32u /* MAIL argument REQUIRETLS */

/* What Postfix's configuration says about it. */
struct sendopts_rules {
    int smtputf8;         /* smtputf8_enable */
    int autodetect_local; /* "sendmail" in smtputf8_autodetect_classes */
    int tls_required;     /* the header is known and enabled */
    int verb_headers;     /* headers that stand for MAIL arguments are known */
};
void sendopts_rules_read(struct sendopts_rules *rules,
                         const struct parameters *parameters);

/*
 * Work out *bits.  content is N and L records.  True on success; false when
 * the file leaves a doubt that matters for delivery: the mail must then be
 * left to Postfix.
 */
int sendopts_compute(const struct sendopts_rules *rules,
                     const struct mail_event *event,
                     const struct syncq_envelope *envelope,
                     const uint8_t *content, size_t content_size,
                     unsigned *bits);

#endif
