/* SPDX-License-Identifier: MIT */
#include "qmgr/arguments.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/config.h"
#include "qmgr/memory.h"

#define ARGUMENTS_SOCKETS_MAX 64

/* "name=value", with spaces around the sign as main.cf allows them. */
static int arguments_override(struct arguments *arguments, const char *text)
{
    const char *equals = strchr(text, '=');
    struct settings_override *override;
    size_t size;

    if (equals == NULL || equals == text)
        return EX_USAGE;
    text += strspn(text, " \t");
    size = (size_t)(equals - text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    equals++;
    equals += strspn(equals, " \t");
    if (size == strlen(ARGUMENTS_CONFIG_FILE) &&
        strncmp(text, ARGUMENTS_CONFIG_FILE, size) == 0) {
        arguments->config_file = equals;
        return 0;
    }
    override = memory_new(sizeof(*override));
    override->name = memory_print("%.*s", (int)size, text);
    override->value = memory_text(equals);
    override->next = NULL;
    /* The last one of a name wins: keep the order. */
    if (arguments->overrides == NULL) {
        arguments->overrides = override;
    } else {
        struct settings_override *last = arguments->overrides;

        while (last->next != NULL)
            last = last->next;
        last->next = override;
    }
    return 0;
}

static int arguments_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'l':
        arguments->sole = 1;
        return 0;
    case 't':
        arguments->is_fifo = strcmp(optarg, "fifo") == 0;
        return 0;
    case 'u':
        arguments->drop = 1;
        return 0;
    case 'c':
        arguments->chroot = 1;
        return 0;
    case 'S':
        arguments->standalone = 1;
        return 0;
    case 's':
        arguments->listen_count = (unsigned)strtoul(optarg, NULL, 10);
        return arguments->listen_count == 0 ||
                       arguments->listen_count > ARGUMENTS_SOCKETS_MAX
                   ? EX_USAGE
                   : 0;
    case 'o':
        return arguments_override(arguments, optarg);
    case '?':
        return EX_USAGE;
    default:
        return 0;
    }
}

int arguments_parse(int argc, char **argv, struct arguments *arguments,
                    char *error, size_t error_size)
{
    int option;

    memset(arguments, 0, sizeof(*arguments));
    arguments->listen_count = 1;
    opterr = 0;
    while ((option = getopt(argc, argv, "cdDi:lm:n:o:r:s:St:uvVz")) != -1) {
        if (arguments_option(arguments, option) == 0)
            continue;
        (void)snprintf(error, error_size, "bad command line option: %s",
                       argv[optind > 1 ? optind - 1 : 1]);
        return EX_USAGE;
    }
    if (optind < argc) {
        (void)snprintf(error, error_size, "unexpected argument: %s",
                       argv[optind]);
        return EX_USAGE;
    }
    return 0;
}

void arguments_clear(struct arguments *arguments)
{
    while (arguments->overrides != NULL) {
        struct settings_override *override = arguments->overrides;

        arguments->overrides = override->next;
        free(override->name);
        free(override->value);
        free(override);
    }
}

const char *arguments_config_file(const struct arguments *arguments)
{
    static char beside[SETTINGS_PATH_SIZE];
    const char *directory = getenv("MAIL_CONFIG");

    if (arguments->config_file != NULL)
        return arguments->config_file;
    if (directory == NULL)
        return SYNCQ_CONFIG_FILE;
    (void)snprintf(beside, sizeof(beside), "%s/syncq.conf", directory);
    return access(beside, F_OK) == 0 ? beside : SYNCQ_CONFIG_FILE;
}
