/* SPDX-License-Identifier: MIT */
/*
 * mail_text.c - the dots of SMTP's DATA
 */
#include "tests/mail_text.h"

#include <errno.h>
#include <string.h>

#include <event2/buffer.h>

static void text_byte(enum mail_text_state *state, unsigned char byte,
                      FILE *file)
{
    if (*state == MAIL_TEXT_AFTER_DOT_CR) {
        if (byte == '\n') {
            *state = MAIL_TEXT_END;
            return;
        }
        (void)putc_unlocked('\r', file); /* ferror() keeps a failure */
        *state = MAIL_TEXT_AFTER_CR;
    }
    if (*state == MAIL_TEXT_LINE_START && byte == '.') {
        *state = MAIL_TEXT_AFTER_DOT;
    } else if (*state == MAIL_TEXT_AFTER_DOT && byte == '\r') {
        *state = MAIL_TEXT_AFTER_DOT_CR;
    } else {
        (void)putc_unlocked(byte, file);
        if (*state == MAIL_TEXT_AFTER_CR && byte == '\n')
            *state = MAIL_TEXT_LINE_START;
        else
            *state = byte == '\r' ? MAIL_TEXT_AFTER_CR : MAIL_TEXT_IN_LINE;
    }
}

size_t mail_text_read(enum mail_text_state *state, const void *bytes,
                      size_t size, FILE *file)
{
    const unsigned char *text = bytes;
    size_t used = 0;

    while (used < size && *state != MAIL_TEXT_END)
        text_byte(state, text[used++], file);
    return used;
}

int mail_text_write(struct evbuffer *output, const char *text, size_t size)
{
    const char *end = text + size;
    int error = 0;

    while (text < end && error == 0) {
        const char *next = memmem(text, (size_t)(end - text), "\r\n", 2);

        next = next == NULL ? end : next + 2;
        if (*text == '.')
            error = evbuffer_add(output, ".", 1);
        if (error == 0)
            error = evbuffer_add(output, text, (size_t)(next - text));
        text = next;
    }
    if (error == 0)
        error = evbuffer_add(output, ".\r\n", 3);
    return error == 0 ? 0 : ENOMEM;
}
