/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "postfix/parameters.h"
#include "postfix/postconf.h"

#define NAME_SIZE_MAX 256 /* bytes: of a per-transport name */

struct parameter {
    char *name, *value;
};

struct parameters {
    struct parameter *list; /* sorted by name, each name once */
    size_t count;
    unsigned version;
};

static int compare(const void *left, const void *right)
{
    const struct parameter *a = left, *b = right;

    return strcmp(a->name, b->name);
}

static int compare_name(const void *name, const void *parameter)
{
    return strcmp(name, ((const struct parameter *)parameter)->name);
}

static struct parameter *find(const struct parameters *parameters,
                              const char *name)
{
    if (!parameters->count)
        return NULL;
    return bsearch(name, parameters->list, parameters->count,
                   sizeof(*parameters->list), compare_name);
}

static void release(struct parameter *parameter)
{
    free(parameter->name);
    free(parameter->value);
}

void parameters_free(struct parameters *parameters)
{
    size_t i;

    if (!parameters)
        return;
    for (i = 0; i < parameters->count; i++)
        release(&parameters->list[i]);
    free(parameters->list);
    free(parameters);
}

static size_t count_lines(const char *text)
{
    size_t count = 1;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Cut blanks off both ends of size bytes; a copy. */
static char *copy_trimmed(const char *text, size_t size)
{
    while (size && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    while (size && isspace((unsigned char)text[size - 1]))
        size--;
    return strndup(text, size);
}

/* A line without '=' is not a parameter, and skipped. */
static int add_line(struct parameters *parameters, const char *line,
                    size_t size)
{
    const char *equals = memchr(line, '=', size);
    struct parameter *parameter = &parameters->list[parameters->count];

    if (!equals)
        return 0;
    parameter->name = copy_trimmed(line, (size_t)(equals - line));
    parameter->value =
        copy_trimmed(equals + 1, size - (size_t)(equals + 1 - line));
    if (!parameter->name || !parameter->value) {
        release(parameter);
        return ENOMEM;
    }
    parameters->count++;
    return 0;
}

static void sort(struct parameters *parameters)
{
    struct parameter *list = parameters->list;
    size_t i, kept = 0;

    if (!parameters->count)
        return;
    qsort(list, parameters->count, sizeof(*list), compare);
    for (i = 1; i < parameters->count; i++) {
        if (!compare(&list[kept], &list[i]))
            release(&list[i]);
        else
            list[++kept] = list[i];
    }
    parameters->count = kept + 1;
}

int parameters_parse(const char *text, struct parameters **parameters)
{
    struct parameters *result = calloc(1, sizeof(*result));
    int error = ENOMEM;
    size_t size;

    if (!result)
        goto out;
    result->list = calloc(count_lines(text), sizeof(*result->list));
    if (!result->list)
        goto out;
    while (*text) {
        size = strcspn(text, "\n");
        error = add_line(result, text, size);
        if (error)
            goto out;
        text += size + (text[size] == '\n');
    }
    sort(result);
    *parameters = result;
    result = NULL;
    error = 0;
out:
    parameters_free(result);
    return error;
}

static unsigned parse_version(const char *text)
{
    unsigned major, minor;

    return sscanf(text, "%u.%u", &major, &minor) == 2 ? major * 100 + minor : 0;
}

int parameters_load(const char *config_directory,
                    struct parameters **parameters)
{
    const char *const all[] = {"-x", NULL};
    /* main.cf may say something else about the version, -d does not. */
    const char *const version[] = {"-dh", "mail_version", NULL};
    char *text = NULL, *version_text = NULL;
    int error;

    error = postconf_run(config_directory, version, &version_text);
    if (!error)
        error = postconf_run(config_directory, all, &text);
    if (!error)
        error = parameters_parse(text, parameters);
    if (!error)
        (*parameters)->version = parse_version(version_text);
    free(version_text);
    free(text);
    return error;
}

int parameters_set(struct parameters *parameters, const char *name,
                   const char *value)
{
    struct parameter *parameter = find(parameters, name), *list;
    struct parameter added = {.value = strdup(value)};

    if (!added.value)
        return ENOMEM;
    if (parameter) {
        free(parameter->value);
        parameter->value = added.value;
        return 0;
    }
    added.name = strdup(name);
    list = added.name ? reallocarray(parameters->list, parameters->count + 1,
                                     sizeof(*list))
                      : NULL;
    if (!list) {
        release(&added);
        return ENOMEM;
    }
    parameters->list = list;
    list[parameters->count++] = added;
    sort(parameters);
    return 0;
}

const char *parameters_text(const struct parameters *parameters,
                            const char *name, const char *fallback)
{
    const struct parameter *parameter = find(parameters, name);

    return parameter ? parameter->value : fallback;
}

int parameters_bool(const struct parameters *parameters, const char *name,
                    int fallback)
{
    const char *text = parameters_text(parameters, name, "");

    if (!strcasecmp(text, "yes"))
        return 1;
    if (!strcasecmp(text, "no"))
        return 0;
    return fallback;
}

/* A number and what follows it.  False: there is none, or too large a one. */
static int split_number(const char *text, int64_t *number, const char **rest)
{
    char *end;

    errno = 0;
    *number = strtoimax(text, &end, 10);
    *rest = end;
    return end != text && !errno;
}

int64_t parameters_number(const struct parameters *parameters, const char *name,
                          int64_t fallback)
{
    const char *rest;
    int64_t number;

    if (!split_number(parameters_text(parameters, name, ""), &number, &rest) ||
        *rest)
        return fallback;
    return number;
}

/* Seconds in a unit; 0: no such unit. */
static int64_t unit_seconds(int unit)
{
    switch (tolower(unit)) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 24 * 3600;
    case 'w':
        return 7 * 24 * 3600;
    default:
        return 0;
    }
}

int64_t parameters_time_s(const struct parameters *parameters, const char *name,
                          char unit, int64_t fallback)
{
    int64_t number, seconds;
    const char *rest;

    if (!split_number(parameters_text(parameters, name, ""), &number, &rest))
        return fallback;
    if (*rest && rest[1])
        return fallback;
    seconds = unit_seconds(*rest ? *rest : unit);
    if (!seconds || __builtin_mul_overflow(number, seconds, &number))
        return fallback;
    return number;
}

int64_t parameters_transport_number(const struct parameters *parameters,
                                    const char *transport, const char *suffix,
                                    const char *default_name, int64_t fallback)
{
    char name[NAME_SIZE_MAX];
    int size = snprintf(name, sizeof(name), "%s%s", transport, suffix);

    fallback = parameters_number(parameters, default_name, fallback);
    if (size < 0 || (size_t)size >= sizeof(name))
        return fallback;
    return parameters_number(parameters, name, fallback);
}

unsigned parameters_version(const struct parameters *parameters)
{
    return parameters->version;
}
