/* SPDX-License-Identifier: MIT */
#include "qmgr/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/attribute.h"
#include "program/log.h"
#include "qmgr/address.h"
#include "qmgr/context.h"
#include "qmgr/memory.h"
#include "qmgr/resolver_cache.h"
#include "qmgr/wire.h"

#define RESOLVER_CONNECTIONS 4
#define RESOLVER_IDLE_S      5 /* stock closes after ipc_idle, too */
#define RESOLVER_WARN_S      60

struct resolver_question {
    enum resolver_kind kind;
    char *sender, *address;
    void (*done)(void *context, uint32_t number,
                 const struct resolver_answer *answer);
    void *context;
    uint32_t number;
    struct resolver_question *next;
};

struct resolver_connection {
    struct resolver *resolver;
    struct wire *wire;               /* NULL: closed */
    struct resolver_question *asked; /* waits for its answer */
    int announced;                   /* the server's first list came */
    int answered;                    /* it was of use already */
};

struct resolver {
    struct qmgr *qmgr;
    struct resolver_connection connections[RESOLVER_CONNECTIONS];
    struct resolver_question *first, **last;
    struct resolver_cache *cache;
    struct event *again; /* a second after a failure */
    int paused;
    uint32_t warned_s;
};

static void resolver_pump(struct resolver *resolver);

static void resolver_question_free(struct resolver_question *question)
{
    free(question->sender);
    free(question->address);
    free(question);
}

static void resolver_send(struct resolver_connection *connection)
{
    const struct resolver_question *question = connection->asked;
    struct attribute_writer writer = {0};

    if (question->kind == RESOLVER_REWRITE) {
        char *external = address_externalize(question->address);

        attribute_write_text(&writer, "request", "rewrite");
        attribute_write_text(&writer, "rule", "local");
        attribute_write_text(&writer, "address", external);
        free(external);
    } else {
        attribute_write_text(&writer, "request",
                             question->kind == RESOLVER_VERIFY ? "verify"
                                                               : "resolve");
        attribute_write_text(&writer, "sender", question->sender);
        attribute_write_text(&writer, "address", question->address);
    }
    attribute_write_end(&writer);
    wire_set_timeout(connection->wire,
                     connection->resolver->qmgr->settings.ipc_timeout_s);
    wire_send(connection->wire, writer.bytes, writer.size);
    free(writer.bytes);
}

/* Its question is asked again on the next connection. */
static void resolver_drop(struct resolver_connection *connection)
{
    struct resolver *resolver = connection->resolver;
    struct resolver_question *question = connection->asked;

    wire_close(connection->wire);
    connection->wire = NULL;
    connection->announced = connection->answered = 0;
    connection->asked = NULL;
    if (question != NULL) {
        question->next = resolver->first;
        if (resolver->first == NULL)
            resolver->last = &question->next;
        resolver->first = question;
    }
}

static void resolver_pause(struct resolver *resolver)
{
    struct timeval second = {1, 0};

    resolver->paused = 1;
    (void)event_add(resolver->again, &second);
}

static void resolver_on_failed(void *context, int error)
{
    struct resolver_connection *connection = context;
    struct resolver *resolver = connection->resolver;
    int asked = connection->asked != NULL;
    int answered = connection->answered;

    resolver_drop(connection);
    if (!asked && error == ETIMEDOUT)
        return; /* nothing to ask for some seconds */
    /* A server that ended may have seen a change of its tables. */
    resolver_cache_clear(resolver->cache);
    /* Between questions it may retire at any time; that is no trouble. */
    if (asked && (error != 0 || !answered)) {
        log_warning("problem talking to service %s: %s",
                    resolver->qmgr->settings.rewrite_service,
                    error != 0 ? strerror(error) : "premature disconnect");
        resolver_pause(resolver);
    } else {
        resolver_pump(resolver);
    }
}

/* 0 or EPROTO. */
static int resolver_read_answer(const struct resolver_question *question,
                                const char *list, size_t size,
                                struct resolver_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    if (question->kind == RESOLVER_REWRITE) {
        answer->transport = answer->nexthop = "";
        answer->recipient = attribute_list_get(list, size, "address", 0);
        return answer->recipient != NULL ? 0 : EPROTO;
    }
    /* Two attributes have this name: the server's flags, then the answer's. */
    if (attribute_list_get_int(list, size, "flags", 1, &answer->flags) != 0)
        return EPROTO;
    answer->transport = attribute_list_get(list, size, "transport", 0);
    answer->nexthop = attribute_list_get(list, size, "nexthop", 0);
    answer->recipient = attribute_list_get(list, size, "recipient", 0);
    return answer->transport != NULL && answer->nexthop != NULL &&
                   answer->recipient != NULL
               ? 0
               : EPROTO;
}

static void resolver_answer_question(struct resolver_connection *connection,
                                     struct resolver_answer *answer)
{
    struct resolver *resolver = connection->resolver;
    struct resolver_question *question = connection->asked;
    char *plain = NULL;

    connection->asked = NULL;
    connection->answered = 1;
    if (question->kind == RESOLVER_REWRITE)
        answer->recipient = plain = address_internalize(answer->recipient);
    resolver_cache_put(resolver->cache, (unsigned)question->kind,
                       question->sender, question->address, answer);
    wire_set_timeout(connection->wire, RESOLVER_IDLE_S);
    question->done(question->context, question->number, answer);
    resolver_question_free(question);
    free(plain);
}

static void resolver_on_list(void *context, const char *list, size_t size)
{
    struct resolver_connection *connection = context;
    struct resolver *resolver = connection->resolver;
    struct resolver_answer answer;
    int32_t server_flags = 0;

    if (!connection->announced) {
        connection->announced = 1;
        if (connection->asked != NULL)
            resolver_send(connection);
        resolver_pump(resolver);
        return;
    }
    if (connection->asked == NULL ||
        resolver_read_answer(connection->asked, list, size, &answer) != 0) {
        log_warning("malformed reply from service %s",
                    resolver->qmgr->settings.rewrite_service);
        resolver_drop(connection);
        resolver_pause(resolver);
        return;
    }
    if (attribute_list_get_int(list, size, "flags", 0, &server_flags) != 0)
        server_flags = 0;
    resolver_answer_question(connection, &answer);
    if (server_flags != 0)
        resolver_drop(connection);
    resolver_pump(resolver);
}

static int resolver_connect(struct resolver_connection *connection)
{
    struct resolver *resolver = connection->resolver;
    const struct wire_handler handler = {resolver_on_list, resolver_on_failed,
                                         connection};
    uint32_t now = (uint32_t)time(NULL);
    char path[SETTINGS_PATH_SIZE];
    int result;

    (void)snprintf(path, sizeof(path), "private/%s",
                   resolver->qmgr->settings.rewrite_service);
    result = wire_open(resolver->qmgr->base, path, &handler, &connection->wire);
    if (result != 0) {
        if (now - resolver->warned_s >= RESOLVER_WARN_S) {
            log_warning("connect to %s: %s", path, strerror(result));
            resolver->warned_s = now;
        }
        return result;
    }
    connection->announced = resolver->qmgr->settings.version < 306;
    wire_set_timeout(connection->wire, resolver->qmgr->settings.ipc_timeout_s);
    return 0;
}

/* Give waiting questions to idle connections, opening more if needed. */
static void resolver_pump(struct resolver *resolver)
{
    unsigned i;

    for (i = 0; i < RESOLVER_CONNECTIONS && resolver->first != NULL; i++) {
        struct resolver_connection *connection = &resolver->connections[i];

        if (resolver->paused)
            return;
        if (connection->asked != NULL)
            continue;
        if (connection->wire == NULL && resolver_connect(connection) != 0) {
            resolver_pause(resolver);
            return;
        }
        connection->asked = resolver->first;
        resolver->first = resolver->first->next;
        if (resolver->first == NULL)
            resolver->last = &resolver->first;
        if (connection->announced)
            resolver_send(connection);
    }
}

static void resolver_on_again(int fd, short events, void *context)
{
    struct resolver *resolver = context;

    (void)fd;
    (void)events;
    resolver->paused = 0;
    resolver_pump(resolver);
}

struct resolver *resolver_new(struct qmgr *qmgr)
{
    struct resolver *resolver = memory_new(sizeof(*resolver));
    unsigned i;

    resolver->qmgr = qmgr;
    resolver->last = &resolver->first;
    resolver->cache = resolver_cache_new();
    resolver->again = evtimer_new(qmgr->base, resolver_on_again, resolver);
    for (i = 0; i < RESOLVER_CONNECTIONS; i++)
        resolver->connections[i].resolver = resolver;
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    unsigned i;

    if (resolver == NULL)
        return;
    for (i = 0; i < RESOLVER_CONNECTIONS; i++)
        resolver_drop(&resolver->connections[i]);
    while (resolver->first != NULL) {
        struct resolver_question *question = resolver->first;

        resolver->first = question->next;
        resolver_question_free(question);
    }
    resolver_cache_free(resolver->cache);
    event_free(resolver->again);
    free(resolver);
}

void resolver_ask(struct resolver *resolver, enum resolver_kind kind,
                  const char *sender, const char *address,
                  void (*done)(void *context, uint32_t number,
                               const struct resolver_answer *answer),
                  void *context, uint32_t number)
{
    struct resolver_question *question;
    struct resolver_answer answer;

    if (resolver_cache_get(resolver->cache, (unsigned)kind, sender, address,
                           &answer) == 0) {
        done(context, number, &answer);
        return;
    }
    question = memory_new(sizeof(*question));
    question->kind = kind;
    question->sender = memory_text(sender);
    question->address = memory_text(address);
    question->done = done;
    question->context = context;
    question->number = number;
    *resolver->last = question;
    resolver->last = &question->next;
    resolver_pump(resolver);
}
