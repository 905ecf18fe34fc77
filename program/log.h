/* SPDX-License-Identifier: MIT */
/*
 * log.h - log lines of the programs: syslog, a file, or standard error
 *
 * One line per event: "<queue id>: what, key=value".  Severity words go before
 * the text, as Postfix writes them: "warning: ", "error: ", "fatal: ".
 * Thread-safe.
 */
#ifndef SYNCQ_PROGRAM_LOG_H
#define SYNCQ_PROGRAM_LOG_H

enum log_level {
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL
};

/*
 * tag is the whole program name in the lines, e.g. "syncq/sync".  to_stderr:
 * write to standard error instead of syslog.  facility as in syslog.conf.
 * When the environment names POSTLOG_SERVICE, lines go to that socket instead,
 * as Postfix's own daemons do with maillog_file.
 */
void log_open(const char *tag, const char *facility, int to_stderr);

/* The syslog(3) number of a facility's name, or -1: no such name. */
int log_facility(const char *name);

/*
 * From now on lines of this thread begin with "subject: ", after the severity.
 * NULL: no more.  The text must live as long as lines are written.
 */
void log_set_subject(const char *subject);

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same at LOG_LEVEL_FATAL, then exit with the sysexits code. */
void log_fatal(int exit_code, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
