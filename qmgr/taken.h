/* SPDX-License-Identifier: MIT */
/*
 * taken.h - mail that was taken from Postfix's files
 *
 * A capture of the same mail must never be delivered as well: Postfix kept the
 * mail although we asked it to discard it.  A mail is known by its queue id
 * and its time of arrival, since ids can come back.  Deliveries straight from
 * a file are kept for a day, and in a file in each queue directory, since they
 * happen when a queue cannot be used and the capture may be seen only after a
 * restart: in all of them, for the one that cannot be used cannot be written.
 */
#ifndef SYNCQ_QMGR_TAKEN_H
#define SYNCQ_QMGR_TAKEN_H

#include "program/files.h"

struct taken;

#define TAKEN_FILE       "taken"
#define TAKEN_LIFETIME_S 86400
#define TAKEN_COUNT_MAX  200000 /* the oldest are forgotten first */

/* Directories may be missing or unwritable; without any only memory is used. */
struct taken *taken_new(const struct files *files);
void taken_free(struct taken *taken);

/*
 * arrival is the text of the T record.  lasting: also in the file; imports
 * need not, the queue itself knows them.
 */
void taken_add(struct taken *taken, const char *queue_id, const char *arrival,
               int lasting);
/* The other way round: a capture went out although its file was there. */
void taken_add_late(struct taken *taken, const char *queue_id,
                    const char *arrival);
int taken_has_late(const struct taken *taken, const char *queue_id,
                   const char *arrival);
int taken_has(const struct taken *taken, const char *queue_id,
              const char *arrival);

#endif
