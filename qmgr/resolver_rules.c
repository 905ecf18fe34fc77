/* SPDX-License-Identifier: MIT */
#include "qmgr/resolver_rules.h"

#include <stdlib.h>
#include <string.h>

#include "program/log.h"
#include "qmgr/address.h"
#include "qmgr/delay.h"
#include "qmgr/memory.h"

#define RULES_PROBES (PASS_TRACE_VERIFY | PASS_TRACE_USER_VERIFY)

static void rules_set(struct work *work, const char *transport,
                      const char *nexthop)
{
    char *new_transport = memory_text(transport);
    char *new_nexthop = memory_text(nexthop);

    free(work->transport);
    free(work->nexthop);
    work->transport = new_transport;
    work->nexthop = new_nexthop;
}

int resolver_rules_hold(const char *instructions)
{
    return strncmp(instructions, RESOLVER_HOLD_TRANSPORT,
                   strlen(RESOLVER_HOLD_TRANSPORT)) == 0;
}

int resolver_rules_filter(const struct pass *pass, struct work *work)
{
    const char *filter = pass->envelope.instructions;
    const char *colon = strchr(filter, ':');
    const char *nexthop = colon != NULL ? colon + 1 : "";
    const char *domain;
    char *transport;

    if (*filter == '\0' || resolver_rules_hold(filter) ||
        (pass->trace_flags & RULES_PROBES) != 0)
        return 0;
    if (*nexthop == '\0')
        nexthop = pass->qmgr->settings.default_filter_nexthop;
    if (*nexthop == '\0') {
        domain = syncq_address_domain(pass_address(pass, work));
        nexthop = *domain != '\0' ? domain : pass->qmgr->settings.myhostname;
    }
    transport = memory_copy(filter, strlen(filter) + 1);
    if (colon != NULL)
        transport[colon - filter] = '\0';
    rules_set(work, transport, nexthop);
    free(transport);
    return 1;
}

/* A report about a report that could not be delivered: the end of the line. */
static int rules_drop_double_bounce(struct pass *pass, struct work *work)
{
    const struct settings *settings = &pass->qmgr->settings;
    char recipient[1024], delays[DELAY_TEXT_SIZE];

    if (!address_local_is(pass_address(pass, work),
                          settings->double_bounce_sender))
        return 0;
    address_quote(pass_address(pass, work), recipient, sizeof(recipient));
    delay_format(pass, settings->delay_digits, delays);
    log_info("%s: to=<%s>, relay=none, %s, dsn=2.0.0, status=sent "
             "(undeliverable postmaster notification discarded)",
             pass->message->queue_id, recipient, delays);
    work->state = WORK_DONE;
    return 1;
}

static void rules_overrule(struct pass *pass, struct work *work)
{
    const struct qmgr *qmgr = pass->qmgr;
    const struct settings *settings = &qmgr->settings;

    if (*pass_address(pass, work) == '\0')
        rules_set(work, settings->error_service,
                  "5.1.3 null recipient address");
    else if (pass->message->flags & MESSAGE_EXPIRE)
        rules_set(work, settings->retry_service,
                  "4.7.0 message is administratively expired");
    else if (settings_list_has(settings->defer_transports, work->transport) &&
             (pass->message->flags & MESSAGE_FLUSH) == 0)
        rules_set(work, settings->retry_service, "4.3.2 deferred transport");
    else if ((pass->trace_flags & PASS_TRACE_VERIFY) != 0 &&
             qmgr->probe_count > settings->probe_limit)
        rules_set(work, settings->retry_service,
                  "4.3.2 Too many address verification requests");
}

void resolver_rules_apply(struct pass *pass, struct work *work,
                          const struct resolver_answer *answer)
{
    const struct settings *settings = &pass->qmgr->settings;

    if (answer != NULL) {
        if (strcmp(pass_recipient(pass, work)->address, answer->recipient) !=
            0) {
            char *address = memory_text(answer->recipient);

            free(work->address);
            work->address = address;
        }
        if (answer->flags & RESOLVER_FLAG_ERROR)
            rules_set(work, settings->error_service,
                      "5.1.3 bad address syntax");
        else if (answer->flags & RESOLVER_FLAG_FAIL)
            rules_set(work, settings->retry_service,
                      "4.3.0 address resolver failure");
        else
            rules_set(work, answer->transport, answer->nexthop);
        if ((answer->flags & (RESOLVER_FLAG_ERROR | RESOLVER_FLAG_FAIL)) == 0 &&
            (answer->flags & RESOLVER_FLAG_CLASS_LOCAL) != 0 &&
            rules_drop_double_bounce(pass, work))
            return;
    }
    rules_overrule(pass, work);
}
