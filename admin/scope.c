/* SPDX-License-Identifier: MIT */
#include "admin/scope.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "admin/command.h"

#define FILE_OPTION "--file"

/* The value of --file, taken out of the words; NULL: there is none.  A value
 * that is missing is "". */
static const char *take_file(int *argc, char **argv)
{
    size_t length = strlen(FILE_OPTION);
    const char *value = NULL;
    int i, kept = 1;

    for (i = 1; i < *argc; i++) {
        if (!strcmp(argv[i], "--")) {
            while (i < *argc)
                argv[kept++] = argv[i++];
        } else if (!strcmp(argv[i], FILE_OPTION)) {
            value = i + 1 < *argc ? argv[++i] : "";
        } else if (!strncmp(argv[i], FILE_OPTION "=", length + 1)) {
            value = argv[i] + length + 1;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return value;
}

/* Leave only the one that was chosen, which need not be in use any more. */
static int choose(struct command *command, const char *directory,
                  const struct files *all, struct files *one,
                  struct files_one *room)
{
    const struct files_one *known = files_find(all, directory);

    if (*directory != '/') {
        command_error(command, "--file: expected the absolute path of a queue "
                               "directory");
        return EX_USAGE;
    }
    room->directory = known ? known->directory : (char *)(uintptr_t)directory;
    room->drain = known ? known->drain : 0;
    one->list = room;
    one->count = 1;
    command->chosen = 1;
    return 0;
}

static int has_option(int argc, char **argv, const char *option)
{
    int i;

    for (i = 1; i < argc; i++)
        if (!strcmp(argv[i], option))
            return 1;
    return 0;
}

/* Run it with the configuration of one file. */
static int run_one(const struct command *command, const char *directory,
                   int argc, char **argv)
{
    struct command own = *command;
    struct config config;
    int result;

    /* Where there is no queue that can be read, the verb will say so. */
    (void)files_config(command->config, directory, &config);
    own.config = &config;
    optind = 0; /* GNU: start anew, with the verb's own words */
    result = command->verb->run(&own, argc, argv);
    files_config_clear(&config);
    return result;
}

static int run_each(const struct command *command, int argc, char **argv)
{
    int result = 0, code;
    unsigned i;

    for (i = 0; i < command->files->count; i++) {
        const char *directory = command->files->list[i].directory;

        if (!has_option(argc, argv, "--json"))
            printf("%squeue %s:\n", i ? "\n" : "", directory);
        fflush(stdout);
        code = run_one(command, directory, argc, argv);
        if (!result)
            result = code;
    }
    return result;
}

static int run_scope(struct command *command, int argc, char **argv)
{
    const struct files *files = command->files;

    if (command->verb->scope == VERB_ALL) {
        optind = 0; /* GNU: start anew, with the verb's own words */
        return command->verb->run(command, argc, argv);
    }
    if (files->count == 1 || has_option(argc, argv, "--help"))
        return run_one(command, files->list[0].directory, argc, argv);
    if (command->verb->scope == VERB_EACH)
        return run_each(command, argc, argv);
    command_error(command, "there are several queue files: choose one with "
                           "--file DIRECTORY");
    return EX_USAGE;
}

int scope_run(struct command *command, int argc, char **argv)
{
    const char *directory = take_file(&argc, argv);
    struct files all, one;
    struct files_one room;
    char error[256];
    int result;

    result = files_read(command->config, &all, error, sizeof(error));
    if (result) {
        command_error(command, "%s", error);
        return result;
    }
    command->files = &all;
    if (directory) {
        command->files = &one;
        result = choose(command, directory, &all, &one, &room);
    }
    if (!result)
        result = run_scope(command, argc, argv);
    files_clear(&all);
    return result;
}
