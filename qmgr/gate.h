/* SPDX-License-Identifier: MIT */
/*
 * gate.h - may the milter capture under this Postfix configuration
 *
 * Some settings make Postfix keep mail although our milter asked for DISCARD,
 * or make it lose a decision to hold.  With any of them captures are refused;
 * the mail goes to incoming/ as ever and is imported.
 */
#ifndef SYNCQ_QMGR_GATE_H
#define SYNCQ_QMGR_GATE_H

struct gate;
struct qmgr;
struct syncq_queue;

struct gate *gate_new(void);
void gate_free(struct gate *gate);

/* Read the configuration; a reload of Postfix starts a new process. */
void gate_read(struct qmgr *qmgr);
/* Tell the milter.  queue may be NULL. */
void gate_apply(struct gate *gate, struct syncq_queue *queue);

/* Why captures are refused, or "". */
const char *gate_reason(const struct gate *gate);

#endif
