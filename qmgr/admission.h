/* SPDX-License-Identifier: MIT */
/*
 * admission.h - may a message that was just made durable be delivered
 *
 * A capture's DISCARD is a request: the mail is ours only when Postfix's own
 * file has disappeared.  If Postfix kept it (mode 0700, or in hold/), our copy
 * is cancelled durably before the file is touched.  While cleanup(8) is still
 * at work (mode 0600) we wait for it, for 60 s at most.  An import whose file
 * still exists was interrupted: it is cancelled and imported anew.  Also after
 * recovery, when every message without a word about it is `synced` again.
 */
#ifndef SYNCQ_QMGR_ADMISSION_H
#define SYNCQ_QMGR_ADMISSION_H

struct admission;
struct backlog;
struct message;

#define ADMISSION_WAIT_S 60 /* for cleanup(8) to finish */

struct admission *admission_new(struct backlog *backlog);
void admission_free(struct admission *admission);

/* A message with `synced` (or still `new`) parts; decided now or later. */
void admission_add(struct admission *admission, struct message *message);

#endif
