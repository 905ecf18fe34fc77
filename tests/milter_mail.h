/* SPDX-License-Identifier: MIT */
/*
 * milter_mail.h - a queue file as it is at end-of-message, for tests
 */
#ifndef SYNCQ_TESTS_MILTER_MAIL_H
#define SYNCQ_TESTS_MILTER_MAIL_H

#include <stddef.h>

struct milter_mail {
    const char *sender;
    const char *const *recipients; /* NULL last */
    const char *const *lines;      /* of header and body; NULL last */
    const char *const *attributes; /* "name=value"; NULL last; may be NULL */
    size_t body_size;              /* bytes of x added to the body */
};

/* A mail that all of Postfix would understand. */
extern const struct milter_mail milter_mail_plain;

/*
 * Write the file at path, mode 0600, with an empty size record, as cleanup(8)
 * has it before the milters answer.  0 or an errno value.
 */
int milter_mail_write(const char *path, const struct milter_mail *mail);

#endif
