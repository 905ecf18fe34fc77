/* SPDX-License-Identifier: MIT */
/*
 * import.h - take one of Postfix's files
 */
#ifndef SYNCQ_QMGR_IMPORT_H
#define SYNCQ_QMGR_IMPORT_H

struct message;
struct qmgr;

/* Attributes of the record that say which file it replaces. */
#define IMPORT_INODE "import_inode"

/*
 * Rename it from its queue to active/, lock it, and append it to the queue or
 * deliver it from there.  flags: MESSAGE_NOW and MESSAGE_FLUSH, as wanted.
 */
void import_take(struct qmgr *qmgr, const char *queue_id,
                 const char *queue_name, unsigned flags);

/* Is the file in this queue the mail that the message holds? */
int import_is_same(struct qmgr *qmgr, const struct message *message,
                   const char *queue_name);

/* The queue has this mail already: remove the file. */
void import_drop_file(struct qmgr *qmgr, const char *queue_id,
                      const char *queue_name);

/* Imports that wait for the disk. */
unsigned import_under_way(void);

#endif
