/* SPDX-License-Identifier: MIT */
/*
 * resolver_rules.h - what the queue manager does with a resolver's answer
 */
#ifndef SYNCQ_QMGR_RESOLVER_RULES_H
#define SYNCQ_QMGR_RESOLVER_RULES_H

#include "qmgr/pass.h"
#include "qmgr/resolver.h"

/* Instructions that hold a message instead of delivering it. */
#define RESOLVER_HOLD_TRANSPORT "syncq-hold:"
/* True for them; they are void once an administrator has released the mail. */
int resolver_rules_hold(const char *instructions);

/*
 * FILTER: transport and nexthop of the work without asking the resolver.
 * False when the message has no filter or is not to be filtered.
 */
int resolver_rules_filter(const struct pass *pass, struct work *work);

/* Take over an answer and apply every rule that can overrule it. */
void resolver_rules_apply(struct pass *pass, struct work *work,
                          const struct resolver_answer *answer);

#endif
