/* SPDX-License-Identifier: MIT */
/*
 * trigger.h - one-shot requests of other programs on a public socket
 *
 * Whoever sends one waits until we accept, so that is done at once; then we
 * read what comes within 10 s and close.
 */
#ifndef SYNCQ_QMGR_TRIGGER_H
#define SYNCQ_QMGR_TRIGGER_H

#include <stddef.h>
#include <event2/event.h>

struct trigger;

/* listen_fd stays the caller's. */
struct trigger *trigger_new(struct event_base *base, int listen_fd, int is_fifo,
                            void (*handle)(void *context, const char *bytes,
                                           size_t size),
                            void *context);
void trigger_free(struct trigger *trigger);

#endif
