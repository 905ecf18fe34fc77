/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "admin/command.h"
#include "module/error.h"
#include "program/privilege.h"

#define ERROR_SIZE 512 /* bytes: one line */

static void print_help(const struct command *command)
{
    const struct verb *verb = command->verb;

    printf("Usage: syncq [-c FILE] [-o name=value]... %s%s%s\n%s\n\n"
           "      --file DIRECTORY  this one of several queue files\n%s",
           verb->name, *verb->arguments ? " " : "", verb->arguments,
           verb->summary, verb->details);
}

int command_option(const struct command *command, int argc, char **argv,
                   const struct option *options, int *exit_code)
{
    int option;

    opterr = 0;
    option = getopt_long(argc, argv, ":", options, NULL);
    *exit_code = EX_USAGE;
    switch (option) {
    case 'h':
        print_help(command);
        *exit_code = 0;
        return COMMAND_STOP;
    case ':':
        command_error(command, "a value is missing after %s", argv[optind - 1]);
        return COMMAND_STOP;
    case '?':
        if (optopt && !strchr(argv[optind - 1], '='))
            command_error(command, "unknown option -%c; try 'syncq %s --help'",
                          optopt, command->verb->name);
        else
            command_error(command, "unknown option %s; try 'syncq %s --help'",
                          argv[optind - 1], command->verb->name);
        return COMMAND_STOP;
    default:
        return option;
    }
}

int command_no_arguments(const struct command *command, int argc, char **argv)
{
    if (optind >= argc)
        return 0;
    command_error(command, "unexpected argument %s; try 'syncq %s --help'",
                  argv[optind], command->verb->name);
    return EX_USAGE;
}

void command_error(const struct command *command, const char *format, ...)
{
    char line[ERROR_SIZE];
    va_list arguments;
    char *byte;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    for (byte = line; *byte; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 0x7f)
            *byte = '?';
    fprintf(stderr, "syncq %s: %s\n", command->verb->name, line);
}

/* What an error means for a script, and what a person can do about it. */
static const struct {
    int error, exit_code;
    const char *advice;
} meanings[] = {
    {SYNCQ_ERR_NO_QUEUE, EX_NOINPUT, "make one with 'syncq create'"},
    {SYNCQ_ERR_EXISTS, EX_CANTCREAT, "a queue is never overwritten"},
    {SYNCQ_ERR_OWNER, EX_NOPERM, "all must belong to mail_owner"},
    {SYNCQ_ERR_MODE, EX_NOPERM, NULL},
    {EACCES, EX_NOPERM,
     "all must belong to mail_owner, and the way to it "
     "must be open to that user"},
    {EPERM, EX_NOPERM, NULL},
    {SYNCQ_ERR_FILESYSTEM, EX_CANTCREAT, NULL},
    {SYNCQ_ERR_HOLES, EX_DATAERR, NULL},
    {SYNCQ_ERR_MAGIC, EX_DATAERR, NULL},
    {SYNCQ_ERR_VERSION, EX_DATAERR, "use the version that made it"},
    {SYNCQ_ERR_KEY, EX_DATAERR, NULL},
    {SYNCQ_ERR_KEY_FILE, EX_DATAERR, NULL},
    {SYNCQ_ERR_SUPERBLOCK, EX_DATAERR, NULL},
    {SYNCQ_ERR_TRUNCATED, EX_DATAERR, "restore the file in its full length"},
    {SYNCQ_ERR_INDEX, EX_DATAERR,
     "the sync helper makes a new one from the data file when it starts"},
    {SYNCQ_ERR_BAD_RECORD, EX_DATAERR, NULL},
    {SYNCQ_ERR_BAD_ENVELOPE, EX_DATAERR, NULL},
    {SYNCQ_ERR_RANGE, EX_USAGE, NULL},
    {SYNCQ_ERR_LATCHED, EX_UNAVAILABLE, "see 'syncq status'"},
    {SYNCQ_ERR_SYNC_FAILED, EX_IOERR, "see 'syncq status'"},
    {SYNCQ_ERR_NO_HELPER, EX_UNAVAILABLE, "start syncq-sync, then try again"},
    {SYNCQ_ERR_RECOVERING, EX_TEMPFAIL, NULL},
    {SYNCQ_ERR_DETACHED, EX_TEMPFAIL, "try again"},
    {SYNCQ_ERR_BUSY, EX_TEMPFAIL, "try again"},
    {SYNCQ_ERR_SEGMENTS_FULL, EX_TEMPFAIL, NULL},
    {SYNCQ_ERR_ENTRIES_FULL, EX_TEMPFAIL, NULL},
    {SYNCQ_ERR_REQUESTS_FULL, EX_TEMPFAIL, "try again"},
    {SYNCQ_ERR_BYTES_FULL, EX_TEMPFAIL, "try again"},
    {SYNCQ_ERR_TIMEOUT, EX_TEMPFAIL, "try again"},
    {EPROTO, EX_PROTOCOL, NULL},
    {ETIMEDOUT, EX_TEMPFAIL, "try again"},
    {ENOSPC, EX_CANTCREAT, NULL},
    {EROFS, EX_CANTCREAT, NULL},
    {EIO, EX_IOERR, NULL},
    {ENOMEM, EX_OSERR, NULL},
};

int command_failure(const struct command *command, const char *what, int error)
{
    const char *advice = NULL;
    int exit_code = error > 0 ? EX_OSERR : EX_SOFTWARE;
    size_t i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].error != error)
            continue;
        exit_code = meanings[i].exit_code;
        advice = meanings[i].advice;
    }
    command_error(command, "%s: %s%s%s", what, syncq_strerror(error),
                  advice ? "; " : "", advice ? advice : "");
    return exit_code;
}

int command_become_owner(const struct command *command)
{
    char error[ERROR_SIZE];
    int result;

    result = privilege_drop(command->config->mail_owner, error, sizeof(error));
    if (result)
        command_error(command, "%s (mail_owner)", error);
    return result;
}

int command_open(const struct command *command, enum syncq_open_mode mode,
                 struct syncq_queue **queue)
{
    const struct config *config = command->config;
    int result;

    result = command_become_owner(command);
    if (result)
        return result;
    result = syncq_queue_open(config->queue_directory, config->run_directory,
                              mode, queue);
    return result ? command_failure(command, config->queue_directory, result)
                  : 0;
}

int command_open_file(const struct command *command, const char *directory,
                      enum syncq_open_mode mode, struct syncq_queue **queue)
{
    struct config one;
    int result = files_config(command->config, directory, &one);

    if (!result)
        result = syncq_queue_open(one.queue_directory, one.run_directory, mode,
                                  queue);
    files_config_clear(&one);
    return result;
}
