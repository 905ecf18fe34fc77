/* SPDX-License-Identifier: MIT */
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "milter/session.h"
#include "program/log.h"

#define REPLY_TIME_MS 100 /* for libmilter to send what a callback returned */

/* libmilter passes no pointer of ours to a new session. */
static const struct decision_maker *maker;

/* End-of-message callbacks that are running. */
static pthread_mutex_t running_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t running_changed = PTHREAD_COND_INITIALIZER;
static unsigned running;

static void running_add(int count)
{
    pthread_mutex_lock(&running_mutex);
    running += (unsigned)count;
    pthread_cond_broadcast(&running_changed);
    pthread_mutex_unlock(&running_mutex);
}

/* Events that are never needed.  Asking for one that the MTA does not know
 * ends the session, so only those that it offers are asked for. */
static const unsigned long unwanted =
    SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NORCPT | SMFIP_NODATA |
    SMFIP_NOUNKNOWN | SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY;

/* smfi_setsymlist wants a char *, and copies it. */
static int macros_ask(SMFICTX *session, int stage, const char *names)
{
    char copy[32];
    size_t i;

    for (i = 0; names[i] && i < sizeof(copy) - 1; i++)
        copy[i] = names[i];
    copy[i] = 0;
    return smfi_setsymlist(session, stage, copy) == MI_SUCCESS;
}

/*
 * Two macros are wanted.  Postfix takes an empty list for no wish at all and
 * looks up its own; so the other stages are asked for a name that nobody has.
 */
static int macros_choose(SMFICTX *session)
{
    static const int unused[] = {SMFIM_CONNECT, SMFIM_HELO, SMFIM_ENVRCPT,
                                 SMFIM_DATA};
    size_t i;

    for (i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        if (!macros_ask(session, unused[i], "{syncq_none}"))
            return 0;
    }
    return macros_ask(session, SMFIM_ENVFROM, "{mail_addr}") &&
           macros_ask(session, SMFIM_EOM, "i");
}

static sfsistat on_negotiate(SMFICTX *session, unsigned long actions,
                             unsigned long protocol, unsigned long unused1,
                             unsigned long unused2, unsigned long *want_actions,
                             unsigned long *want_protocol, unsigned long *want1,
                             unsigned long *want2)
{
    (void)unused1;
    (void)unused2;
    /* No action that changes a mail: a bug here cannot alter one. */
    *want_actions = actions & SMFIF_SETSYMLIST;
    /* libmilter fakes NR_MAIL for an MTA that wants a reply. */
    *want_protocol = (protocol & unwanted) | SMFIP_NR_MAIL;
    *want1 = *want2 = 0;
    if (*want_actions && !macros_choose(session))
        log_warning("out of memory: the MTA's macros cannot be chosen");
    return SMFIS_CONTINUE;
}

static void event_free(SMFICTX *session)
{
    struct mail_event *event = smfi_getpriv(session);

    if (!event)
        return;
    smfi_setpriv(session, NULL);
    mail_event_clear(event);
    free(event);
}

/* Nothing can be answered here; without an event the mail is let through. */
static sfsistat on_mail(SMFICTX *session, char **argv)
{
    char macro[] = "{mail_addr}";
    struct mail_event *event;

    event_free(session);
    event = malloc(sizeof(*event));
    if (event && mail_event_init(event, argv, smfi_getsymval(session, macro))) {
        free(event);
        event = NULL;
    }
    smfi_setpriv(session, event);
    return SMFIS_NOREPLY;
}

static int progress_send(void *context)
{
    return smfi_progress(context) == MI_SUCCESS;
}

static sfsistat decision_answer(SMFICTX *session, enum decision decision)
{
    static char code[] = "451", status[] = "4.3.0",
                text[] = "Mail queue not available, try again later";

    switch (decision) {
    case DECISION_DISCARD:
        return SMFIS_DISCARD;
    case DECISION_TEMPFAIL:
        (void)smfi_setreply(session, code, status, text); /* 451 anyway */
        return SMFIS_TEMPFAIL;
    case DECISION_ACCEPT:
        break;
    }
    return SMFIS_ACCEPT;
}

static sfsistat on_end_of_message(SMFICTX *session)
{
    char macro[] = "i";
    enum decision decision;

    running_add(1);
    decision = decision_make(maker, smfi_getsymval(session, macro),
                             smfi_getpriv(session), progress_send, session);
    event_free(session);
    running_add(-1);
    return decision_answer(session, decision);
}

static sfsistat on_abort(SMFICTX *session)
{
    event_free(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *session)
{
    event_free(session);
    return SMFIS_CONTINUE;
}

int session_register(const struct decision_maker *decision_maker)
{
    static char name[] = "syncq-milter";
    struct smfiDesc description = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_SETSYMLIST,
        .xxfi_envfrom = on_mail,
        .xxfi_eom = on_end_of_message,
        .xxfi_abort = on_abort,
        .xxfi_close = on_close,
        .xxfi_negotiate = on_negotiate,
    };

    maker = decision_maker;
    return smfi_register(description) == MI_SUCCESS;
}

int session_drain(int timeout_ms)
{
    struct timespec end, reply_time = {0, REPLY_TIME_MS * 1000000L};
    int result = 0, drained;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += timeout_ms / 1000;
    pthread_mutex_lock(&running_mutex);
    while (running && !result)
        result = pthread_cond_timedwait(&running_changed, &running_mutex, &end);
    drained = !running;
    pthread_mutex_unlock(&running_mutex);
    /* libmilter sends the answer after the callback and has no event for it.
     * An answer that is cut off is safe, but may mean a second delivery. */
    nanosleep(&reply_time, NULL);
    return drained;
}
