/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "milter/mail_event.h"

#define MAILER_DAEMON "mailer-daemon"

/* Arguments that Postfix itself keeps in the queue file, or that say nothing
 * beyond the file (SIZE). */
static const char *const kept[] = {
    "SIZE=", "BODY=", "RET=", "ENVID=", "AUTH=", "XVERP=", NULL};

static int is_kept(const char *argument)
{
    unsigned i;

    for (i = 0; kept[i]; i++)
        if (!strncasecmp(argument, kept[i], strlen(kept[i])))
            return 1;
    return !strcasecmp(argument, "XVERP");
}

static void argument_note(struct mail_event *event, const char *argument)
{
    size_t i;

    if (!strcasecmp(argument, "SMTPUTF8")) {
        event->smtputf8 = 1;
    } else if (!strcasecmp(argument, "REQUIRETLS")) {
        event->requiretls = 1;
    } else if (!is_kept(argument) && !*event->unknown) {
        /* It goes into a log line: printable ASCII only. */
        for (i = 0; argument[i] && i < sizeof(event->unknown) - 1; i++)
            event->unknown[i] =
                isascii(argument[i]) && isprint((unsigned char)argument[i])
                    ? argument[i]
                    : '?';
        if (!i)
            strcpy(event->unknown, "(empty)");
    }
}

/* <@route:"local part"@domain.> to the form in which cleanup(8) writes it. */
static void sender_normalize(char *sender)
{
    size_t size = strlen(sender);
    char *from = sender, *to = sender, *end, *route;
    int quoted = 0;

    if (size >= 2 && sender[0] == '<' && sender[size - 1] == '>') {
        sender[size - 1] = 0;
        from++;
    }
    if (*from == '@' && (route = strchr(from, ':')))
        from = route + 1;
    end = strrchr(from, '@');
    for (; *from; from++) {
        if ((!end || from < end) && *from == '"') {
            quoted = !quoted;
            continue;
        }
        if ((!end || from < end) && quoted && *from == '\\' && from[1])
            from++;
        *to++ = *from;
    }
    if (to > sender && to[-1] == '.' && end)
        to--;
    *to = 0;
}

int mail_event_init(struct mail_event *event, char *const *argv,
                    const char *mail_addr)
{
    const char *typed = argv && argv[0] ? argv[0] : "";
    unsigned i;

    memset(event, 0, sizeof(*event));
    event->sender = strdup(mail_addr && *mail_addr ? mail_addr : typed);
    if (!event->sender)
        return ENOMEM;
    sender_normalize(event->sender);
    for (i = 1; argv && argv[0] && argv[i]; i++)
        argument_note(event, argv[i]);
    return 0;
}

void mail_event_clear(struct mail_event *event)
{
    free(event->sender);
    memset(event, 0, sizeof(*event));
}

int mail_event_sender_fits(const struct mail_event *event, const char *sender)
{
    const char *a = event->sender, *b = sender;
    const char *a_at = strrchr(a, '@'), *b_at = strrchr(b, '@');
    size_t local_size = sizeof(MAILER_DAEMON) - 1;

    if (!*b && !strncasecmp(a, MAILER_DAEMON, local_size) &&
        (!a[local_size] || a[local_size] == '@'))
        return 1;
    if (!a_at || !b_at)
        return !strcmp(a, b);
    return a_at - a == b_at - b && !memcmp(a, b, (size_t)(a_at - a)) &&
           !strcasecmp(a_at, b_at);
}
