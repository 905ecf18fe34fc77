/* SPDX-License-Identifier: MIT */
/*
 * context.h - everything that the queue manager holds
 *
 * One of these in the process; each part gets a pointer to it and uses the
 * parts it needs through their own headers.
 */
#ifndef SYNCQ_QMGR_CONTEXT_H
#define SYNCQ_QMGR_CONTEXT_H

#include <time.h>
#include <event2/event.h>

#include "program/config.h"
#include "qmgr/message.h"
#include "qmgr/settings.h"

struct qmgr {
    struct event_base *base;
    struct config config;         /* of syncq */
    struct settings settings;     /* of Postfix */
    const char *config_directory; /* Postfix's; NULL: the default */
    struct settings_override *overrides;

    struct message_table messages;
    struct retry *retry;          /* when is what due */
    struct resolver *resolver;    /* trivial-rewrite */
    struct scheduler *scheduler;  /* transports and destinations */
    struct delivery_files *files; /* Q/syncq */
    struct backlogs *backlogs;    /* the queue files, each when it is there */
    struct importer *importer;    /* Postfix's own queue files */
    struct taken *taken;          /* ids delivered from Postfix's files */
    struct gate *gate;            /* may the milter capture */
    struct control *control;      /* the administrator's socket */
    struct service *service;      /* master(8) */

    unsigned active_count; /* messages in a pass */
    unsigned probe_count;  /* of them, address verification probes */
    int stopping;          /* SIGTERM came: start nothing */
};

#endif
