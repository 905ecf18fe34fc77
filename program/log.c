/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "program/log.h"

#define LINE_SIZE     2048 /* bytes: severity and text */
#define POSTLOG_SIZE  2000 /* bytes: what postlogd takes of one line */
#define SEND_LIMIT_S  2    /* a postlogd that is stuck must not stop us */
#define TAG_SIZE      128
#define HOSTNAME_SIZE 256

/* Written by log_open() alone, before there are threads. */
static struct {
    char tag[TAG_SIZE];
    char hostname[HOSTNAME_SIZE];
    struct sockaddr_un postlog;
    int postlog_fd; /* 0: not in use */
    int to_stderr;
} target = {.tag = "syncq", .to_stderr = 1};

static const struct {
    const char *name;
    int value;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"kern", LOG_KERN},
    {"lpr", LOG_LPR},       {"mail", LOG_MAIL},         {"news", LOG_NEWS},
    {"syslog", LOG_SYSLOG}, {"user", LOG_USER},         {"uucp", LOG_UUCP},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},     {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

static _Thread_local const char *thread_subject;

void log_set_subject(const char *subject)
{
    thread_subject = subject;
}

int log_facility(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
        if (!strcmp(facilities[i].name, name))
            return facilities[i].value;
    return -1;
}

static void open_postlog(const char *path)
{
    const struct timeval limit = {.tv_sec = SEND_LIMIT_S};
    const char *hostname = getenv("POSTLOG_HOSTNAME");
    size_t size = strlen(path);

    if (size >= sizeof(target.postlog.sun_path))
        return;
    target.postlog.sun_family = AF_UNIX;
    memcpy(target.postlog.sun_path, path, size + 1);
    if (hostname)
        snprintf(target.hostname, HOSTNAME_SIZE, "%s", hostname);
    else if (gethostname(target.hostname, HOSTNAME_SIZE - 1) < 0)
        strcpy(target.hostname, "localhost");
    target.hostname[strcspn(target.hostname, ".")] = 0;

    target.postlog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (target.postlog_fd <= 0) {
        target.postlog_fd = 0;
        return;
    }
    /* Without the limit a send may take longer; nothing else is lost. */
    (void)setsockopt(target.postlog_fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
                     sizeof(limit));
}

void log_open(const char *tag, const char *facility, int to_stderr)
{
    const char *postlog = getenv("POSTLOG_SERVICE");
    int value = log_facility(facility);

    snprintf(target.tag, TAG_SIZE, "%s", tag);
    target.to_stderr = to_stderr;
    if (target.postlog_fd > 0)
        close(target.postlog_fd);
    target.postlog_fd = 0;
    if (to_stderr)
        return;
    if (postlog && *postlog)
        open_postlog(postlog);
    /* Also with postlog: the way out when its socket does not answer. */
    openlog(target.tag, LOG_PID | LOG_NDELAY, value < 0 ? LOG_MAIL : value);
}

/* What a client sent must not become a line of its own, or steer a terminal. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static int send_to_postlog(const char *line)
{
    char datagram[POSTLOG_SIZE + TAG_SIZE + HOSTNAME_SIZE + 64], date[32];
    time_t now = time(NULL);
    struct tm local;
    int size;

    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%b %d %H:%M:%S", &local);
    size = snprintf(datagram, sizeof(datagram), "%s %s %s[%d]: %.*s", date,
                    target.hostname, target.tag, (int)getpid(), POSTLOG_SIZE,
                    line);
    if (size < 0)
        return EINVAL;
    if (sendto(target.postlog_fd, datagram, (size_t)size, MSG_NOSIGNAL,
               (const struct sockaddr *)&target.postlog,
               sizeof(target.postlog)) < 0)
        return errno;
    return 0;
}

static void write_to_stderr(const char *line)
{
    char text[LINE_SIZE + TAG_SIZE + 8];
    int size = snprintf(text, sizeof(text), "%s: %s\n", target.tag, line);

    /* One write, so that lines of threads do not mix; where standard error
     * is gone there is nobody left to tell. */
    if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
        return;
}

static void __attribute__((format(printf, 2, 0)))
write_line(enum log_level level, const char *format, va_list arguments)
{
    static const char *const words[] = {"", "warning: ", "error: ", "fatal: "};
    static const int priorities[] = {LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT};
    int saved_errno = errno;
    char line[LINE_SIZE];
    size_t size = (size_t)snprintf(line, LINE_SIZE / 2, "%s%s%s", words[level],
                                   thread_subject ? thread_subject : "",
                                   thread_subject ? ": " : "");

    if (size >= LINE_SIZE / 2)
        size = LINE_SIZE / 2 - 1;
    vsnprintf(line + size, LINE_SIZE - size, format, arguments);
    make_printable(line);
    if (target.to_stderr)
        write_to_stderr(line);
    else if (target.postlog_fd <= 0 || send_to_postlog(line))
        syslog(priorities[level], "%s", line);
    errno = saved_errno;
}

void log_info(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_INFO, format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_WARNING, format, arguments);
    va_end(arguments);
}

void log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_ERROR, format, arguments);
    va_end(arguments);
}

void log_fatal(int exit_code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_FATAL, format, arguments);
    va_end(arguments);
    exit(exit_code);
}
