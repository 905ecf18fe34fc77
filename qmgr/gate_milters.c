/* SPDX-License-Identifier: MIT */
#include "qmgr/gate_milters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmgr/memory.h"

/*
 * One way to write a socket: "unix:/absolute/path" or "inet:HOST:PORT".
 * Ours comes as libmilter writes it, inet:PORT@HOST; free() the result.
 */
static char *gate_milter_name(const char *socket, const char *queue_directory)
{
    const char *colon = strchr(socket, ':');
    const char *at = strchr(socket, '@');

    if (colon == NULL)
        return memory_text(socket);
    if (strncmp(socket, "inet", 4) == 0) {
        if (at == NULL)
            return memory_print("inet:%s", colon + 1);
        return memory_print("inet:%s:%.*s", at + 1, (int)(at - colon - 1),
                            colon + 1);
    }
    if (colon[1] == '/')
        return memory_print("unix:%s", colon + 1);
    return memory_print("unix:%s/%s", queue_directory, colon + 1);
}

/* The next milter of the list, without its own parameters, or NULL. */
static char *gate_milter_next(const char **list)
{
    const char *at = *list + strspn(*list, ", \t\r\n");
    char *name;

    if (*at == '\0')
        return NULL;
    if (*at == '{') {
        const char *end = at + strcspn(at, "}");
        const char *start = at + 1 + strspn(at + 1, " \t\r\n");
        size_t size = strcspn(start, ", \t\r\n}");

        name = memory_print("%.*s", (int)size, start);
        *list = *end == '}' ? end + 1 : end;
        return name;
    }
    name = memory_print("%.*s", (int)strcspn(at, ", \t\r\n"), at);
    *list = at + strlen(name);
    return name;
}

int gate_milters_follow(const char *list, const char *ours,
                        const char *queue_directory)
{
    char *wanted = gate_milter_name(ours, queue_directory);
    char *item;
    int found = 0, follows = 0;

    while ((item = gate_milter_next(&list)) != NULL) {
        char *name = gate_milter_name(item, queue_directory);

        if (found)
            follows = 1;
        else
            found = strcmp(name, wanted) == 0;
        free(name);
        free(item);
    }
    free(wanted);
    return follows;
}
