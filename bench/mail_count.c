/* SPDX-License-Identifier: MIT */
/*
 * mail_count.c - say when smtp-sink(1) has got so many mails
 *
 *   smtp-sink -c ... | mail-count STEP
 *
 * The sink rewrites its counters, "sess=N quit=N mesg=N\r", at each event.  At
 * every multiple of STEP mails this prints their number on a line of its own,
 * and so keeps the sink's pipe empty without work for the shell.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define COUNTER "mesg="

/* The number between the last COUNTER and end; 0: none. */
static uint64_t count_of(const char *text, const char *end)
{
    const char *at = NULL, *next = text;

    while ((next = strstr(next, COUNTER)) != NULL && next < end)
        at = next += strlen(COUNTER);
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* Look at all whole records; how many bytes that were. */
static size_t look(char *text, size_t size, uint64_t step, uint64_t *told)
{
    size_t done = 0;
    char *end;

    while ((end = memchr(text + done, '\r', size - done)) != NULL) {
        uint64_t count;

        *end = '\0';
        count = count_of(text + done, end);
        if (count / step > *told) {
            *told = count / step;
            printf("%llu\n", (unsigned long long)(*told * step));
            (void)fflush(stdout);
        }
        done = (size_t)(end - text) + 1;
    }
    return done;
}

int main(int argc, char *argv[])
{
    char text[4096];
    size_t size = 0;
    uint64_t told = 0, step = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
    ssize_t got;

    if (step == 0)
        return EX_USAGE;
    while ((got = read(STDIN_FILENO, text + size, sizeof(text) - size)) > 0 ||
           (got < 0 && errno == EINTR)) {
        size_t done;

        if (got < 0)
            continue;
        size += (size_t)got;
        done = look(text, size, step, &told);
        size -= done;
        memmove(text, text + done, size);
        if (size == sizeof(text))
            return EX_DATAERR; /* no counters */
    }
    return 0;
}
