/* SPDX-License-Identifier: MIT */
/*
 * verb.h - what the administrator's command can do
 *
 * main.c holds the one table of verbs; each verb is a file of its own.  A verb
 * gets its own words (argv[0] is the verb) and returns the exit code, after
 * one line on standard error if that is not 0.
 */
#ifndef SYNCQ_ADMIN_VERB_H
#define SYNCQ_ADMIN_VERB_H

#include "program/config.h"
#include "program/files.h"

struct verb;

/* What every verb is given. */
struct command {
    const struct verb *verb;
    /* Of one queue file (program/files.h), for VERB_ALL of the instance. */
    const struct config *config;
    const struct files *files; /* those that are meant */
    int chosen;                /* by --file */
};

/* How a verb deals with several queue files; --file chooses one. */
enum verb_scope {
    VERB_ONE,  /* it needs one that was chosen */
    VERB_EACH, /* it is run for one after the other */
    VERB_ALL,  /* it looks after all of them by itself */
};

struct verb {
    const char *name;
    const char *arguments; /* for the usage line; "" when there are none */
    const char *summary;   /* one line, for the list of verbs */
    const char *details;   /* options and exit codes, for its own help */
    int (*run)(const struct command *command, int argc, char **argv);
    enum verb_scope scope;
};

int verb_create(const struct command *command, int argc, char **argv);
int verb_grow(const struct command *command, int argc, char **argv);
int verb_status(const struct command *command, int argc, char **argv);
int verb_list(const struct command *command, int argc, char **argv);
int verb_cat(const struct command *command, int argc, char **argv);
int verb_check(const struct command *command, int argc, char **argv);
int verb_salvage(const struct command *command, int argc, char **argv);
int verb_release(const struct command *command, int argc, char **argv);

#endif
