/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line that all programs share
 *
 *   PROGRAM [-e] [-c FILE] [-o name=value]... [ARGUMENTS]
 *   PROGRAM --help | --version
 *
 * Options end at the first argument that is none, so a program with verbs
 * reads the rest by itself.  Programs that master(8) starts have master's own
 * options and do not use this.
 */
#ifndef SYNCQ_PROGRAM_OPTIONS_H
#define SYNCQ_PROGRAM_OPTIONS_H

#include "program/config.h"

#define OPTIONS_DONE (-1)

struct options_text {
    const char *program;   /* its name in messages, e.g. "syncq-sync" */
    const char *summary;   /* one line for --help, what it is */
    const char *arguments; /* "VERB [ARGUMENT]..."; NULL: takes none */
    const char *details;   /* more lines for --help, or NULL */
};

struct options {
    struct config config;    /* read from the file, then changed by -o */
    const char *config_file; /* -c, or the default path */
    int to_stderr;           /* -e */
    int first_argument;      /* index in argv, argc when there is none */
};

/*
 * Read command line and configuration.  0: go on, and clear *options at the
 * end.  OPTIONS_DONE: --help or --version was answered, exit with 0.  Else a
 * sysexits code (EX_USAGE, EX_CONFIG, EX_NOINPUT), after one line on standard
 * error.
 */
int options_parse(int argc, char **argv, const struct options_text *text,
                  struct options *options);
/*
 * Read the same configuration again, for a program that runs.  0, or a code
 * and one line in error; there is nothing to clear then.
 */
int options_read_again(int argc, char **argv, const struct options *options,
                       struct config *config, char *error, size_t error_size);
void options_clear(struct options *options);

#endif
