/* SPDX-License-Identifier: MIT */
/*
 * transport.h - transports and destinations inside the scheduler
 *
 * Only scheduler.c, transport.c, destination.c and agent.c use this.
 */
#ifndef SYNCQ_QMGR_TRANSPORT_H
#define SYNCQ_QMGR_TRANSPORT_H

#include <stdint.h>
#include <event2/event.h>

#include "qmgr/context.h"
#include "qmgr/scheduler.h"

#define TRANSPORT_PENDING_MAX 2 /* connections without hello; as stock */

struct destination {
    struct transport *transport;
    char *name;
    struct destination *next_of_name;    /* hash chain */
    struct destination *next, *previous; /* ring; NULL: not deliverable */
    struct request *first, **last;
    uint32_t waiting, busy;
    unsigned window, cache_flags;
    double success, failure, cohorts;
    char *dead;         /* nexthop for the retry transport; NULL: alive */
    struct event *wake; /* end of death or of the rate delay */
    int suspended;      /* rate delay */
    int64_t last_done_ms;
};

struct transport {
    struct scheduler *scheduler;
    char *name;
    struct transport *next;
    struct settings_transport limits;
    struct destination *ring; /* deliverable ones, by turns */
    unsigned pending;         /* connections without hello */
    uint32_t waiting, busy;
    char *dead; /* nexthop for the retry transport; NULL: alive */
    struct event *wake;
    struct event *busy_again; /* the agents' socket was full */
    int paused;               /* until busy_again */
};

struct scheduler {
    struct qmgr *qmgr;
    struct transport *transports;
    struct destination **by_name;
    size_t name_count, name_size;
    struct event *turn; /* scheduler_run is due */
    unsigned running;
};

/* transport.c */
void transport_free(struct transport *transport);
/* True when one more connection would find something to deliver. */
int transport_selectable(const struct transport *transport);
/* Throttle; requests that wait go to the retry transport. */
void transport_die(struct transport *transport, const char *reason);
void transport_revive(struct transport *transport);
/* The request for an agent that is free, or NULL. */
struct request *transport_select(struct transport *transport);

/* destination.c */
struct destination *destination_new(struct transport *transport,
                                    const char *name);
void destination_free(struct destination *destination);
/* How many of its requests could run now. */
unsigned destination_deliverable(const struct destination *destination);
/* Enter or leave the transport's ring after a change. */
void destination_update(struct destination *destination);
void destination_add(struct destination *destination, struct request *request);
struct request *destination_take(struct destination *destination);
/* An agent starts with a request that was taken. */
void destination_started(struct destination *destination);
/* An agent is done, well or not: feedback.  May free the destination. */
void destination_done(struct destination *destination,
                      const struct request_result *result);
/* Send all that waits to the retry transport with this nexthop. */
void destination_divert(struct destination *destination, const char *nexthop);
/* Free it when nothing needs it any more. */
void destination_release(struct destination *destination);
/* CONN_LOAD and CONN_STORE of a request that is about to run. */
unsigned destination_connection_flags(struct destination *destination);

/* scheduler.c */
/* Send a waiting request to the retry transport instead, or defer it. */
void scheduler_divert(struct scheduler *scheduler, struct request *request,
                      const char *nexthop);
void scheduler_wake(struct scheduler *scheduler);
/* Take a destination out of the table of names. */
void scheduler_forget(struct destination *destination);

/* agent.c */
/* Open a connection; 0, EAGAIN, or what connect said. */
int agent_start(struct transport *transport);

#endif
