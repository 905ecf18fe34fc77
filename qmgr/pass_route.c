/* SPDX-License-Identifier: MIT */
/*
 * pass_route.c - where every recipient goes, and which go together
 */
#include "qmgr/pass.h"

#include <stdlib.h>
#include <string.h>

#include "qmgr/address.h"
#include "qmgr/memory.h"
#include "qmgr/resolver.h"
#include "qmgr/resolver_rules.h"

/* A recipient and its destination, to be sorted. */
struct route {
    struct destination *destination;
    const char *nexthop;
    uint32_t work;
    uint32_t limit;
};

static int route_compare(const void *a, const void *b)
{
    const struct route *left = a;
    const struct route *right = b;

    if (left->destination != right->destination)
        return (uintptr_t)left->destination < (uintptr_t)right->destination ? -1
                                                                            : 1;
    return left->work < right->work ? -1 : 1;
}

/* Name of the destination: the unit of concurrency. */
static char *route_name(const struct pass *pass, const struct work *work,
                        const struct transport *transport)
{
    const struct settings *settings = &pass->qmgr->settings;
    const char *name = transport_name(transport);
    char *text;

    if (strcmp(name, settings->retry_service) == 0 ||
        strcmp(name, settings->error_service) == 0)
        return memory_text(work->nexthop);
    if (transport_recipient_limit(transport) == 1)
        return address_mailbox_name(pass_address(pass, work), work->nexthop,
                                    settings->recipient_delimiter);
    text = memory_text(work->nexthop);
    address_lower(text);
    return text;
}

static void route_to_retry(const struct pass *pass, struct work *work,
                           const char *reason)
{
    char *nexthop = memory_text(reason);

    free(work->transport);
    free(work->nexthop);
    work->transport = memory_text(pass->qmgr->settings.retry_service);
    work->nexthop = nexthop;
}

/* Transport and destination of one recipient; dead ones go to retry. */
static void route_find(const struct pass *pass, struct work *work,
                       struct route *route)
{
    struct scheduler *scheduler = pass->qmgr->scheduler;
    const char *retry = pass->qmgr->settings.retry_service;
    int flush = (pass->message->flags & MESSAGE_FLUSH) != 0;

    for (;;) {
        struct transport *transport =
            scheduler_transport(scheduler, work->transport);
        const char *reason = transport_dead_reason(transport);
        char *name;

        if (reason == NULL || strcmp(work->transport, retry) == 0) {
            name = route_name(pass, work, transport);
            route->destination =
                scheduler_destination(scheduler, transport, name);
            free(name);
            if (flush)
                destination_revive(route->destination);
            reason = destination_dead_reason(route->destination);
        }
        if (reason == NULL || strcmp(work->transport, retry) == 0) {
            route->limit = transport_recipient_limit(transport);
            route->nexthop = work->nexthop;
            return;
        }
        route_to_retry(pass, work, reason);
    }
}

static void route_request(struct pass *pass, const struct route *routes,
                          uint32_t count)
{
    struct request *request = memory_new(sizeof(*request));
    uint32_t i;

    request->pass = pass;
    request->destination = routes[0].destination;
    request->nexthop = memory_text(routes[0].nexthop);
    request->work = memory_new(count * sizeof(request->work[0]));
    request->work_count = count;
    for (i = 0; i < count; i++)
        request->work[i] = routes[i].work;
    pass->requests++;
    scheduler_add(pass->qmgr->scheduler, request);
}

/* Cut into requests: one destination, at most its limit of recipients. */
static void route_cut(struct pass *pass, const struct route *routes,
                      uint32_t count)
{
    int verp =
        *pass_text(pass, "verp") != '\0' && *pass->envelope.sender != '\0';
    uint32_t i, first = 0;

    for (i = 1; i <= count; i++) {
        uint32_t limit = verp ? 1 : routes[first].limit;

        if (i < count && routes[i].destination == routes[first].destination &&
            strcmp(routes[i].nexthop, routes[first].nexthop) == 0 &&
            (limit == 0 || i - first < limit))
            continue;
        route_request(pass, routes + first, i - first);
        first = i;
    }
}

static void route_group(struct pass *pass)
{
    struct route *routes = memory_new((pass->work_count + 1) * sizeof(*routes));
    uint32_t i, count = 0;

    for (i = 0; i < pass->work_count; i++) {
        struct work *work = &pass->works[i];

        if (work->state == WORK_DONE || work->transport == NULL)
            continue;
        routes[count].work = i;
        route_find(pass, work, &routes[count]);
        count++;
    }
    if (count > 0) {
        qsort(routes, count, sizeof(*routes), route_compare);
        route_cut(pass, routes, count);
    }
    for (i = 0; i < pass->work_count; i++) {
        free(pass->works[i].transport);
        free(pass->works[i].nexthop);
        pass->works[i].transport = pass->works[i].nexthop = NULL;
    }
    free(routes);
}

/* One question was answered, or needed no answer. */
static void route_answered(struct pass *pass)
{
    if (--pass->resolving > 0)
        return;
    route_group(pass);
    pass_check(pass);
}

static void route_on_resolved(void *context, uint32_t number,
                              const struct resolver_answer *answer)
{
    struct pass *pass = context;

    resolver_rules_apply(pass, &pass->works[number], answer);
    route_answered(pass);
}

static void route_resolve(struct pass *pass, uint32_t number)
{
    struct work *work = &pass->works[number];
    enum resolver_kind kind = pass->trace_flags & PASS_TRACE_VERIFY
                                  ? RESOLVER_VERIFY
                                  : RESOLVER_RESOLVE;

    resolver_ask(pass->qmgr->resolver, kind, pass->envelope.sender,
                 pass_address(pass, work), route_on_resolved, pass, number);
}

static void route_on_redirected(void *context, uint32_t number,
                                const struct resolver_answer *answer)
{
    struct pass *pass = context;

    free(pass->works[number].address);
    pass->works[number].address = memory_text(answer->recipient);
    route_resolve(pass, number);
}

static void route_one(struct pass *pass, uint32_t number)
{
    const char *redirect = pass_text(pass, "redirect");
    struct work *work = &pass->works[number];

    if (*redirect != '\0') {
        resolver_ask(pass->qmgr->resolver, RESOLVER_REWRITE, "", redirect,
                     route_on_redirected, pass, number);
    } else if (resolver_rules_filter(pass, work)) {
        resolver_rules_apply(pass, work, NULL);
        route_answered(pass);
    } else {
        route_resolve(pass, number);
    }
}

void pass_route(struct pass *pass)
{
    uint32_t count = pass->work_count;
    uint32_t i;

    /* With a redirect the first recipient stands for all of them. */
    if (count > 1 && *pass_text(pass, "redirect") != '\0') {
        pass->redirected = 1;
        count = 1;
    }
    /* One more than there are: nothing is grouped before all were asked. */
    pass->resolving = count + 1;
    for (i = 0; i < count; i++)
        route_one(pass, i);
    route_answered(pass);
}
