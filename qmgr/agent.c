/* SPDX-License-Identifier: MIT */
/*
 * agent.c - one delivery request over one connection to a delivery agent
 *
 * hello, request, reply, close: the agent is not free again before our close.
 */
#include "qmgr/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/attribute.h"
#include "program/log.h"
#include "qmgr/memory.h"
#include "qmgr/pass.h"
#include "qmgr/wire.h"

#define AGENT_UNAVAILABLE "4.3.0 mail transport unavailable"
#define AGENT_CRASHED     "unknown mail transport error"

struct agent {
    struct transport *transport;
    struct wire *wire;
    struct request *request; /* NULL until the hello */
};

/* The agent is free again as soon as the connection is closed. */
static void agent_finish(struct agent *agent,
                         const struct request_result *result)
{
    struct request *request = agent->request;
    struct transport *transport = agent->transport;
    struct destination *destination = request->destination;

    wire_close(agent->wire);
    free(agent);
    transport->scheduler->running--;
    request->running = 0;
    if (transport->scheduler->qmgr->settings.version < 305 &&
        result->finished < 0)
        transport_die(transport, AGENT_UNAVAILABLE);
    else
        transport_revive(transport);
    destination_done(destination, result);
    pass_request_done(request->pass, request, result);
}

static void agent_fail_hello(struct agent *agent)
{
    struct transport *transport = agent->transport;

    transport->pending--;
    wire_close(agent->wire);
    free(agent);
    transport_die(transport, AGENT_UNAVAILABLE);
    scheduler_wake(transport->scheduler);
}

static void agent_on_failed(void *context, int error)
{
    struct agent *agent = context;
    struct request_result result = {-1, "4.3.0", AGENT_CRASHED};

    log_warning("private/%s socket: %s", agent->transport->name,
                error == 0        ? "premature disconnect"
                : error == EPROTO ? "malformed response"
                                  : strerror(error));
    if (agent->request == NULL)
        agent_fail_hello(agent);
    else
        agent_finish(agent, &result);
}

static int agent_hello_is_good(const struct agent *agent, const char *list,
                               size_t size)
{
    const char *protocol = attribute_list_get(list, size, "protocol", 0);
    const char *status = attribute_list_get(list, size, "status", 0);

    (void)agent;
    return (protocol != NULL &&
            strcmp(protocol, "delivery_request_protocol") == 0) ||
           (status != NULL && strcmp(status, "0") == 0);
}

static void agent_on_hello(struct agent *agent, const char *list, size_t size)
{
    struct transport *transport = agent->transport;
    struct scheduler *scheduler = transport->scheduler;
    struct attribute_writer writer = {0};

    if (!agent_hello_is_good(agent, list, size)) {
        log_warning("private/%s socket: malformed response", transport->name);
        agent_fail_hello(agent);
        return;
    }
    transport->pending--;
    if (!scheduler->qmgr->stopping)
        agent->request = transport_select(transport);
    scheduler_wake(scheduler);
    if (agent->request == NULL) {
        wire_close(agent->wire);
        free(agent);
        return;
    }
    scheduler->running++;
    agent->request->running = 1;
    pass_request_write(
        agent->request->pass, agent->request,
        destination_connection_flags(agent->request->destination), &writer);
    wire_set_timeout(agent->wire, scheduler->qmgr->settings.daemon_timeout_s);
    wire_send(agent->wire, writer.bytes, writer.size);
    free(writer.bytes);
}

/* True for texts like 4.3.0. */
static int agent_status_is_dsn(const char *status)
{
    return (status[0] == '2' || status[0] == '4' || status[0] == '5') &&
           status[1] == '.' &&
           status[2 + strspn(status + 2, "0123456789")] == '.' &&
           status[2] != '.';
}

static int agent_read_reply(const char *list, size_t size,
                            struct request_result *result)
{
    int32_t status = 0;

    result->status = attribute_list_get(list, size, "status", 0);
    result->reason = attribute_list_get(list, size, "reason", 0);
    if (result->status == NULL || result->reason == NULL ||
        attribute_list_get_int(list, size, "status", 1, &status) != 0)
        return EPROTO;
    result->finished = status == 0;
    if (status == 0 || *result->status == '\0') {
        /* No word about the destination, whatever the recipients got. */
        result->status = result->reason = "";
    } else {
        if (!agent_status_is_dsn(result->status))
            result->status = "4.0.0";
        if (*result->reason == '\0')
            result->reason = "unknown error";
    }
    return 0;
}

static void agent_on_list(void *context, const char *list, size_t size)
{
    struct agent *agent = context;
    struct request_result result;

    if (agent->request == NULL)
        agent_on_hello(agent, list, size);
    else if (agent_read_reply(list, size, &result) != 0)
        agent_on_failed(agent, EPROTO);
    else
        agent_finish(agent, &result);
}

int agent_start(struct transport *transport)
{
    struct agent *agent = memory_new(sizeof(*agent));
    struct qmgr *qmgr = transport->scheduler->qmgr;
    const struct wire_handler handler = {agent_on_list, agent_on_failed, agent};
    char path[SETTINGS_PATH_SIZE];
    int result;

    (void)snprintf(path, sizeof(path), "private/%s", transport->name);
    agent->transport = transport;
    result = wire_open(qmgr->base, path, &handler, &agent->wire);
    if (result != 0) {
        free(agent);
        if (result != EAGAIN) {
            log_warning("connect to transport %s: %s", path, strerror(result));
            transport_die(transport, AGENT_UNAVAILABLE);
        }
        return result;
    }
    wire_set_timeout(agent->wire, qmgr->settings.daemon_timeout_s);
    transport->pending++;
    return 0;
}
