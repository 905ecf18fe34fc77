/* SPDX-License-Identifier: MIT */
#include "qmgr/pass.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/address.h"
#include "qmgr/memory.h"
#include "qmgr/retry.h"

#define PASS_LOG_ADDRESS_SIZE 1024

/* The list is one for the process, as there is one event loop. */
static struct pass *pass_first;

static void pass_enter(struct pass *pass)
{
    pass->next = pass_first;
    if (pass_first != NULL)
        pass_first->previous = pass;
    pass_first = pass;
    pass->qmgr->active_count++;
}

static void pass_leave(struct pass *pass)
{
    if (pass->next != NULL)
        pass->next->previous = pass->previous;
    if (pass->previous != NULL)
        pass->previous->next = pass->next;
    else
        pass_first = pass->next;
    pass->qmgr->active_count--;
}

void pass_visit(void (*visit)(struct pass *pass, void *context), void *context)
{
    struct pass *pass = pass_first;

    while (pass != NULL) {
        struct pass *next = pass->next;

        visit(pass, context);
        pass = next;
    }
}

void pass_free(struct pass *pass)
{
    uint32_t i;

    pass->source->clear(pass);
    for (i = 0; i < pass->work_count; i++) {
        free(pass->works[i].address);
        free(pass->works[i].transport);
        free(pass->works[i].nexthop);
    }
    pass_leave(pass);
    free(pass->works);
    retry_wake(pass->qmgr->retry);
    free(pass);
}

const struct syncq_recipient *pass_recipient(const struct pass *pass,
                                             const struct work *work)
{
    return &pass->envelope.recipients[work->recipient];
}

const char *pass_address(const struct pass *pass, const struct work *work)
{
    return work->address != NULL ? work->address
                                 : pass_recipient(pass, work)->address;
}

const char *pass_text(const struct pass *pass, const char *name)
{
    return syncq_envelope_attribute_text(&pass->envelope, name, "");
}

int64_t pass_number(const struct pass *pass, const char *name, int64_t fallback)
{
    const char *text = pass_text(pass, name);
    char *end = NULL;
    long long value;

    if (*text == '\0')
        return fallback;
    errno = 0;
    value = strtoll(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' ? fallback : value;
}

void pass_path(const struct pass *pass, char path[SETTINGS_PATH_SIZE])
{
    settings_path(&pass->qmgr->settings, pass->queue_name,
                  pass->message->queue_id, path);
}

/* Everything that the envelope says about the message as a whole. */
static void pass_read_envelope(struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    const char *arrival = pass_text(pass, "arrival");

    if (sscanf(arrival, "%" SCNd64 " %" SCNd64, &pass->arrival_s,
               &pass->arrival_us) < 1)
        pass->arrival_s = pass->active_since.tv_sec;
    pass->create_time_s = pass_number(pass, "create_time", pass->arrival_s);
    pass->size = (uint64_t)pass_number(pass, "size", 0);
    pass->sendopts = (int32_t)pass_number(pass, "sendopts", 0);
    pass->ret_flags = (int32_t)pass_number(pass, "ret_flags", 0);
    pass->dsn_seen = (int32_t)pass_number(pass, "dsn_seen", 0);
    pass->trace_flags = (int32_t)pass_number(pass, "trace_flags", 0) &
                        (PASS_TRACE_VERIFY | PASS_TRACE_USER_VERIFY |
                         PASS_TRACE_RECORD | PASS_TRACE_DELAY_SENT);
    pass->warn_time_s = pass_number(pass, "warn_time", 0);
    /* Captured mail comes from before cleanup(8) writes the time. */
    if (pass->warn_time_s == 0 && settings->delay_warning_s > 0 &&
        *pass->envelope.sender != '\0')
        pass->warn_time_s = pass->arrival_s + settings->delay_warning_s;
}

static void pass_log_active(const struct pass *pass)
{
    char sender[PASS_LOG_ADDRESS_SIZE];

    if (pass->qmgr->settings.external_addresses)
        address_quote(pass->envelope.sender, sender, sizeof(sender));
    else
        (void)snprintf(sender, sizeof(sender), "%s", pass->envelope.sender);
    log_info(
        "%s: from=<%s>, size=%" PRIu64 ", nrcpt=%" PRIu32 " (queue active)",
        pass->message->queue_id, sender, pass->size, pass->recipient_count);
}

/* What the last attempt said would be reported twice. */
static void pass_remove_defer_log(const struct pass *pass)
{
    const struct settings *settings = &pass->qmgr->settings;
    char path[SETTINGS_PATH_SIZE];

    settings_path(settings, settings->defer_service, pass->message->queue_id,
                  path);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warning("remove %s: %s", path, strerror(errno));
}

void pass_start(struct qmgr *qmgr, struct message *message)
{
    struct pass *pass = memory_new(sizeof(*pass));
    int result;

    pass->qmgr = qmgr;
    pass->message = message;
    pass->source =
        message->origin == MESSAGE_FILE ? &file_source : &queue_source;
    (void)gettimeofday(&pass->active_since, NULL);
    message->stage = MESSAGE_ACTIVE;
    message->pass = pass;
    pass_enter(pass);
    result = pass->source->load(pass);
    if (result != 0) {
        message->pass = NULL;
        pass_free(pass);
        if (result == ENOENT)
            message_remove(&qmgr->messages, message);
        return;
    }
    pass_read_envelope(pass);
    if (pass->trace_flags & PASS_TRACE_VERIFY)
        qmgr->probe_count++;
    pass_log_active(pass);
    pass_remove_defer_log(pass);
    pass_route(pass);
}

void pass_check(struct pass *pass)
{
    if (pass->step == PASS_DELIVER && pass->resolving == 0 &&
        pass->requests == 0)
        pass_end(pass);
}
