/* SPDX-License-Identifier: MIT */
/*
 * pass.h - one attempt to deliver a message to all recipients that are due
 *
 *   load the message, resolve every recipient, group them into delivery
 *   requests, wait for the agents, then reports (bounce, trace, expiry,
 *   warning), and the next attempt or the end.
 *
 * Everything happens in the event loop; a pass has at most one report under
 * way, but any number of questions to the resolver and requests.
 */
#ifndef SYNCQ_QMGR_PASS_H
#define SYNCQ_QMGR_PASS_H

#include <stdint.h>
#include <sys/time.h>

#include "module/envelope.h"
#include "postfix/attribute.h"
#include "qmgr/context.h"
#include "qmgr/scheduler.h"
#include "qmgr/source.h"

enum work_state {
    WORK_TODO,
    WORK_DONE, /* delivered, bounced or dropped; final */
    WORK_LEFT, /* tried, and to be tried again */
};

/* One recipient of the pass. */
struct work {
    uint32_t recipient;        /* number in the envelope */
    uint64_t offset;           /* of its R byte in the agents' file */
    char *address;             /* as resolved; NULL: as in the envelope */
    char *transport, *nexthop; /* while resolving */
    uint8_t state;             /* enum work_state */
};

enum pass_step {
    PASS_DELIVER,
    PASS_BOUNCE,
    PASS_TRACE,
    PASS_EXPIRE,
    PASS_CLOSE,
};

struct pass {
    struct qmgr *qmgr;
    struct message *message;
    const struct source *source;
    void *own; /* the source's */
    struct syncq_envelope envelope;
    struct work *works;
    uint32_t work_count;
    uint32_t recipient_count; /* of the message, done ones too, for the log */
    const char *queue_name;   /* of the agents' file, below Q */
    uint64_t data_offset;     /* of its first content record */
    uint64_t size;            /* of the content, as logged */
    int64_t arrival_s, arrival_us, create_time_s, warn_time_s;
    struct timeval active_since;
    int32_t trace_flags, sendopts, ret_flags, dsn_seen;
    uint32_t resolving, requests; /* under way */
    enum pass_step step;
    int deferred;       /* something has to be tried again */
    int redirected;     /* the first recipient stands for all others */
    int others_left;    /* recipients outside of this pass are unfinished */
    int agents_started; /* a request was handed over */
    struct pass *next, *previous; /* all passes */
    char status[16];              /* DSN status of the last trouble, or "" */
};

/* Start a pass over a message that is in no heap. */
void pass_start(struct qmgr *qmgr, struct message *message);

/* pass_route.c: resolve and group; called once by pass_start. */
void pass_route(struct pass *pass);

/* pass_request.c */
void pass_request_write(struct pass *pass, const struct request *request,
                        unsigned connection_flags,
                        struct attribute_writer *writer);
void pass_request_done(struct pass *pass, struct request *request,
                       const struct request_result *result);
/* Not even the retry transport works: into the defer log. */
void pass_request_undeliverable(struct pass *pass, struct request *request,
                                const char *nexthop);
/*
 * Look into the agents' file for recipients of the request, or of all requests
 * if NULL, that are done.  True when there was one more.
 */
int pass_read_back(struct pass *pass, const struct request *request);

/* pass_end.c: go on, now that nothing is with the agents any more. */
void pass_end(struct pass *pass);
/* Go on if no question and no request is under way. */
void pass_check(struct pass *pass);

/* Forget the pass; the message is the caller's again. */
void pass_free(struct pass *pass);

/* Every pass there is, for marks and for SIGTERM. */
void pass_visit(void (*visit)(struct pass *pass, void *context), void *context);

/* Path below Q of the agents' file. */
void pass_path(const struct pass *pass, char path[SETTINGS_PATH_SIZE]);

const struct syncq_recipient *pass_recipient(const struct pass *pass,
                                             const struct work *work);
/* Its address as resolved. */
const char *pass_address(const struct pass *pass, const struct work *work);
/* A decimal attribute of the envelope. */
int64_t pass_number(const struct pass *pass, const char *name,
                    int64_t fallback);
/* An attribute of the envelope as text, "" when missing. */
const char *pass_text(const struct pass *pass, const char *name);

#define PASS_TRACE_VERIFY      256
#define PASS_TRACE_USER_VERIFY 512
#define PASS_TRACE_RECORD      1024
#define PASS_TRACE_DELAY_SENT  8192
#define PASS_NOTIFY_SUCCESS    2

#endif
