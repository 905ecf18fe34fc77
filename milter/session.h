/* SPDX-License-Identifier: MIT */
/*
 * session.h - the milter protocol: libmilter's callbacks
 *
 * Two events are asked for: MAIL, without a reply, and end-of-message.  All
 * state of a mail between the two is in the session's private pointer, for
 * libmilter calls back from any of its threads.
 */
#ifndef SYNCQ_MILTER_SESSION_H
#define SYNCQ_MILTER_SESSION_H

#include "milter/decision.h"

/*
 * Register the callbacks with libmilter; to be called once, before
 * smfi_opensocket.  maker must outlive smfi_main.  False: libmilter refused.
 */
int session_register(const struct decision_maker *maker);

/*
 * Wait until no end-of-message is at work, at most timeout_ms.  To be called
 * after smfi_main has returned, which does not wait for callbacks.  True when
 * there is none left.
 */
int session_drain(int timeout_ms);

#endif
