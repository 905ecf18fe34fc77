/* SPDX-License-Identifier: MIT */
/*
 * mail_send.c - send the mails of a source by SMTP over several sessions
 *
 * A session does one thing at a time: it sends a command and waits for the
 * answer.  It keeps its mail until the last word about it, so a retry is the
 * same session trying again after a while.
 */
#include "tests/mail_send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "tests/mail_log.h"
#include "tests/mail_text.h"

#define SESSION_TIMEOUT_S 300
#define RETRY_DELAY_MS    250
#define RETRIES_MAX       240 /* one minute */

enum step {
    STEP_CONNECT, /* waits for the greeting */
    STEP_EHLO,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_TEXT,
    STEP_RESET,
    STEP_QUIT
};

struct sender {
    const struct mail_send_options *options;
    struct mail_send_result *result;
    struct event_base *base;
    size_t next; /* number of the mail to take next */
    size_t done;
    int error; /* errno: stop */
};

struct session {
    struct sender *sender;
    struct bufferevent *stream; /* NULL: not connected */
    struct event *timer;
    enum step step;
    int eight_bit; /* the server offers 8BITMIME */
    char *text;    /* the mail in work; NULL: none */
    size_t size;
    struct mail_log_entry mail;
    unsigned retries;
    size_t sent; /* mails over this connection */
};

static void sender_stop(struct sender *sender, int error)
{
    if (sender->error == 0)
        sender->error = error;
    event_base_loopbreak(sender->base);
}

static void session_say(struct session *session, enum step step,
                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void session_say(struct session *session, enum step step,
                        const char *format, ...)
{
    va_list arguments;

    session->step = step;
    va_start(arguments, format);
    if (evbuffer_add_vprintf(bufferevent_get_output(session->stream), format,
                             arguments) < 0)
        sender_stop(session->sender, ENOMEM);
    va_end(arguments);
}

/* Take the next mail; false when there is none. */
static int session_take(struct session *session)
{
    struct sender *sender = session->sender;
    const struct mail_source *source = sender->options->source;
    int error;

    if (session->text != NULL)
        return 1;
    if (sender->error != 0 || sender->next == source->count)
        return 0;
    session->mail.number = sender->next++;
    session->mail.code = 0;
    session->retries = 0;
    mail_source_recipient(source, session->mail.number,
                          session->mail.recipient);
    error = mail_source_read(source, session->mail.number, &session->text,
                             &session->size);
    if (error != 0) {
        session->text = NULL;
        sender_stop(sender, error);
        return 0;
    }
    session->mail.digest = XXH3_128bits(session->text, session->size);
    return 1;
}

/* The last word about the session's mail. */
static void session_done(struct session *session)
{
    struct sender *sender = session->sender;
    const struct mail_send_options *options = sender->options;
    int error = 0;

    if (session->mail.code == 250)
        sender->result->accepted++;
    else if (session->mail.code == 0)
        sender->result->unknown++;
    else
        sender->result->refused++;
    if (options->log != NULL)
        error = mail_log_write(options->log, &session->mail);
    free(session->text);
    session->text = NULL;
    sender->done++;
    if (options->progress != NULL)
        options->progress(sender->done, options->source->count);
    if (error != 0)
        sender_stop(sender, error);
}

static void session_wait(struct session *session)
{
    const struct timeval delay = {0, RETRY_DELAY_MS * 1000};

    if (event_add(session->timer, &delay) != 0)
        sender_stop(session->sender, ENOMEM);
}

static int session_is_full(const struct session *session)
{
    size_t limit = session->sender->options->per_connection;

    return limit > 0 && session->sent >= limit;
}

static void session_mail(struct session *session)
{
    if (session_is_full(session) || !session_take(session)) {
        session_say(session, STEP_QUIT, "QUIT\r\n");
        return;
    }
    session->sent++;
    session_say(session, STEP_MAIL, "MAIL FROM:<%s>%s\r\n",
                session->sender->options->sender,
                session->eight_bit ? " BODY=8BITMIME" : "");
}

/* Is it worth another try?  The caller then waits. */
static int session_again(struct session *session)
{
    if (session->retries >= RETRIES_MAX)
        return 0;
    session->retries++;
    return 1;
}

/* The mail was refused: at any step, with any code. */
static void session_refused(struct session *session, int code, const char *line)
{
    struct mail_send_result *result = session->sender->result;

    if (session->sender->options->retry && code < 500 &&
        session_again(session)) {
        session->step = STEP_RESET; /* said after the delay */
        session_wait(session);
        return;
    }
    result->last_code = code;
    (void)snprintf(result->last_text, sizeof(result->last_text), "%s", line);
    session->mail.code = code;
    session_done(session);
    session_say(session, STEP_RESET, "RSET\r\n");
}

static void session_text(struct session *session)
{
    session->step = STEP_TEXT;
    if (mail_text_write(bufferevent_get_output(session->stream), session->text,
                        session->size) != 0)
        sender_stop(session->sender, ENOMEM);
}

static void session_connect(struct session *session);

/* The connection is over, by us or by the server. */
static void session_lost(struct session *session)
{
    int started = session->step != STEP_CONNECT && session->step != STEP_EHLO;

    bufferevent_free(session->stream);
    session->stream = NULL;
    if (session->step == STEP_QUIT) {
        if (session_take(session))
            session_connect(session);
        return;
    }
    if (session->text != NULL &&
        ((started && !session->sender->options->retry) ||
         !session_again(session)))
        session_done(session);
    session->step = STEP_CONNECT;
    session_wait(session);
}

/* The answer to a step is the code of its last line. */
static void session_answer(struct session *session, int code, const char *line)
{
    static const int good[] = {220, 250, 250, 250, 354, 250, 250, 221};

    if (session->step == STEP_QUIT) {
        session_lost(session);
    } else if (code != good[session->step]) {
        if (session->step >= STEP_MAIL && session->step <= STEP_TEXT)
            session_refused(session, code, line);
        else
            session_lost(session);
    } else if (session->step == STEP_CONNECT) {
        session_say(session, STEP_EHLO, "EHLO load.test\r\n");
    } else if (session->step == STEP_MAIL) {
        session_say(session, STEP_RCPT, "RCPT TO:<%s>\r\n",
                    session->mail.recipient);
    } else if (session->step == STEP_RCPT) {
        session_say(session, STEP_DATA, "DATA\r\n");
    } else if (session->step == STEP_DATA) {
        session_text(session);
    } else {
        if (session->step == STEP_TEXT) {
            session->mail.code = code;
            session_done(session);
        }
        session_mail(session);
    }
}

static void on_read(struct bufferevent *stream, void *context)
{
    struct session *session = context;
    char *line;

    while (session->stream == stream &&
           (line = evbuffer_readln(bufferevent_get_input(stream), NULL,
                                   EVBUFFER_EOL_CRLF)) != NULL) {
        if (strstr(line, "8BITMIME") != NULL)
            session->eight_bit = 1;
        if (strlen(line) < 4 || line[3] != '-')
            session_answer(session, atoi(line), line);
        free(line);
    }
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        session_lost(context);
}

static void session_connect(struct session *session)
{
    const struct mail_send_options *options = session->sender->options;
    const struct timeval timeout = {SESSION_TIMEOUT_S, 0};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(options->port)};

    if (inet_pton(AF_INET, options->host, &address.sin_addr) != 1) {
        sender_stop(session->sender, EINVAL);
        return;
    }
    session->step = STEP_CONNECT;
    session->eight_bit = 0;
    session->sent = 0;
    session->stream = bufferevent_socket_new(session->sender->base, -1,
                                             BEV_OPT_CLOSE_ON_FREE);
    if (session->stream == NULL) {
        sender_stop(session->sender, ENOMEM);
        return;
    }
    bufferevent_setcb(session->stream, on_read, NULL, on_event, session);
    bufferevent_set_timeouts(session->stream, &timeout, &timeout);
    bufferevent_enable(session->stream, EV_READ | EV_WRITE);
    /* A failure at once comes as an event, too. */
    (void)bufferevent_socket_connect(
        session->stream, (struct sockaddr *)&address, sizeof(address));
}

/* The delay is over: connect, or start the mail again. */
static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct session *session = context;

    (void)fd, (void)what;
    if (session->stream != NULL)
        session_say(session, STEP_RESET, "RSET\r\n");
    else if (session_take(session))
        session_connect(session);
}

static int session_start(struct session *session, struct sender *sender)
{
    session->sender = sender;
    session->timer = evtimer_new(sender->base, on_timer, session);
    if (session->timer == NULL)
        return ENOMEM;
    if (session_take(session))
        session_connect(session);
    return sender->error;
}

static void session_clear(struct session *session)
{
    if (session->timer != NULL)
        event_free(session->timer);
    if (session->stream != NULL)
        bufferevent_free(session->stream);
    free(session->text);
}

int mail_send(const struct mail_send_options *options,
              struct mail_send_result *result)
{
    struct sender sender = {.options = options, .result = result};
    struct session *sessions = calloc(options->sessions, sizeof(*sessions));
    int error = 0;

    memset(result, 0, sizeof(*result));
    sender.base = event_base_new();
    if (sessions == NULL || sender.base == NULL) {
        error = ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < options->sessions && error == 0; i++)
        error = session_start(&sessions[i], &sender);
    if (error == 0 && event_base_dispatch(sender.base) < 0)
        error = EIO;
    if (error == 0)
        error = sender.error;
    for (size_t i = 0; i < options->sessions; i++)
        session_clear(&sessions[i]);
out:
    if (sender.base != NULL)
        event_base_free(sender.base);
    free(sessions);
    return error;
}
