/* SPDX-License-Identifier: MIT */
/*
 * control.h - the administrator's socket: one JSON object a line, each way
 *
 *   {"verb":"status"}
 *   {"verb":"release","all":true}  or  "ids":["ID",...]   held mail goes out
 *   {"verb":"retry","all":true}    or  "ids":["ID",...]   waiting mail is due
 *
 * "queue_directory":"DIRECTORY" means one of several queue files.
 * An id is a queue id or a sequence number as `syncq list` prints it.  Answers
 * have "ok":true, or "ok":false and "error"; a change is durable before it is
 * answered.  Root, the mail owner and members of the group syncq may ask.
 */
#ifndef SYNCQ_QMGR_CONTROL_H
#define SYNCQ_QMGR_CONTROL_H

struct control;
struct qmgr;

#define CONTROL_GROUP "syncq"

/* Tries again by itself while the run directory is missing. */
struct control *control_new(struct qmgr *qmgr);
void control_free(struct control *control);

#endif
