/* SPDX-License-Identifier: MIT */
/*
 * mail_load.c - send many mails by SMTP, and check what arrived
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "tests/mail_compare.h"
#include "tests/mail_send.h"

#define EXIT_FINDINGS 1 /* something is missing, doubled, altered, refused */
#define BAR_WIDTH     40

static const char help[] =
    "Usage: mail-load [OPTION]... --port PORT\n"
    "       mail-load --compare LOG [--allow-duplicates] DIR\n"
    "Send mails by SMTP, or compare the log of that with what mail-sink kept.\n"
    "Ends with 0 only if all mails were accepted, or arrived.\n\n"
    "      --port PORT         the server\n"
    "      --host ADDRESS      its IPv4 address [127.0.0.1]\n"
    "      --count N           send so many made-up mails [100]\n"
    "      --mail DIR          send the files of DIR instead, one recipient "
    "each\n"
    "      --sessions N        over so many connections [10]\n"
    "      --per-connection N  mails, before a new one is made [no limit]\n"
    "      --domains N         to recipients in so many domains [10]\n"
    "      --sender ADDRESS    from this address [load@load.test]\n"
    "      --seed N            for the made-up mails [1]\n"
    "      --retry             try again after a 4xx answer\n"
    "      --log FILE          write number, recipient, digest, code of each\n"
    "      --compare LOG       compare with the mails in DIR\n"
    "      --allow-duplicates  a mail may arrive more than once\n"
    "      --help              show this text\n";

enum {
    OPTION_PORT = 256,
    OPTION_HOST,
    OPTION_COUNT,
    OPTION_MAIL,
    OPTION_SESSIONS,
    OPTION_PER_CONNECTION,
    OPTION_DOMAINS,
    OPTION_SENDER,
    OPTION_SEED,
    OPTION_RETRY,
    OPTION_LOG,
    OPTION_COMPARE,
    OPTION_DUPLICATES,
    OPTION_HELP
};

static const struct option options[] = {
    {"port", required_argument, NULL, OPTION_PORT},
    {"host", required_argument, NULL, OPTION_HOST},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"mail", required_argument, NULL, OPTION_MAIL},
    {"sessions", required_argument, NULL, OPTION_SESSIONS},
    {"per-connection", required_argument, NULL, OPTION_PER_CONNECTION},
    {"domains", required_argument, NULL, OPTION_DOMAINS},
    {"sender", required_argument, NULL, OPTION_SENDER},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"retry", no_argument, NULL, OPTION_RETRY},
    {"log", required_argument, NULL, OPTION_LOG},
    {"compare", required_argument, NULL, OPTION_COMPARE},
    {"allow-duplicates", no_argument, NULL, OPTION_DUPLICATES},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

struct arguments {
    struct mail_source source;
    struct mail_send_options send;
    const char *mail_directory;
    const char *log;
    const char *compare;
    int allow_duplicates;
};

static void usage(const char *what)
{
    fprintf(stderr, "mail-load: %s; see --help\n", what);
    exit(EX_USAGE);
}

static void fail(const char *subject, int error)
{
    fprintf(stderr, "mail-load: %s: %s\n", subject, strerror(error));
    exit(EX_IOERR);
}

static unsigned long number(unsigned long min, unsigned long max)
{
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(optarg, &end, 10);
    if (errno != 0 || *optarg < '0' || *optarg > '9' || *end != '\0' ||
        value < min || value > max)
        usage("not a number, or out of range");
    return value;
}

/* Options with a number. */
static void option_number(struct arguments *arguments, int option)
{
    if (option == OPTION_PORT)
        arguments->send.port = (uint16_t)number(1, UINT16_MAX);
    else if (option == OPTION_COUNT)
        arguments->source.count = number(0, 100000000);
    else if (option == OPTION_SESSIONS)
        arguments->send.sessions = number(1, 10000);
    else if (option == OPTION_PER_CONNECTION)
        arguments->send.per_connection = number(1, 1000000);
    else if (option == OPTION_DOMAINS)
        arguments->source.domain_count = number(1, 1000000);
    else if (option == OPTION_SEED)
        arguments->source.seed = number(0, UINT32_MAX);
}

static void option_take(struct arguments *arguments, int option)
{
    if (option == OPTION_HOST)
        arguments->send.host = optarg;
    else if (option == OPTION_MAIL)
        arguments->mail_directory = optarg;
    else if (option == OPTION_SENDER)
        arguments->send.sender = optarg;
    else if (option == OPTION_RETRY)
        arguments->send.retry = 1;
    else if (option == OPTION_LOG)
        arguments->log = optarg;
    else if (option == OPTION_COMPARE)
        arguments->compare = optarg;
    else if (option == OPTION_DUPLICATES)
        arguments->allow_duplicates = 1;
    else if (option == OPTION_HELP)
        exit(fputs(help, stdout) == EOF ? EX_IOERR : 0);
    else if (option == '?')
        exit(EX_USAGE); /* getopt has said what is wrong */
    else
        option_number(arguments, option);
}

static void progress_show(size_t done, size_t total)
{
    static size_t shown = SIZE_MAX; /* one bar on one terminal */
    size_t part = done * BAR_WIDTH / total;

    if (part == shown)
        return;
    shown = part;
    fprintf(stderr, "\r[%-*.*s] %zu/%zu%s", BAR_WIDTH, (int)part,
            "########################################", done, total,
            done == total ? "\n" : "");
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int load(struct arguments *arguments)
{
    struct mail_send_options *send = &arguments->send;
    struct mail_send_result result;
    double start;
    int error = 0;

    if (send->port == 0)
        usage("--port is missing");
    if (arguments->mail_directory != NULL &&
        (error = mail_source_open(&arguments->source,
                                  arguments->mail_directory)) != 0)
        fail(arguments->mail_directory, error);
    if (arguments->log != NULL &&
        (send->log = fopen(arguments->log, "w")) == NULL)
        fail(arguments->log, errno);
    if (isatty(STDERR_FILENO))
        send->progress = progress_show;
    start = now_s();
    error = mail_send(send, &result);
    if (send->log != NULL && fclose(send->log) != 0 && error == 0)
        error = errno;
    if (error != 0)
        fail("cannot go on", error);
    printf("sent: accepted %zu, refused %zu, unanswered %zu, %.1f s\n",
           result.accepted, result.refused, result.unknown, now_s() - start);
    if (result.refused > 0)
        printf("last refusal: %s\n", result.last_text);
    error = result.accepted != arguments->source.count;
    if (arguments->mail_directory != NULL)
        mail_source_clear(&arguments->source);
    return error ? EXIT_FINDINGS : 0;
}

static int compare(const struct arguments *arguments, const char *directory)
{
    struct mail_comparison result;
    int error = mail_compare(arguments->compare, directory,
                             arguments->allow_duplicates, &result);

    if (error != 0)
        fail("cannot compare", error);
    printf("compared: accepted %zu, delivered %zu, missing %zu, doubled %zu, "
           "altered %zu, unexpected %zu\n",
           result.accepted, result.delivered, result.missing, result.doubled,
           result.altered, result.unexpected);
    if (result.missing + result.altered + result.unexpected > 0 ||
        (result.doubled > 0 && !arguments->allow_duplicates))
        return EXIT_FINDINGS;
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .source = {.seed = 1, .count = 100, .domain_count = 10},
        .send = {
            .host = "127.0.0.1", .sessions = 10, .sender = "load@load.test"}};
    int option;

    (void)signal(SIGPIPE, SIG_IGN);
    arguments.send.source = &arguments.source;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        option_take(&arguments, option);
    if (arguments.compare == NULL && optind == argc)
        return load(&arguments);
    if (arguments.compare == NULL || optind + 1 != argc)
        usage("wrong number of words");
    return compare(&arguments, argv[optind]);
}
