/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/json.h"

static void keep(json_t **container, int failed)
{
    if (!failed)
        return;
    json_decref(*container);
    *container = NULL;
}

void json_add(json_t **object, const char *name, json_t *value)
{
    keep(object, json_object_set_new(*object, name, value));
}

void json_append(json_t **array, json_t *value)
{
    keep(array, json_array_append_new(*array, value));
}

json_t *json_text(const char *text)
{
    json_t *string = json_string(text);
    char *copy, *byte;

    if (string)
        return string;
    copy = strdup(text);
    if (!copy)
        return NULL;
    for (byte = copy; *byte; byte++)
        if ((unsigned char)*byte >= 0x80)
            *byte = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

int json_print(json_t *object)
{
    if (!object)
        return ENOMEM;
    /* A failed write shows in ferror(stdout), which is looked at once. */
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
    putchar('\n');
    return 0;
}
