/* SPDX-License-Identifier: MIT */
/*
 * mail_receive.h - the receiving side of SMTP and LMTP, for mail-sink
 */
#ifndef SYNCQ_TESTS_MAIL_RECEIVE_H
#define SYNCQ_TESTS_MAIL_RECEIVE_H

#include <stddef.h>
#include <sys/queue.h>

#include <event2/event.h>

#define PATTERNS_MAX 16

/* A recipient that matches gets this answer to RCPT. */
struct pattern {
    const char *text;
    const char *reply;
};

struct session;

struct sink {
    int lmtp, dsn;
    long reject_after;   /* mails; -1: never */
    long stored;         /* mails answered 250 by this process */
    long last;           /* highest number of a mail in the directory */
    unsigned long files; /* names given to mails in work */
    struct pattern patterns[PATTERNS_MAX];
    size_t pattern_count;
    struct event_base *base;
    LIST_HEAD(, session) sessions;
};

/* Greet a new client; mail goes to the working directory.  Takes fd. */
void session_start(struct sink *sink, evutil_socket_t fd);

/* Drop every client. */
void session_end_all(struct sink *sink);

#endif
