/* SPDX-License-Identifier: MIT */
/*
 * release.h - held messages become ready, by the manager or in its place
 */
#ifndef SYNCQ_ADMIN_RELEASE_H
#define SYNCQ_ADMIN_RELEASE_H

#include <stdint.h>

#include <jansson.h>

#include "module/queue.h"

/* Which messages. */
struct release {
    int all;
    const char *const *ids; /* queue ids or sequences; when not all */
    int id_count;
    const char *directory; /* only of this queue file; NULL: of all */
    uint64_t timeout_ms;   /* for the confirm of the change */
};

struct release_result {
    uint64_t released;      /* parts that were held and are ready now */
    uint32_t unreadable;    /* held messages whose id is not known */
    const char *id_missing; /* the first id that no held message has */
};

/* The question for the queue manager's control socket; NULL: ENOMEM. */
json_t *release_request(const struct release *release);

/*
 * Do it in this process, which holds the manager lock and has opened the queue
 * for writing.  On return the change is durable.  After an error some parts
 * may be ready in the index, though not durably so; releasing again is right.
 */
int release_held(struct syncq_queue *queue, const struct release *release,
                 struct release_result *result);

#endif
