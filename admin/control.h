/* SPDX-License-Identifier: MIT */
/*
 * control.h - one question to the queue manager over its control socket
 *
 * JSON lines: one object asks, one object answers.
 */
#ifndef SYNCQ_ADMIN_CONTROL_H
#define SYNCQ_ADMIN_CONTROL_H

#include <jansson.h>

#define CONTROL_TIMEOUT_S 300 /* for the answer; changes wait for a sync */

/*
 * Send request, which is freed, and wait for the answer, an object that the
 * caller frees.  ESRCH: nobody listens there; EPROTO: what came is no object;
 * ETIMEDOUT, ENOMEM and other errno values.
 */
int control_ask(const char *run_directory, json_t *request, json_t **answer);

#endif
