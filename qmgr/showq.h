/* SPDX-License-Identifier: MIT */
/*
 * showq.h - the mail queue as Postfix's own tools list it
 *
 * Master's `showq` service: each connection gets one listing, our queue first
 * and then Postfix's own directories, and is closed.  Nothing is ever changed.
 */
#ifndef SYNCQ_QMGR_SHOWQ_H
#define SYNCQ_QMGR_SHOWQ_H

#include "program/config.h"
#include "qmgr/settings.h"
#include "qmgr/showq_output.h"

struct showq {
    struct config config;     /* of syncq */
    struct settings settings; /* of Postfix; Q is the working directory */
    void *ids;                /* queue ids listed so far, a search tree */
};

/* The whole listing.  It ends early when the client goes away. */
void showq_list(struct showq *showq, struct showq_output *output);

/* Our own queue files: index and envelopes, without any other program. */
void showq_list_queue(struct showq *showq, struct showq_output *output);

/* maildrop, active, incoming, deferred, hold; ids that are known are left
 * out. */
void showq_list_directories(struct showq *showq, struct showq_output *output);

/* Remember an id; false: it was known. */
int showq_id_add(struct showq *showq, const char *queue_id);

#endif
