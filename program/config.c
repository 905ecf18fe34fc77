/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sysexits.h>

#include "module/limits.h"
#include "program/config.h"
#include "program/log.h"

#define VALUE_SIZE_MAX 65536 /* bytes: one value over all its lines */

#define US UINT64_C(1)
#define MS (1000 * US)
#define S  (1000 * MS)
#define M  (60 * S)
#define H  (60 * M)
#define D  (24 * H)

enum kind {
    KIND_TEXT,          /* char * */
    KIND_PATH,          /* char *, absolute */
    KIND_OPTIONAL_PATH, /* char *, absolute or empty */
    KIND_PATHS,         /* char *, absolute ones, comma or space between */
    KIND_SOCKET,        /* char *, unix:PATH, inet:PORT@HOST or empty */
    KIND_FACILITY,      /* char *, a name that syslog knows */
    KIND_WORD,          /* char *, one of choices */
    KIND_CHOICE,        /* enum, position in choices */
    KIND_BOOL,          /* int, yes or no */
    KIND_COUNT,         /* uint64_t */
    KIND_SIZE,          /* uint64_t, bytes; k, M, G */
    KIND_TIME_MS,       /* uint64_t; limits below are in microseconds */
    KIND_TIME_US,
};

struct parameter {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *default_value;
    uint64_t min, max;
    const char *choices; /* words with a space between */
};

#define AT(field) offsetof(struct config, field)

/* clang-format off */
static const struct parameter parameters[] = {
    {"queue_directory", KIND_PATH, AT(queue_directory),
     "/var/lib/syncq", 0, 0, NULL},
    {"queue_files", KIND_PATHS, AT(queue_files), "", 0, 0, NULL},
    {"drain_files", KIND_PATHS, AT(drain_files), "", 0, 0, NULL},
    {"run_directory", KIND_PATH, AT(run_directory), "/run/syncq", 0, 0, NULL},
    {"mail_owner", KIND_TEXT, AT(mail_owner), "postfix", 0, 0, NULL},
    {"syslog_name", KIND_TEXT, AT(syslog_name), "syncq", 0, 0, NULL},
    {"syslog_facility", KIND_FACILITY, AT(syslog_facility), "mail",
     0, 0, NULL},

    {"batch_bytes_max", KIND_SIZE, AT(batch_bytes_max), "8M",
     SYNCQ_PAGE_SIZE, SYNCQ_SEGMENT_SIZE_MAX, NULL},
    {"batch_requests_max", KIND_COUNT, AT(batch_requests_max), "1024",
     1, SYNCQ_REQUESTS_MAX, NULL},
    {"gather_time_max", KIND_TIME_US, AT(gather_time_max_us), "10ms",
     0, 10 * S, NULL},
    {"idle_time_max", KIND_TIME_US, AT(idle_time_max_us), "1ms",
     0, 10 * S, NULL},
    {"gap_max", KIND_SIZE, AT(gap_max), "1M", 0, SYNCQ_SEGMENT_SIZE_MAX, NULL},
    {"index_sync_interval", KIND_TIME_MS, AT(index_sync_interval_ms), "10s",
     10 * MS, 1 * H, NULL},
    {"hold_lock_for_receipt", KIND_BOOL, AT(hold_lock_for_receipt), "no",
     0, 0, NULL},

    {"milter_socket", KIND_SOCKET, AT(milter_socket), "", 0, 0, NULL},
    {"postfix_queue_directory", KIND_PATH, AT(postfix_queue_directory),
     "/var/spool/postfix", 0, 0, NULL},
    {"postfix_config_directory", KIND_OPTIONAL_PATH,
     AT(postfix_config_directory), "", 0, 0, NULL},
    {"capture_source", KIND_WORD, AT(capture_source), "queue_file",
     0, 0, "queue_file"},
    {"capture", KIND_CHOICE, AT(capture), "on", 0, 0, "on observe off"},
    {"when_unavailable", KIND_CHOICE, AT(when_unavailable), "accept",
     0, 0, "accept tempfail"},
    {"confirm_timeout", KIND_TIME_MS, AT(confirm_timeout_ms), "60s",
     10 * MS, 1 * H, NULL},

    {"marks_interval", KIND_TIME_MS, AT(marks_interval_ms), "1s",
     10 * MS, 1 * H, NULL},
    {"hold_policy", KIND_WORD, AT(hold_policy), "none", 0, 0, "none filter"},

    {"allow_any_filesystem", KIND_BOOL, AT(allow_any_filesystem), "no",
     0, 0, NULL},
};
/* clang-format on */
#define PARAMETER_COUNT (sizeof(parameters) / sizeof(parameters[0]))

static int is_text(enum kind kind)
{
    return kind <= KIND_WORD;
}

static char **text_field(struct config *config,
                         const struct parameter *parameter)
{
    return (char **)(void *)((char *)config + parameter->offset);
}

/* Position of a word in a list with a space between, or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t size = strlen(word), length;
    int index;

    for (index = 0; *choices; index++) {
        length = strcspn(choices, " ");
        if (length == size && !memcmp(choices, word, size))
            return index;
        choices += length;
        choices += strspn(choices, " ");
    }
    return -1;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A bare 10 might be meant as seconds or milliseconds: only 0 has no unit. */
static const struct unit time_units[] = {
    {"us", US}, {"ms", MS}, {"s", S}, {"m", M}, {"h", H}, {"d", D}, {NULL, 0},
};
static const struct unit size_units[] = {
    {"", 1},        {"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
    {"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30}, {NULL, 0},
};
static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

static const char *number_parse(const char *text, const struct unit *units,
                                const char *expected, uint64_t *number)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return expected;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno)
        return "the number is too large";
    if (!*number && !*end)
        return NULL;
    for (; units->name; units++)
        if (!strcmp(units->name, end))
            break;
    if (!units->name)
        return expected;
    if (__builtin_mul_overflow(*number, units->factor, number))
        return "the number is too large";
    return NULL;
}

const char *config_parse_size(const char *text, uint64_t *size)
{
    return number_parse(text, size_units,
                        "expected bytes, as 4096, 64k, 8M or 1G", size);
}

static const char *number_set(uint64_t *field,
                              const struct parameter *parameter,
                              const char *value)
{
    const char *what;
    uint64_t number = 0;

    if (parameter->kind == KIND_COUNT)
        what = number_parse(value, count_units, "expected a number", &number);
    else if (parameter->kind == KIND_SIZE)
        what = config_parse_size(value, &number);
    else
        what = number_parse(value, time_units,
                            "expected a time with unit, as 500us, 10ms, 10s, "
                            "5m, 1h or 1d",
                            &number);
    if (what)
        return what;
    if (number < parameter->min)
        return "the value is too small";
    if (number > parameter->max)
        return "the value is too large";
    if (parameter->kind == KIND_TIME_MS && number % MS)
        return "expected whole milliseconds";
    *field = parameter->kind == KIND_TIME_MS ? number / MS : number;
    return NULL;
}

static const char *paths_check(const char *value)
{
    value += strspn(value, CONFIG_LIST_BLANKS);
    while (*value) {
        if (*value != '/')
            return "expected absolute paths";
        value += strcspn(value, CONFIG_LIST_BLANKS);
        value += strspn(value, CONFIG_LIST_BLANKS);
    }
    return NULL;
}

static const char *text_check(const struct parameter *parameter,
                              const char *value)
{
    switch (parameter->kind) {
    case KIND_OPTIONAL_PATH:
        if (!*value)
            return NULL;
        /* fall through */
    case KIND_PATH:
        return *value == '/' ? NULL : "expected an absolute path";
    case KIND_PATHS:
        return paths_check(value);
    case KIND_SOCKET:
        if (*value && strncmp(value, "unix:/", 6) && strncmp(value, "inet:", 5))
            return "expected unix:/PATH or inet:PORT@HOST";
        return NULL;
    case KIND_FACILITY:
        return log_facility(value) < 0 ? "no such syslog facility" : NULL;
    case KIND_WORD:
        return choice_index(parameter->choices, value) < 0 ? "" : NULL;
    default:
        return *value ? NULL : "must not be empty";
    }
}

/*
 * Store the value in its field.  NULL, or what is wrong with it; "" stands for
 * a word that is not among the choices.
 */
static const char *field_set(struct config *config,
                             const struct parameter *parameter,
                             const char *value)
{
    void *field = (char *)config + parameter->offset;
    const char *what;
    char *copy;
    int index;

    switch (parameter->kind) {
    case KIND_CHOICE:
    case KIND_BOOL:
        index = choice_index(parameter->kind == KIND_BOOL ? "no yes"
                                                          : parameter->choices,
                             value);
        if (index < 0)
            return parameter->kind == KIND_BOOL ? "expected yes or no" : "";
        /* int, or an enum without negative values: same size, same bits. */
        memcpy(field, &index, sizeof(index));
        return NULL;
    case KIND_COUNT:
    case KIND_SIZE:
    case KIND_TIME_MS:
    case KIND_TIME_US:
        return number_set(field, parameter, value);
    default:
        what = text_check(parameter, value);
        if (what)
            return what;
        copy = strdup(value);
        if (!copy)
            return "out of memory";
        free(*text_field(config, parameter));
        *text_field(config, parameter) = copy;
        return NULL;
    }
}

int config_set(struct config *config, const char *name, const char *value,
               char *error, size_t error_size)
{
    const struct parameter *parameter = NULL;
    const char *what;
    size_t i;

    for (i = 0; i < PARAMETER_COUNT; i++)
        if (!strcmp(parameters[i].name, name))
            parameter = &parameters[i];
    if (!parameter) {
        snprintf(error, error_size, "unknown parameter %s", name);
        return EX_CONFIG;
    }
    what = field_set(config, parameter, value);
    if (!what)
        return 0;
    snprintf(
        error, error_size, "%s = %s: %s%s", name, value,
        *what ? what : "expected one of: ", *what ? "" : parameter->choices);
    return EX_CONFIG;
}

static int set_defaults(struct config *config, char *error, size_t error_size)
{
    int result = 0;
    size_t i;

    memset(config, 0, sizeof(*config));
    for (i = 0; !result && i < PARAMETER_COUNT; i++)
        result = config_set(config, parameters[i].name,
                            parameters[i].default_value, error, error_size);
    return result;
}

static char *trim(char *text)
{
    size_t size;

    text += strspn(text, " \t\r\n");
    size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    text[size] = 0;
    return text;
}

/* One whole setting, its continuation lines joined. */
static int set_from_line(struct config *config, char *line, char *error,
                         size_t error_size)
{
    char *equals = strchr(line, '=');

    if (!equals) {
        snprintf(error, error_size, "expected name = value, not: %s",
                 trim(line));
        return EX_CONFIG;
    }
    *equals = 0;
    return config_set(config, trim(line), trim(equals + 1), error, error_size);
}

struct reader {
    const char *path;
    FILE *file;
    char *line; /* of getline */
    size_t line_capacity;
    char *setting; /* VALUE_SIZE_MAX bytes: lines joined so far; "" is none */
    size_t setting_size;
    unsigned line_number, setting_number;
};

/* Put "FILE:LINE: " before what error holds. */
static void add_place(const struct reader *reader, unsigned line_number,
                      char *error, size_t error_size)
{
    char *what = strdup(error);

    snprintf(error, error_size, "%s:%u: %s", reader->path, line_number,
             what ? what : "bad setting");
    free(what);
}

static int finish_setting(struct reader *reader, struct config *config,
                          char *error, size_t error_size)
{
    int result;

    if (!reader->setting_size)
        return 0;
    result = set_from_line(config, reader->setting, error, error_size);
    if (result)
        add_place(reader, reader->setting_number, error, error_size);
    reader->setting_size = 0;
    reader->setting[0] = 0;
    return result;
}

static int read_line(struct reader *reader, size_t size, struct config *config,
                     char *error, size_t error_size)
{
    const char *start = reader->line + strspn(reader->line, " \t\r\n");
    int result;

    reader->line_number++;
    if (strlen(reader->line) != size) {
        snprintf(error, error_size, "a NUL byte");
        goto bad;
    }
    /* As in main.cf these do not end a setting that goes on below. */
    if (!*start || *start == '#')
        return 0;
    if (start == reader->line) {
        result = finish_setting(reader, config, error, error_size);
        if (result)
            return result;
        reader->setting_number = reader->line_number;
    } else if (!reader->setting_size) {
        snprintf(error, error_size, "continues a line, but there is none");
        goto bad;
    }
    if (reader->setting_size + size >= VALUE_SIZE_MAX) {
        snprintf(error, error_size, "the setting is too long");
        goto bad;
    }
    memcpy(reader->setting + reader->setting_size, reader->line, size + 1);
    reader->setting_size += size;
    /* The line's own white space at its start separates. */
    while (reader->setting_size &&
           strchr("\r\n", reader->setting[reader->setting_size - 1]))
        reader->setting[--reader->setting_size] = 0;
    return 0;

bad:
    add_place(reader, reader->line_number, error, error_size);
    return EX_CONFIG;
}

static int read_lines(struct reader *reader, struct config *config, char *error,
                      size_t error_size)
{
    int result = 0;
    ssize_t size;

    while (!result && (size = getline(&reader->line, &reader->line_capacity,
                                      reader->file)) >= 0)
        result = read_line(reader, (size_t)size, config, error, error_size);
    if (!result && ferror(reader->file)) {
        snprintf(error, error_size, "%s: %s", reader->path, strerror(errno));
        result = EX_NOINPUT;
    }
    if (!result)
        result = finish_setting(reader, config, error, error_size);
    return result;
}

int config_read(const char *path, struct config *config, char *error,
                size_t error_size)
{
    struct reader reader = {.path = path};
    int result;

    result = set_defaults(config, error, error_size);
    if (result)
        goto out;
    reader.file = fopen(path, "re");
    if (!reader.file) {
        if (errno == ENOENT && !strcmp(path, SYNCQ_CONFIG_FILE))
            goto out;
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        result = EX_NOINPUT;
        goto out;
    }
    reader.setting = calloc(1, VALUE_SIZE_MAX);
    if (!reader.setting) {
        snprintf(error, error_size, "%s: out of memory", path);
        result = EX_OSERR;
        goto out;
    }
    result = read_lines(&reader, config, error, error_size);
out:
    if (reader.file)
        fclose(reader.file);
    free(reader.line);
    free(reader.setting);
    if (result)
        config_clear(config);
    return result;
}

void config_clear(struct config *config)
{
    size_t i;

    for (i = 0; i < PARAMETER_COUNT; i++)
        if (is_text(parameters[i].kind))
            free(*text_field(config, &parameters[i]));
    memset(config, 0, sizeof(*config));
}
