/* SPDX-License-Identifier: MIT */
/*
 * resolver.h - ask trivial-rewrite(8) where an address goes
 *
 * Several connections, one question at a time on each, since the server does
 * not read ahead.  Questions wait for ever: when the server is gone, they are
 * asked again a second later.  Answers to the same question are remembered for
 * 30 s and forgotten when a connection ends, because the server ends when one
 * of its tables has changed.
 */
#ifndef SYNCQ_QMGR_RESOLVER_H
#define SYNCQ_QMGR_RESOLVER_H

#include <stdint.h>

struct qmgr;
struct resolver;

#define RESOLVER_FLAG_ERROR       4
#define RESOLVER_FLAG_FAIL        8
#define RESOLVER_FLAG_CLASS_LOCAL 256

enum resolver_kind {
    RESOLVER_RESOLVE, /* where does mail to address go */
    RESOLVER_VERIFY,  /* the same for address verification probes */
    RESOLVER_REWRITE, /* complete an address, rule "local" */
};

struct resolver_answer {
    const char *transport, *nexthop; /* "" for RESOLVER_REWRITE */
    const char *recipient;           /* internal form; may differ */
    int32_t flags;
};

struct resolver *resolver_new(struct qmgr *qmgr);
void resolver_free(struct resolver *resolver);

/*
 * Ask.  done is called exactly once, perhaps before the return, with an answer
 * that is valid during the call.
 */
void resolver_ask(struct resolver *resolver, enum resolver_kind kind,
                  const char *sender, const char *address,
                  void (*done)(void *context, uint32_t number,
                               const struct resolver_answer *answer),
                  void *context, uint32_t number);

#endif
