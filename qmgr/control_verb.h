/* SPDX-License-Identifier: MIT */
/*
 * control_verb.h - what the administrator can ask for
 */
#ifndef SYNCQ_QMGR_CONTROL_VERB_H
#define SYNCQ_QMGR_CONTROL_VERB_H

#include <jansson.h>

struct qmgr;

/*
 * Run a request.  answer is called once, perhaps before the return, and takes
 * over the object.
 */
void control_verb_run(struct qmgr *qmgr, const json_t *request,
                      void (*answer)(void *context, json_t *object),
                      void *context);

#endif
