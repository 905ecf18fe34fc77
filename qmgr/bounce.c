/* SPDX-License-Identifier: MIT */
#include "qmgr/bounce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/attribute.h"
#include "program/log.h"
#include "qmgr/context.h"
#include "qmgr/memory.h"
#include "qmgr/wire.h"

#define BOUNCE_TIMEOUT_S     1000 /* stock Postfix's limit, too */
#define BOUNCE_BUSY_AGAIN_US 100000
#define BOUNCE_BUSY_MAX      3000 /* times, so 300 s */

struct bounce_client {
    struct qmgr *qmgr;
    char path[SETTINGS_PATH_SIZE];
    struct attribute_writer request;
    struct wire *wire;
    struct event *again;
    unsigned busy_count;
    int announced;
    void (*done)(void *context, int failed);
    void *context;
};

static void bounce_finish(struct bounce_client *client, int failed)
{
    void (*done)(void *, int) = client->done;
    void *context = client->context;

    wire_close(client->wire);
    event_free(client->again);
    free(client->request.bytes);
    free(client);
    done(context, failed);
}

static void bounce_on_failed(void *context, int error)
{
    struct bounce_client *client = context;

    log_warning("%s socket: %s", client->path,
                error == 0 ? "premature disconnect" : strerror(error));
    bounce_finish(client, 1);
}

static void bounce_on_list(void *context, const char *list, size_t size)
{
    struct bounce_client *client = context;
    int32_t status = -1;

    if (!client->announced) {
        client->announced = 1;
        wire_send(client->wire, client->request.bytes, client->request.size);
        return;
    }
    if (attribute_list_get_int(list, size, "status", 0, &status) != 0)
        status = -1;
    bounce_finish(client, status != 0);
}

static void bounce_connect(int fd, short events, void *context)
{
    struct bounce_client *client = context;
    const struct wire_handler handler = {bounce_on_list, bounce_on_failed,
                                         client};
    struct timeval wait = {0, BOUNCE_BUSY_AGAIN_US};
    int result =
        wire_open(client->qmgr->base, client->path, &handler, &client->wire);

    (void)fd;
    (void)events;
    if (result == EAGAIN && client->busy_count++ < BOUNCE_BUSY_MAX) {
        (void)event_add(client->again, &wait);
        return;
    }
    if (result != 0) {
        log_warning("connect to service %s: %s", client->path,
                    strerror(result));
        bounce_finish(client, 1);
        return;
    }
    wire_set_timeout(client->wire, BOUNCE_TIMEOUT_S);
    client->announced = client->qmgr->settings.version < 306;
    if (client->announced)
        wire_send(client->wire, client->request.bytes, client->request.size);
}

static void bounce_write_append(struct attribute_writer *writer,
                                const struct bounce_order *order)
{
    attribute_write_text(writer, "queue_id", order->queue_id);
    attribute_write_text(writer, "original_recipient", order->original);
    attribute_write_text(writer, "recipient", order->recipient);
    attribute_write_long(writer, "offset", (int64_t)order->offset);
    attribute_write_text(writer, "dsn_orig_rcpt", order->dsn_original);
    attribute_write_int(writer, "notify_flags", order->notify);
    attribute_write_text(writer, "status", order->status);
    attribute_write_text(writer, "diag_type", "");
    attribute_write_text(writer, "diag_text", "");
    attribute_write_text(writer, "mta_type", "");
    attribute_write_text(writer, "mta_mname", "");
    attribute_write_text(writer, "action", "delayed");
    attribute_write_text(writer, "reason", order->reason);
}

static void bounce_write_report(struct attribute_writer *writer,
                                const struct bounce_order *order,
                                unsigned version)
{
    attribute_write_text(writer, "queue_name", order->queue_name);
    attribute_write_text(writer, "queue_id", order->queue_id);
    attribute_write_text(writer, "encoding", order->encoding);
    attribute_write_int(writer, version >= 310 ? "sendopts" : "smtputf8",
                        order->sendopts);
    attribute_write_text(writer, "sender", order->sender);
    attribute_write_text(writer, "envelope_id", order->envelope_id);
    attribute_write_int(writer, "ret_flags", order->ret_flags);
    if (order->kind == BOUNCE_VERP)
        attribute_write_text(writer, "verp_delimiters", order->verp_delimiters);
}

void bounce_send(struct qmgr *qmgr, const struct bounce_order *order,
                 void (*done)(void *context, int failed), void *context)
{
    struct bounce_client *client = memory_new(sizeof(*client));
    struct attribute_writer *writer = &client->request;

    client->qmgr = qmgr;
    client->done = done;
    client->context = context;
    (void)snprintf(client->path, sizeof(client->path), "private/%s",
                   order->service);
    attribute_write_int(writer, "nrequest", (int32_t)order->kind);
    attribute_write_int(writer, "flags", order->flags);
    if (order->kind == BOUNCE_APPEND)
        bounce_write_append(writer, order);
    else
        bounce_write_report(writer, order, qmgr->settings.version);
    attribute_write_end(writer);
    client->again = evtimer_new(qmgr->base, bounce_connect, client);
    /* From the event loop, so that done is never called before we return. */
    event_active(client->again, EV_TIMEOUT, 0);
}
