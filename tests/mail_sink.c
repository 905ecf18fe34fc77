/* SPDX-License-Identifier: MIT */
/*
 * mail_sink.c - receive mail by SMTP or LMTP and keep every byte of it
 *
 * The n-th mail that is answered 250 is DIR/n.eml, as it was on the wire but
 * for the dots added to lines that start with one, beside DIR/n.env: the MAIL
 * and RCPT commands that were accepted, one in each line.  Both files are in
 * place before the 250 is sent, the .eml last, so whoever sees it sees all.
 * With LMTP a mail is one file whatever its number of recipients.
 *
 * One line on standard output, "listening on ADDRESS:PORT", says that clients
 * may come.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "tests/mail_receive.h"

/* What the command line says, beside the sink itself. */
struct place {
    const char *directory;
    const char *address;
    uint16_t port;
};

static const char help[] =
    "Usage: mail-sink -p PORT -d DIR [OPTION]...\n"
    "Receive mail and keep it as DIR/<n>.eml with its envelope DIR/<n>.env.\n\n"
    "  -p, --port PORT          listen here; 0 takes a free port\n"
    "  -a, --address ADDRESS    and at this IPv4 address [127.0.0.1]\n"
    "  -d, --dir DIR            keep the mail here\n"
    "      --lmtp               speak LMTP instead of SMTP\n"
    "      --dsn                offer DSN\n"
    "      --reject-after N     keep N mails, answer 451 to all others\n"
    "      --tempfail PATTERN   answer 450 to recipients that match\n"
    "      --fail PATTERN       answer 550 to recipients that match\n"
    "      --help               show this text\n";

enum {
    OPTION_LMTP = 256,
    OPTION_DSN,
    OPTION_AFTER,
    OPTION_TEMPFAIL,
    OPTION_FAIL,
    OPTION_HELP
};

static const struct option options[] = {
    {"port", required_argument, NULL, 'p'},
    {"address", required_argument, NULL, 'a'},
    {"dir", required_argument, NULL, 'd'},
    {"lmtp", no_argument, NULL, OPTION_LMTP},
    {"dsn", no_argument, NULL, OPTION_DSN},
    {"reject-after", required_argument, NULL, OPTION_AFTER},
    {"tempfail", required_argument, NULL, OPTION_TEMPFAIL},
    {"fail", required_argument, NULL, OPTION_FAIL},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static void usage(const char *what)
{
    fprintf(stderr, "mail-sink: %s; see --help\n", what);
    exit(EX_USAGE);
}

static long number(const char *text, long max)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0 || value > max)
        usage("not a number, or out of range");
    return value;
}

static void pattern_add(struct sink *sink, const char *text, const char *answer)
{
    if (sink->pattern_count == PATTERNS_MAX)
        usage("too many patterns");
    sink->patterns[sink->pattern_count++] = (struct pattern){text, answer};
}

static void option_take(struct sink *sink, struct place *place, int option)
{
    if (option == 'p')
        place->port = (uint16_t)number(optarg, UINT16_MAX);
    else if (option == 'a')
        place->address = optarg;
    else if (option == 'd')
        place->directory = optarg;
    else if (option == OPTION_LMTP)
        sink->lmtp = 1;
    else if (option == OPTION_DSN)
        sink->dsn = 1;
    else if (option == OPTION_AFTER)
        sink->reject_after = number(optarg, 1000000000);
    else if (option == OPTION_TEMPFAIL)
        pattern_add(sink, optarg, "450 4.2.0 come again");
    else if (option == OPTION_FAIL)
        pattern_add(sink, optarg, "550 5.1.1 no such user");
    else if (option == OPTION_HELP)
        exit(fputs(help, stdout) == EOF ? EX_IOERR : 0);
    else
        exit(EX_USAGE); /* getopt has said what is wrong */
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *address, int size, void *context)
{
    (void)listener, (void)address, (void)size;
    session_start(context, fd);
}

/* Listen, and say so. */
static struct evconnlistener *sink_listen(struct sink *sink,
                                          const struct place *place)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(place->port)};
    socklen_t size = sizeof(address);
    struct evconnlistener *listener;

    if (inet_pton(AF_INET, place->address, &address.sin_addr) != 1)
        usage("not an IPv4 address");
    listener = evconnlistener_new_bind(
        sink->base, on_connection, sink,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC, 512,
        (struct sockaddr *)&address, sizeof(address));
    if (listener == NULL ||
        getsockname(evconnlistener_get_fd(listener),
                    (struct sockaddr *)&address, &size) != 0) {
        fprintf(stderr, "mail-sink: %s port %u: %s\n", place->address,
                place->port, strerror(errno));
        exit(EX_UNAVAILABLE);
    }
    printf("listening on %s:%u\n", place->address, ntohs(address.sin_port));
    (void)fflush(stdout); /* nobody may be reading it */
    return listener;
}

/* Numbers go on where an earlier run stopped. */
static long last_number(void)
{
    DIR *directory = opendir(".");
    const struct dirent *entry;
    long last = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        long found = strtol(entry->d_name, NULL, 10);

        if (found > last)
            last = found;
    }
    if (directory != NULL)
        (void)closedir(directory);
    return last;
}

static void on_signal(evutil_socket_t number_of_signal, short what,
                      void *context)
{
    (void)number_of_signal, (void)what;
    event_base_loopbreak(context);
}

int main(int argc, char **argv)
{
    struct sink sink = {.reject_after = -1};
    struct place place = {.address = "127.0.0.1"};
    int option;

    while ((option = getopt_long(argc, argv, "p:a:d:", options, NULL)) != -1)
        option_take(&sink, &place, option);
    if (optind != argc || place.directory == NULL)
        usage("-d is missing, or there are too many words");
    if (chdir(place.directory) != 0) {
        fprintf(stderr, "mail-sink: %s: %s\n", place.directory,
                strerror(errno));
        return EX_NOINPUT;
    }
    sink.last = last_number();
    (void)signal(SIGPIPE, SIG_IGN);
    sink.base = event_base_new();
    if (sink.base == NULL)
        return EX_OSERR;
    struct evconnlistener *listener = sink_listen(&sink, &place);
    struct event *term = evsignal_new(sink.base, SIGTERM, on_signal, sink.base);
    struct event *interrupt =
        evsignal_new(sink.base, SIGINT, on_signal, sink.base);
    if (term == NULL || interrupt == NULL || evsignal_add(term, NULL) != 0 ||
        evsignal_add(interrupt, NULL) != 0)
        return EX_OSERR;
    event_base_dispatch(sink.base);
    session_end_all(&sink);
    event_free(term);
    event_free(interrupt);
    evconnlistener_free(listener);
    event_base_free(sink.base);
    return 0;
}
