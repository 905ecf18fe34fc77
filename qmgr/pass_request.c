/* SPDX-License-Identifier: MIT */
/*
 * pass_request.c - what an agent is told, and what it did
 */
#include "qmgr/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/address.h"
#include "qmgr/bounce.h"
#include "qmgr/delay.h"
#include "qmgr/memory.h"

#define REQUEST_MARK_DONE      1 /* write D over R */
#define REQUEST_BOUNCE         2 /* as stock: always set */
#define REQUEST_UTF8_SENDER    4
#define REQUEST_UTF8_RECIPIENT 8
#define REQUEST_TIME_SIZE      88 /* struct msg_stats, LP64 */

/* The struct that agents print delays from; they fill in the rest. */
static void request_write_time(const struct pass *pass,
                               struct attribute_writer *writer)
{
    uint8_t image[REQUEST_TIME_SIZE] = {0};
    int64_t fields[4] = {pass->arrival_s, pass->arrival_us,
                         pass->active_since.tv_sec, pass->active_since.tv_usec};

    memcpy(image, fields, sizeof(fields));
    attribute_write_data(writer, "time", image, sizeof(image));
}

/* SMTPUTF8 is needed for addresses of this very request. */
static int32_t request_sendopts(const struct pass *pass,
                                const struct request *request, int verp)
{
    int32_t options = pass->sendopts;
    uint32_t i;

    if (!pass->qmgr->settings.smtputf8)
        return options;
    for (i = 0; i < request->work_count; i++) {
        if (address_is_utf8(pass_address(pass, &pass->works[request->work[i]])))
            options |=
                REQUEST_UTF8_RECIPIENT | (verp ? REQUEST_UTF8_SENDER : 0);
    }
    return options;
}

static void request_write_client(const struct pass *pass,
                                 struct attribute_writer *writer)
{
    static const char *const names[] = {
        "log_client_name",   "log_client_address", "log_client_port",
        "log_protocol_name", "log_helo_name",      "sasl_method",
        "sasl_username",     "sasl_sender",        "log_ident"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        attribute_write_text(writer, names[i], pass_text(pass, names[i]));
    attribute_write_text(writer, "rewrite_context",
                         syncq_envelope_attribute_text(
                             &pass->envelope, "rewrite_context", "local"));
}

static char *request_sender(const struct pass *pass,
                            const struct request *request)
{
    const struct work *work = &pass->works[request->work[0]];
    const char *delimiters = pass_text(pass, "verp");
    const char *original = pass_recipient(pass, work)->original;

    if (strlen(delimiters) != 2 || *pass->envelope.sender == '\0')
        return memory_text(pass->envelope.sender);
    if (*original == '\0')
        original = pass_address(pass, work);
    return address_verp(pass->envelope.sender, original, delimiters);
}

static void request_write_recipients(const struct pass *pass,
                                     const struct request *request,
                                     struct attribute_writer *writer)
{
    uint32_t i;

    for (i = 0; i < request->work_count; i++) {
        const struct work *work = &pass->works[request->work[i]];
        const struct syncq_recipient *recipient = pass_recipient(pass, work);

        attribute_write_text(writer, "original_recipient", recipient->original);
        attribute_write_text(writer, "recipient", pass_address(pass, work));
        attribute_write_long(writer, "offset", (int64_t)work->offset);
        attribute_write_text(writer, "dsn_orig_rcpt", recipient->dsn_original);
        attribute_write_int(writer, "notify_flags", (int32_t)recipient->notify);
        attribute_write_end(writer);
    }
}

void pass_request_write(struct pass *pass, const struct request *request,
                        unsigned connection_flags,
                        struct attribute_writer *writer)
{
    char *sender = request_sender(pass, request);
    int verp = strcmp(sender, pass->envelope.sender) != 0;

    pass->agents_started = 1;
    attribute_write_int(writer, "flags",
                        REQUEST_MARK_DONE | REQUEST_BOUNCE | pass->trace_flags |
                            (int32_t)connection_flags);
    attribute_write_text(writer, "queue_name", pass->queue_name);
    attribute_write_text(writer, "queue_id", pass->message->queue_id);
    attribute_write_long(writer, "offset", (int64_t)pass->data_offset);
    attribute_write_long(writer, "size", (int64_t)pass->size);
    attribute_write_text(writer, "nexthop", request->nexthop);
    attribute_write_text(writer, "encoding", pass_text(pass, "encoding"));
    attribute_write_int(
        writer, pass->qmgr->settings.version >= 310 ? "sendopts" : "smtputf8",
        request_sendopts(pass, request, verp));
    attribute_write_text(writer, "sender", sender);
    attribute_write_text(writer, "envelope_id", pass_text(pass, "envelope_id"));
    attribute_write_int(writer, "ret_flags", pass->ret_flags);
    request_write_time(pass, writer);
    request_write_client(pass, writer);
    attribute_write_int(writer, "recipient_count",
                        (int32_t)request->work_count);
    attribute_write_end(writer);
    request_write_recipients(pass, request, writer);
    free(sender);
}

/* 1 when an agent has marked this recipient since we last looked. */
static int request_look(struct work *work, int fd)
{
    char mark = 0;

    if (work->state == WORK_DONE || work->offset == 0 ||
        pread(fd, &mark, 1, (off_t)work->offset) != 1 || mark != 'D')
        return 0;
    work->state = WORK_DONE;
    return 1;
}

int pass_read_back(struct pass *pass, const struct request *request)
{
    uint32_t count = request != NULL ? request->work_count : pass->work_count;
    char path[SETTINGS_PATH_SIZE];
    int changed = 0;
    uint32_t i;
    int fd;

    pass_path(pass, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT)
            log_warning("open %s: %s", path, strerror(errno));
        return 0;
    }
    for (i = 0; i < count; i++)
        changed |= request_look(
            &pass->works[request != NULL ? request->work[i] : i], fd);
    (void)close(fd);
    return changed;
}

static void request_end(struct pass *pass, struct request *request)
{
    request_free(request);
    pass->requests--;
    pass_check(pass);
}

void pass_request_done(struct pass *pass, struct request *request,
                       const struct request_result *result)
{
    uint32_t i;

    if (result->finished != 1) {
        /* Which recipients are done is only in the agents' file. */
        (void)pass_read_back(pass, request);
        pass->deferred = 1;
        if (*result->status != '\0')
            (void)snprintf(pass->status, sizeof(pass->status), "%s",
                           result->status);
    }
    for (i = 0; i < request->work_count; i++) {
        struct work *work = &pass->works[request->work[i]];

        if (result->finished == 1)
            work->state = WORK_DONE;
        else if (work->state != WORK_DONE)
            work->state = WORK_LEFT;
    }
    pass->source->progress(pass, request);
    request_end(pass, request);
}

/* Recipients that wait for their lines in the defer log. */
struct undeliverable {
    struct pass *pass;
    struct request *request;
    uint32_t waiting;
};

static void request_on_appended(void *context, int failed)
{
    struct undeliverable *wait = context;

    if (failed)
        log_warning("%s: %s service failure", wait->pass->message->queue_id,
                    wait->pass->qmgr->settings.defer_service);
    if (--wait->waiting > 0)
        return;
    request_end(wait->pass, wait->request);
    free(wait);
}

static void request_append(struct undeliverable *wait, struct work *work,
                           const char *status, const char *reason)
{
    struct pass *pass = wait->pass;
    const struct settings *settings = &pass->qmgr->settings;
    const struct syncq_recipient *recipient = pass_recipient(pass, work);
    char quoted[1024], delays[DELAY_TEXT_SIZE];
    struct bounce_order order = {
        .service = settings->defer_service,
        .kind = BOUNCE_APPEND,
        .queue_id = pass->message->queue_id,
        .original = recipient->original,
        .recipient = pass_address(pass, work),
        .dsn_original = recipient->dsn_original,
        .offset = work->offset,
        .notify = (int32_t)recipient->notify,
        .status = status,
        .reason = reason,
    };

    address_quote(pass_address(pass, work), quoted, sizeof(quoted));
    delay_format(pass, settings->delay_digits, delays);
    log_info("%s: to=<%s>, relay=none, %s, dsn=%s, status=deferred (%s)",
             pass->message->queue_id, quoted, delays, status, reason);
    work->state = WORK_LEFT;
    wait->waiting++;
    bounce_send(pass->qmgr, &order, request_on_appended, wait);
}

void pass_request_undeliverable(struct pass *pass, struct request *request,
                                const char *nexthop)
{
    struct undeliverable *wait = memory_new(sizeof(*wait));
    const char *reason = strchr(nexthop, ' ');
    char status[16];
    uint32_t i;

    (void)snprintf(status, sizeof(status), "%.*s", (int)strcspn(nexthop, " "),
                   nexthop);
    reason = reason != NULL ? reason + 1 : "unknown error";
    pass->deferred = 1;
    wait->pass = pass;
    wait->request = request;
    for (i = 0; i < request->work_count; i++)
        request_append(wait, &pass->works[request->work[i]], status, reason);
}
