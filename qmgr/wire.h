/* SPDX-License-Identifier: MIT */
/*
 * wire.h - one connection that speaks Postfix's attribute lists
 *
 * Non-blocking, in the event loop.  The owner closes the wire, also from
 * within its own handlers; after wire_close no handler is called any more.
 */
#ifndef SYNCQ_QMGR_WIRE_H
#define SYNCQ_QMGR_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

struct wire;

struct wire_handler {
    /* One complete list arrived. */
    void (*list)(void *context, const char *list, size_t size);
    /*
     * The peer is gone or silent: 0 end of file, ETIMEDOUT, EPROTO (not a
     * list), or what read or write said.  The owner closes the wire.
     */
    void (*failed)(void *context, int error);
    void *context;
};

#define WIRE_LIST_SIZE_MAX (1u << 20) /* bytes of one list from a peer */

/*
 * Connect to a socket by its path.  EAGAIN: the peer is busy, come back
 * later; anything else: it is not there.
 */
int wire_open(struct event_base *base, const char *path,
              const struct wire_handler *handler, struct wire **wire);

/* Take over a connected non-blocking descriptor. */
int wire_adopt(struct event_base *base, int fd,
               const struct wire_handler *handler, struct wire **wire);

/* Send bytes, now or when the peer takes them; they are copied if needed. */
void wire_send(struct wire *wire, const void *bytes, size_t size);

/* failed(ETIMEDOUT) after this long without a list; 0: for ever. */
void wire_set_timeout(struct wire *wire, int64_t seconds);

void wire_close(struct wire *wire);

#endif
