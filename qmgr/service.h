/* SPDX-License-Identifier: MIT */
/*
 * service.h - a service of master(8): triggers, status, flow tokens, its end
 */
#ifndef SYNCQ_QMGR_SERVICE_H
#define SYNCQ_QMGR_SERVICE_H

#include "qmgr/context.h"

/* Descriptors that master(8) gives to every service. */
#define SERVICE_FLOW_READ  3
#define SERVICE_FLOW_WRITE 4
#define SERVICE_STATUS     5
#define SERVICE_LISTEN     6

/*
 * Tell master(8) that we are up: a later crash is then followed by a new start
 * at once, not after a pause of a minute.  The first thing in the process, so
 * that a crash soon after it counts as one, too.
 */
void service_report(void);

/*
 * The configuration cannot be used, which a new start would not change.  Wait
 * for `postfix reload`, a minute at most, and exit.
 */
void service_fail(int exit_code) __attribute__((noreturn));

/*
 * Start to listen: listen_count sockets from SERVICE_LISTEN on; is_fifo: they
 * are a FIFO's reading end.
 */
struct service *service_new(struct qmgr *qmgr, unsigned listen_count,
                            int is_fifo);
void service_free(struct service *service);

/* Fill up the flow tokens, without which cleanup(8) sleeps. */
void service_refill(struct service *service);

#endif
