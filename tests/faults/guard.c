/* SPDX-License-Identifier: MIT */
#include "tests/faults/guard.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void __wrap_log_info(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void __wrap_log_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static struct {
    struct findings *findings; /* NULL: no case runs */
    char text[256];
    pid_t pid; /* a child of the case is none of ours */
    int ready;
} guard;

static void report(const char *what)
{
    struct findings *findings = guard.findings;

    if (findings == NULL || guard.pid != getpid())
        return;
    guard.findings = NULL;
    findings_add(findings, FINDING_STUCK, guard.text, "%s", what);
    (void)findings_end(findings);
    (void)fflush(NULL);
}

/* What is called here may not be called in a signal handler by the book; the
 * process is lost anyway, and mostly it works. */
static void on_signal(int number)
{
    (void)signal(number, SIG_DFL);
    report(number == SIGALRM ? "takes too long" : strsignal(number));
    _exit(1);
}

static void on_exit_early(void)
{
    report("the process ended: an assertion did not hold");
}

static void prepare(void)
{
    static const int numbers[] = {SIGALRM, SIGSEGV, SIGBUS,
                                  SIGABRT, SIGFPE,  SIGILL};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction action = {.sa_handler = on_signal};

        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)atexit(on_exit_early);
    guard.ready = 1;
}

void guard_begin(struct findings *findings, const char *case_text)
{
    if (!guard.ready)
        prepare();
    (void)snprintf(guard.text, sizeof guard.text, "%s", case_text);
    guard.pid = getpid();
    guard.findings = findings;
    (void)alarm(GUARD_TIME_S);
}

void guard_end(void)
{
    (void)alarm(0);
    guard.findings = NULL;
}

static void log_line(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

static void log_line(const char *format, va_list arguments)
{
    if (guard.findings == NULL || !guard.findings->verbose)
        return;
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
}

void __wrap_log_info(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}

void __wrap_log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}

int case_is_chosen(const struct findings *findings, const char *case_text)
{
    if (findings->only != NULL && strcmp(findings->only, case_text) != 0)
        return 0;
    if (findings->verbose)
        (void)printf("case %s\n", case_text);
    return 1;
}
