/* SPDX-License-Identifier: MIT */
/*
 * pass_end.c - after the last agent: reports, then the next attempt or the end
 *
 * The steps are stock Postfix's, in its order: bounces, trace, expiry or delay
 * warning, removal or deferral.  Each report is asynchronous.  A crash between
 * two steps repeats the pass without recipients: bounce(8) removes a log only
 * after its report is safe, so a step that was finished finds no log again.
 */
#include "qmgr/pass.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/address.h"
#include "qmgr/bounce.h"
#include "qmgr/retry.h"


static void end_step(struct pass *pass);

/* Size of a log below Q, 0 when there is none. */
static off_t end_log_size(const struct pass *pass, const char *service)
{
    char path[SETTINGS_PATH_SIZE];
    struct stat status;

    settings_path(&pass->qmgr->settings, service, pass->message->queue_id,
                  path);
    if (stat(path, &status) != 0)
        return 0;
    if (status.st_size == 0)
        (void)unlink(path); /* an empty log says nothing */
    return status.st_size;
}

static void end_send(struct pass *pass, const char *service,
                     enum bounce_kind kind, int32_t flags,
                     void (*done)(void *context, int failed))
{
    struct bounce_order order = {
        .service = service,
        .kind = kind,
        .flags = flags,
        .queue_name = pass->queue_name,
        .queue_id = pass->message->queue_id,
        .encoding = pass_text(pass, "encoding"),
        .sender = pass->envelope.sender,
        .envelope_id = pass_text(pass, "envelope_id"),
        .sendopts = pass->sendopts,
        .ret_flags = pass->ret_flags,
        .verp_delimiters = pass_text(pass, "verp"),
    };

    if (kind == BOUNCE_FLUSH && !pass->qmgr->settings.disable_verp_bounces &&
        strlen(order.verp_delimiters) == 2 && *pass->envelope.sender != '\0')
        order.kind = BOUNCE_VERP;
    bounce_send(pass->qmgr, &order, done, pass);
}

static void end_report_failed(struct pass *pass, const char *what)
{
    pass->deferred = 1;
    log_info("%s: status=deferred (%s failed)", pass->message->queue_id, what);
}

static void end_on_bounced(void *context, int failed)
{
    struct pass *pass = context;

    if (failed)
        end_report_failed(pass, "bounce");
    pass->step = PASS_TRACE;
    end_step(pass);
}

/* 1 when a report is under way. */
static int end_bounce(struct pass *pass)
{
    const char *service = pass->qmgr->settings.bounce_service;

    if (end_log_size(pass, service) == 0)
        return 0;
    end_send(pass, service, BOUNCE_FLUSH, 0, end_on_bounced);
    return 1;
}

static void end_on_traced(void *context, int failed)
{
    struct pass *pass = context;

    if (failed)
        end_report_failed(pass, "trace");
    else if (pass->trace_flags == PASS_TRACE_RECORD)
        pass->source->traced(pass);
    pass->step = PASS_EXPIRE;
    end_step(pass);
}

static int end_trace(struct pass *pass)
{
    const char *service = pass->qmgr->settings.trace_service;
    int32_t wanted =
        PASS_TRACE_USER_VERIFY | PASS_TRACE_RECORD | PASS_TRACE_DELAY_SENT;

    if ((pass->trace_flags & wanted) == 0 &&
        (pass->dsn_seen & PASS_NOTIFY_SUCCESS) == 0)
        return 0;
    if (end_log_size(pass, service) == 0)
        return 0;
    end_send(pass, service, BOUNCE_TRACE, pass->trace_flags, end_on_traced);
    return 1;
}

static void end_on_expired(void *context, int failed)
{
    struct pass *pass = context;
    uint32_t i;

    if (failed) {
        end_report_failed(pass, "bounce");
    } else {
        pass->deferred = 0;
        for (i = 0; i < pass->work_count; i++)
            pass->works[i].state = WORK_DONE;
        pass->source->progress(pass, NULL);
        if (!pass->others_left)
            pass->source->flushing(pass);
    }
    pass->step = PASS_CLOSE;
    end_step(pass);
}

static void end_on_warned(void *context, int failed)
{
    struct pass *pass = context;

    if (failed)
        end_report_failed(pass, "delay warning");
    else
        pass->source->warned(pass);
    pass->step = PASS_CLOSE;
    end_step(pass);
}

static int end_unfinished(const struct pass *pass)
{
    uint32_t i;

    for (i = 0; i < pass->work_count; i++) {
        if (pass->works[i].state != WORK_DONE)
            return 1;
    }
    return 0;
}

static int end_is_expired(const struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    int64_t lifetime = *pass->envelope.sender != '\0'
                           ? settings->maximal_lifetime_s
                           : settings->bounce_lifetime_s;

    return (pass->message->flags & MESSAGE_EXPIRE) != 0 ||
           (int64_t)retry_now_s() >= pass->create_time_s + lifetime;
}

static void end_log_expired(const struct pass *pass)
{
    const char *force = pass->message->flags & MESSAGE_EXPIRE ? "force-" : "";
    char sender[1024];

    if (pass->qmgr->settings.external_addresses)
        address_quote(pass->envelope.sender, sender, sizeof(sender));
    else
        (void)snprintf(sender, sizeof(sender), "%s", pass->envelope.sender);
    log_info("%s: from=<%s>, status=%sexpired, returned to sender",
             pass->message->queue_id, sender, force);
}

static int end_expire(struct pass *pass)
{
    const char *service = pass->qmgr->settings.defer_service;

    if (!pass->deferred || !end_unfinished(pass))
        return 0;
    if (end_is_expired(pass)) {
        end_log_expired(pass);
        end_send(pass, service, BOUNCE_FLUSH, BOUNCE_FLAG_DELRCPT,
                 end_on_expired);
        return 1;
    }
    if (pass->warn_time_s > 0 &&
        (int64_t)retry_now_s() >= pass->warn_time_s - 1) {
        end_send(pass, service, BOUNCE_WARN, 0, end_on_warned);
        return 1;
    }
    return 0;
}

/* The age again, within limits: intervals about double each time. */
static uint32_t end_next_attempt(const struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    int64_t now = retry_now_s();
    int64_t wait = now - pass->create_time_s;

    if (wait > settings->maximal_backoff_s)
        wait = settings->maximal_backoff_s;
    if (wait < settings->minimal_backoff_s)
        wait = settings->minimal_backoff_s;
    wait += random() % (wait / RETRY_JITTER_DIVISOR + 1);
    return (uint32_t)(now + wait);
}

static void end_close(struct pass *pass)
{
    struct qmgr *qmgr = pass->qmgr;
    struct message *message = pass->message;
    int done = !pass->deferred && !pass->others_left;

    if (pass->trace_flags & PASS_TRACE_VERIFY)
        qmgr->probe_count--;
    message->flags &= (uint8_t) ~(MESSAGE_FLUSH | MESSAGE_NOW);
    message->pass = NULL;
    pass->source->close(pass, done, end_next_attempt(pass));
    if (done)
        log_info("%s: removed", message->queue_id);
    pass_free(pass);
    if (done)
        message_remove(&qmgr->messages, message);
}

/* An agent that cannot read its file makes it unwritable and goes on. */
static int end_is_corrupt(const struct pass *pass)
{
    char path[SETTINGS_PATH_SIZE];
    struct stat status;

    pass_path(pass, path);
    return stat(path, &status) == 0 && (status.st_mode & 0700) != 0700;
}

static void end_step(struct pass *pass)
{
    switch (pass->step) {
    case PASS_DELIVER:
    case PASS_BOUNCE:
        pass->step = PASS_BOUNCE;
        if (end_bounce(pass))
            return;
        __attribute__((fallthrough));
    case PASS_TRACE:
        pass->step = PASS_TRACE;
        if (pass->deferred && end_is_corrupt(pass)) {
            pass->source->corrupt(pass);
            pass->message->pass = NULL;
            pass_free(pass);
            return;
        }
        if (end_trace(pass))
            return;
        __attribute__((fallthrough));
    case PASS_EXPIRE:
        pass->step = PASS_EXPIRE;
        if (end_expire(pass))
            return;
        __attribute__((fallthrough));
    case PASS_CLOSE:
        pass->step = PASS_CLOSE;
        end_close(pass);
    }
}

void pass_end(struct pass *pass)
{
    uint32_t i;

    if (pass->redirected && pass->works[0].state == WORK_DONE) {
        for (i = 1; i < pass->work_count; i++)
            pass->works[i].state = WORK_DONE;
        pass->source->progress(pass, NULL);
    }
    if (end_unfinished(pass))
        pass->deferred = 1;
    else if (!pass->others_left)
        pass->source->flushing(pass);
    pass->step = PASS_BOUNCE;
    end_step(pass);
}
