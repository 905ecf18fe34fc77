/* SPDX-License-Identifier: MIT */
/*
 * mail_send.h - send the mails of a source by SMTP over several sessions
 */
#ifndef SYNCQ_TESTS_MAIL_SEND_H
#define SYNCQ_TESTS_MAIL_SEND_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/mail_source.h"

struct mail_send_options {
    const struct mail_source *source;
    const char *host; /* IPv4 address */
    uint16_t port;
    size_t sessions;
    size_t per_connection; /* mails before a new one is made; 0: no limit */
    const char *sender;
    int retry; /* after a 4xx answer or a lost connection */
    FILE *log; /* see mail_log.h; NULL: none */
    /* Called after each mail; may be NULL. */
    void (*progress)(size_t done, size_t total);
};

struct mail_send_result {
    size_t accepted; /* answered 250 */
    size_t refused;  /* answered 4xx or 5xx at last */
    size_t unknown;  /* no answer */
    int last_code;   /* of the last one refused, with its text */
    char last_text[256];
};

/*
 * Send every mail; a session that loses its connection makes a new one.
 * Without retry each mail is tried once, but one that could not even be
 * started because there was no connection is tried again for a minute.
 * 0 or errno (of the source, the log, or memory).
 */
int mail_send(const struct mail_send_options *options,
              struct mail_send_result *result);

#endif
