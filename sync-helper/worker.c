/* SPDX-License-Identifier: MIT */
#include "sync-helper/worker.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WORKER_VARIABLE "SYNCQ_SYNC_WORKER" /* PARENT:DRAIN */

extern char **environ;

static size_t count_words(char **words)
{
    size_t count = 0;

    while (words[count] != NULL)
        count++;
    return count;
}

/* The words, and room for more; NULL at the end. */
static char **copy_words(char **words, size_t more)
{
    size_t count = count_words(words);
    char **copy = calloc(count + more + 1, sizeof *copy);

    if (copy != NULL)
        memcpy(copy, words, count * sizeof *copy);
    return copy;
}

int worker_start(char **argv, const struct config *config, int drain,
                 pid_t *pid)
{
    char *options[4] = {NULL, NULL, NULL, NULL}, *variable = NULL;
    char **words = copy_words(argv, 8), **variables = copy_words(environ, 1);
    size_t used = count_words(argv);
    int result = ENOMEM;

    if (words == NULL || variables == NULL ||
        asprintf(&options[0], "queue_directory=%s", config->queue_directory) <
            0 ||
        asprintf(&options[1], "run_directory=%s", config->run_directory) < 0 ||
        asprintf(&variable, "%s=%ld:%d", WORKER_VARIABLE, (long)getpid(),
                 drain) < 0)
        goto out;
    options[2] = strdup("queue_files=");
    options[3] = strdup("drain_files=");
    if (options[2] == NULL || options[3] == NULL)
        goto out;
    for (int i = 0; i < 4; i++) {
        static char option[] = "-o";

        words[used++] = option;
        words[used++] = options[i];
    }
    variables[count_words(environ)] = variable;
    result = posix_spawn(pid, "/proc/self/exe", NULL, NULL, words, variables);
    if (result != 0)
        *pid = 0;
out:
    for (int i = 0; i < 4; i++)
        free(options[i]);
    free(variable);
    free(words);
    free(variables);
    return result;
}

int worker_is(int *drain)
{
    const char *text = getenv(WORKER_VARIABLE);
    long parent;

    if (text == NULL || sscanf(text, "%ld:%d", &parent, drain) != 2)
        return 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0); /* it died a moment ago */
    return 1;
}
