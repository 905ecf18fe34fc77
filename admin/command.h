/* SPDX-License-Identifier: MIT */
/*
 * command.h - what all verbs need: options, rights, opening, error lines
 */
#ifndef SYNCQ_ADMIN_COMMAND_H
#define SYNCQ_ADMIN_COMMAND_H

#include <getopt.h>

#include "admin/verb.h"
#include "module/queue.h"

/* Long options that every verb has; put it last, before the zeros. */
#define COMMAND_HELP_OPTION                                                    \
    {                                                                          \
        "help", no_argument, NULL, 'h'                                         \
    }
#define COMMAND_STOP (-2)

/*
 * The next option of the verb, as getopt_long gives it; -1 at the end, then
 * optind is the first argument.  COMMAND_STOP: --help was answered or the
 * option is wrong; return *exit_code.  All options are long ones.
 */
int command_option(const struct command *command, int argc, char **argv,
                   const struct option *options, int *exit_code);

/* EX_USAGE with a line when there are words after the options. */
int command_no_arguments(const struct command *command, int argc, char **argv);

/* One line on standard error: "syncq VERB: ...". */
void command_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * One line about a failed module call on what (a path or a name), with what to
 * do about it.  Returns the exit code that belongs to the error.
 */
int command_failure(const struct command *command, const char *what, int error);

/*
 * Become the mail owner for good, when root: nothing that is made later can
 * belong to the wrong user.  0 or an exit code.
 */
int command_become_owner(const struct command *command);

/* Open the configured queue as the mail owner.  0 or an exit code. */
int command_open(const struct command *command, enum syncq_open_mode mode,
                 struct syncq_queue **queue);

/*
 * The same for one of several queue files, without a line: 0 or the error for
 * command_failure.
 */
int command_open_file(const struct command *command, const char *directory,
                      enum syncq_open_mode mode, struct syncq_queue **queue);

#endif
