/* SPDX-License-Identifier: MIT */
/*
 * mail_text.h - the dots of SMTP's DATA
 */
#ifndef SYNCQ_TESTS_MAIL_TEXT_H
#define SYNCQ_TESTS_MAIL_TEXT_H

#include <stddef.h>
#include <stdio.h>

struct evbuffer;

/* Where a reader is: it has to find the end and the added dots. */
enum mail_text_state {
    MAIL_TEXT_LINE_START,
    MAIL_TEXT_IN_LINE,
    MAIL_TEXT_AFTER_CR,
    MAIL_TEXT_AFTER_DOT,
    MAIL_TEXT_AFTER_DOT_CR,
    MAIL_TEXT_END
};

/*
 * Write text from the wire to file without its added dots.  Only CR LF ends a
 * line.  Starts with *state MAIL_TEXT_LINE_START; returns the number of bytes
 * used, all of them unless *state is MAIL_TEXT_END.  ferror(file) tells what
 * could not be written.
 */
size_t mail_text_read(enum mail_text_state *state, const void *bytes,
                      size_t size, FILE *file);

/* Add the dots and the end mark.  text ends with CR LF.  0 or ENOMEM. */
int mail_text_write(struct evbuffer *output, const char *text, size_t size);

#endif
