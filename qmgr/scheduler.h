/* SPDX-License-Identifier: MIT */
/*
 * scheduler.h - which delivery request goes to an agent next
 *
 * A transport is a delivery agent's service; a destination is a transport and
 * a nexthop, with its own limit of deliveries at a time.  Requests wait at
 * their destination.  A connection to an agent is opened first; which request
 * it gets is decided when the agent says hello, by the latest state.
 *
 * Passes own their requests until they hand them over; the scheduler gives each
 * back exactly once, with pass_request_done.
 */
#ifndef SYNCQ_QMGR_SCHEDULER_H
#define SYNCQ_QMGR_SCHEDULER_H

#include <stdint.h>

struct destination;
struct pass;
struct qmgr;
struct scheduler;
struct transport;

/* What one delivery agent gets at once. */
struct request {
    struct pass *pass;
    struct destination *destination;
    char *nexthop;
    uint32_t *work; /* which recipients of the pass */
    uint32_t work_count;
    struct request *next; /* at its destination */
    int running;          /* an agent has it */
};

/* How it ended. */
struct request_result {
    int finished;       /* the agent is done with every recipient */
    const char *status; /* DSN status of trouble with the destination, or "" */
    const char *reason; /* its text, or "" */
};

struct scheduler *scheduler_new(struct qmgr *qmgr);
void scheduler_free(struct scheduler *scheduler);

/* A new or known transport; never NULL. */
struct transport *scheduler_transport(struct scheduler *scheduler,
                                      const char *name);
unsigned transport_recipient_limit(const struct transport *transport);
const char *transport_name(const struct transport *transport);
/* The nexthop for the retry transport while this one is dead, else NULL. */
const char *transport_dead_reason(const struct transport *transport);

/*
 * The destination of this name (lower case).  It lives at least until the
 * event loop runs again, or as long as requests wait there.
 */
struct destination *scheduler_destination(struct scheduler *scheduler,
                                          struct transport *transport,
                                          const char *name);
const char *destination_dead_reason(const struct destination *destination);
/* Deliver there again, whatever happened before. */
void destination_revive(struct destination *destination);

/* Queue a request; request->destination is set by the caller. */
void scheduler_add(struct scheduler *scheduler, struct request *request);

/* postqueue -f: forget all dead destinations and transports. */
void scheduler_revive_all(struct scheduler *scheduler);

/* Deliveries with an agent at this moment. */
unsigned scheduler_running(const struct scheduler *scheduler);

void request_free(struct request *request);

#endif
