/* SPDX-License-Identifier: MIT */
#include "qmgr/gate_hold.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "qmgr/memory.h"

#define GATE_HOLD_FILE_SIZE_MAX (16u << 20) /* bytes read of one table */
#define GATE_HOLD_DELIMITERS    ", \t\r\n{}"

static int gate_hold_is_word(const char *at, const char *start)
{
    return strncasecmp(at, "HOLD", 4) == 0 &&
           (at == start || isspace((unsigned char)at[-1]) || at[-1] == '=' ||
            at[-1] == ':' || at[-1] == '{') &&
           (at[4] == '\0' || isspace((unsigned char)at[4]) || at[4] == ',' ||
            at[4] == '}');
}

static int gate_hold_in_line(const char *line, size_t size)
{
    const char *at;

    /* The key comes first; only what follows it can be an action. */
    for (at = line + 1; at < line + size; at++) {
        if (isspace((unsigned char)at[-1]) && gate_hold_is_word(at, line))
            return 1;
    }
    return 0;
}

int gate_hold_in_lines(const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        if (size > 0 && *text != '#' && gate_hold_in_line(text, size))
            return 1;
        text += size;
        text += *text == '\n';
    }
    return 0;
}

static int gate_hold_in_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text;
    size_t size;
    int found;

    if (file == NULL)
        return 0;
    text = memory_new(GATE_HOLD_FILE_SIZE_MAX + 1);
    size = fread(text, 1, GATE_HOLD_FILE_SIZE_MAX, file);
    (void)fclose(file);
    text[size] = '\0';
    found = gate_hold_in_lines(text);
    free(text);
    return found;
}

/* One word: "type:name". */
static int gate_hold_in_map(const char *map)
{
    const char *name = strchr(map, ':');

    if (name == NULL)
        return 0;
    name++;
    if (strncmp(map, "static:", 7) == 0)
        return strncasecmp(name, "HOLD", 4) == 0;
    return *name == '/' && gate_hold_in_file(name);
}

/* A HOLD in the text itself: inline:{ key = HOLD }, static:{HOLD text}. */
static int gate_hold_inline(const char *text)
{
    const char *at;

    if (strchr(text, '{') == NULL)
        return 0;
    for (at = text; *at != '\0'; at++) {
        if (gate_hold_is_word(at, text))
            return 1;
    }
    return 0;
}

int gate_hold_find(const char *text, char *where, size_t where_size)
{
    char *copy, *word, *rest;
    int found = 0;

    if (gate_hold_inline(text)) {
        (void)snprintf(where, where_size, "a table in the configuration");
        return 1;
    }
    copy = memory_text(text);
    for (word = strtok_r(copy, GATE_HOLD_DELIMITERS, &rest);
         word != NULL && !found;
         word = strtok_r(NULL, GATE_HOLD_DELIMITERS, &rest)) {
        found = gate_hold_in_map(word);
        if (found)
            (void)snprintf(where, where_size, "%s", word);
    }
    free(copy);
    return found;
}
