/* SPDX-License-Identifier: MIT */
/*
 * admission_files.h - what Postfix's files say about a durable copy of a mail
 */
#ifndef SYNCQ_QMGR_ADMISSION_FILES_H
#define SYNCQ_QMGR_ADMISSION_FILES_H

struct message;
struct qmgr;
struct syncq_envelope;

enum admission_verdict {
    ADMISSION_WAIT,   /* cleanup(8) is still at work */
    ADMISSION_ACCEPT, /* the mail is ours alone */
    ADMISSION_CANCEL, /* Postfix has it */
    ADMISSION_FORGET, /* an import under way; its maker takes care of it */
};

enum admission_verdict
admission_look_at_files(struct qmgr *qmgr, struct message *message,
                        const struct syncq_envelope *envelope);

#endif
