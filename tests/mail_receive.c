/* SPDX-License-Identifier: MIT */
/*
 * mail_receive.c - the receiving side of SMTP and LMTP, for mail-sink
 */
#include "tests/mail_receive.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "tests/mail_text.h"

#define LINE_SIZE_MAX     65536 /* bytes: a command */
#define SESSION_TIMEOUT_S 300
#define INPUT_SIZE_MAX    (1 << 20) /* bytes waiting in one connection */
#define RECIPIENTS_MAX    10000

struct session {
    LIST_ENTRY(session) link;
    struct sink *sink;
    struct bufferevent *stream;
    int greeted, in_mail, in_data, closing;
    size_t recipient_count;
    struct evbuffer *envelope;
    enum mail_text_state state;
    FILE *file;
    char file_name[64];
};

static void reply(struct session *session, const char *text)
{
    evbuffer_add_printf(bufferevent_get_output(session->stream), "%s\r\n",
                        text);
}

static void mail_reset(struct session *session)
{
    if (session->file != NULL) {
        (void)fclose(session->file); /* given up: its bytes do not matter */
        (void)unlink(session->file_name);
        session->file = NULL;
    }
    session->in_mail = session->in_data = 0;
    session->recipient_count = 0;
    evbuffer_drain(session->envelope, evbuffer_get_length(session->envelope));
}

static void session_free(struct session *session)
{
    mail_reset(session);
    LIST_REMOVE(session, link);
    evbuffer_free(session->envelope);
    bufferevent_free(session->stream);
    free(session);
}

static int is_full(const struct sink *sink)
{
    return sink->reject_after >= 0 && sink->stored >= sink->reject_after;
}

static void hello(struct session *session, const char *word)
{
    int lmtp = strcasecmp(word, "LHLO") == 0;

    if (lmtp != session->sink->lmtp) {
        reply(session, "500 5.5.1 wrong protocol");
        return;
    }
    mail_reset(session);
    session->greeted = 1;
    if (strcasecmp(word, "HELO") == 0) {
        reply(session, "250 sink");
        return;
    }
    reply(session, "250-sink");
    reply(session, "250-PIPELINING");
    reply(session, "250-8BITMIME");
    if (session->sink->dsn)
        reply(session, "250-DSN");
    reply(session, "250-ENHANCEDSTATUSCODES");
    reply(session, "250 SMTPUTF8");
}

static void command_mail(struct session *session, const char *line)
{
    if (!session->greeted || session->in_mail) {
        reply(session, "503 5.5.1 not now");
    } else if (is_full(session->sink)) {
        reply(session, "451 4.3.0 enough mail");
    } else {
        evbuffer_add_printf(session->envelope, "%s\n", line);
        session->in_mail = 1;
        reply(session, "250 2.1.0 ok");
    }
}

/* The address of "RCPT TO:<address> parameters", cut to size. */
static void recipient_address(const char *line, char *address, size_t size)
{
    const char *start = strchr(line, '<');
    const char *end = start == NULL ? NULL : strchr(start, '>');

    if (end == NULL)
        (void)snprintf(address, size, "%s", line);
    else
        (void)snprintf(address, size, "%.*s", (int)(end - start - 1),
                       start + 1);
}

static void command_rcpt(struct session *session, const char *line)
{
    const struct sink *sink = session->sink;
    char address[1024];

    if (!session->in_mail) {
        reply(session, "503 5.5.1 MAIL first");
        return;
    }
    if (session->recipient_count == RECIPIENTS_MAX) {
        reply(session, "452 4.5.3 too many recipients");
        return;
    }
    recipient_address(line, address, sizeof(address));
    for (size_t i = 0; i < sink->pattern_count; i++)
        if (fnmatch(sink->patterns[i].text, address, FNM_CASEFOLD) == 0) {
            reply(session, sink->patterns[i].reply);
            return;
        }
    evbuffer_add_printf(session->envelope, "%s\n", line);
    session->recipient_count++;
    reply(session, "250 2.1.5 ok");
}

static void command_data(struct session *session)
{
    if (session->recipient_count == 0) {
        reply(session, "554 5.5.1 no valid recipients");
        return;
    }
    (void)snprintf(session->file_name, sizeof(session->file_name), "mail.%lu",
                   session->sink->files++);
    session->file = fopen(session->file_name, "w");
    if (session->file == NULL) {
        reply(session, "451 4.3.0 cannot write");
        return;
    }
    session->in_data = 1;
    session->state = MAIL_TEXT_LINE_START;
    reply(session, "354 go on");
}

static void command(struct session *session, const char *line)
{
    char word[5] = "";

    (void)snprintf(word, sizeof(word), "%.4s", line);
    if (strcasecmp(word, "EHLO") == 0 || strcasecmp(word, "HELO") == 0 ||
        strcasecmp(word, "LHLO") == 0) {
        hello(session, word);
    } else if (strcasecmp(word, "MAIL") == 0) {
        command_mail(session, line);
    } else if (strcasecmp(word, "RCPT") == 0) {
        command_rcpt(session, line);
    } else if (strcasecmp(word, "DATA") == 0) {
        command_data(session);
    } else if (strcasecmp(word, "RSET") == 0) {
        mail_reset(session);
        reply(session, "250 2.0.0 ok");
    } else if (strcasecmp(word, "NOOP") == 0) {
        reply(session, "250 2.0.0 ok");
    } else if (strcasecmp(word, "QUIT") == 0) {
        reply(session, "221 2.0.0 bye");
        session->closing = 1;
    } else {
        reply(session, "500 5.5.2 what?");
    }
}

static int envelope_write(const struct session *session, const char *name)
{
    int fd, error = 0;

    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno;
    while (error == 0 && evbuffer_get_length(session->envelope) > 0)
        if (evbuffer_write(session->envelope, fd) < 0)
            error = errno;
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

/* Give the finished mail its number and names. */
static int mail_store(struct session *session)
{
    long number = session->sink->last + 1;
    char name[64];
    int error = ferror(session->file) ? EIO : 0;

    if (fclose(session->file) != 0 && error == 0)
        error = errno;
    session->file = NULL;
    if (error != 0)
        goto out;
    (void)snprintf(name, sizeof(name), "%ld.env", number);
    error = envelope_write(session, name);
    if (error != 0)
        goto out;
    (void)snprintf(name, sizeof(name), "%ld.eml", number);
    if (rename(session->file_name, name) != 0)
        error = errno;
    if (error == 0) {
        session->sink->last = number;
        session->sink->stored++;
    }
out:
    if (error != 0)
        (void)unlink(session->file_name);
    return error;
}

static void mail_end(struct session *session)
{
    size_t replies = session->sink->lmtp ? session->recipient_count : 1;
    const char *text = "250 2.0.0 stored";
    int error;

    if (is_full(session->sink)) {
        text = "451 4.3.0 enough mail";
    } else if ((error = mail_store(session)) != 0) {
        fprintf(stderr, "mail-sink: %s: %s\n", session->file_name,
                strerror(error));
        text = "451 4.3.0 cannot write";
    }
    for (size_t i = 0; i < replies; i++)
        reply(session, text);
    mail_reset(session);
}

static void text_read(struct session *session, struct evbuffer *input)
{
    size_t size = evbuffer_get_contiguous_space(input);
    const void *bytes = evbuffer_pullup(input, (ev_ssize_t)size);

    size = mail_text_read(&session->state, bytes, size, session->file);
    evbuffer_drain(input, size);
    if (session->state == MAIL_TEXT_END)
        mail_end(session);
}

static void on_read(struct bufferevent *stream, void *context)
{
    struct session *session = context;
    struct evbuffer *input = bufferevent_get_input(stream);
    char *line;

    while (!session->closing && evbuffer_get_length(input) > 0) {
        if (session->in_data) {
            text_read(session, input);
            continue;
        }
        line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
        if (line == NULL)
            break;
        command(session, line);
        free(line);
    }
    if (!session->in_data && evbuffer_get_length(input) > LINE_SIZE_MAX) {
        reply(session, "500 5.5.2 line too long");
        session->closing = 1;
    }
}

static void on_written(struct bufferevent *stream, void *context)
{
    struct session *session = context;

    (void)stream;
    if (session->closing)
        session_free(session);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        session_free(context);
}

void session_start(struct sink *sink, evutil_socket_t fd)
{
    const struct timeval timeout = {SESSION_TIMEOUT_S, 0};
    struct session *session = calloc(1, sizeof(*session));

    if (session != NULL) {
        session->sink = sink;
        session->envelope = evbuffer_new();
        session->stream =
            bufferevent_socket_new(sink->base, fd, BEV_OPT_CLOSE_ON_FREE);
    }
    if (session == NULL || session->envelope == NULL ||
        session->stream == NULL) {
        fprintf(stderr, "mail-sink: out of memory\n");
        exit(EX_OSERR);
    }
    LIST_INSERT_HEAD(&sink->sessions, session, link);
    bufferevent_setwatermark(session->stream, EV_READ, 0, INPUT_SIZE_MAX);
    bufferevent_setcb(session->stream, on_read, on_written, on_event, session);
    bufferevent_set_timeouts(session->stream, &timeout, &timeout);
    bufferevent_enable(session->stream, EV_READ | EV_WRITE);
    reply(session, sink->lmtp ? "220 sink LMTP" : "220 sink ESMTP");
}

void session_end_all(struct sink *sink)
{
    while (!LIST_EMPTY(&sink->sessions))
        session_free(LIST_FIRST(&sink->sessions));
}
