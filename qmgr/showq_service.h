/* SPDX-License-Identifier: MIT */
/*
 * showq_service.h - the life of the showq service under master(8)
 *
 * As Postfix's own single servers: one connection at a time; several processes
 * may share the socket.  Ends when idle for max_idle, after max_use
 * connections, when master dies or reads its configuration again.
 */
#ifndef SYNCQ_QMGR_SHOWQ_SERVICE_H
#define SYNCQ_QMGR_SHOWQ_SERVICE_H

#include <stdint.h>

/* Call list with each connection until it is time to end. */
void showq_service_run(int64_t max_idle_s, int64_t max_use,
                       void (*list)(int fd, void *context), void *context);

#endif
