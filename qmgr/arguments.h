/* SPDX-License-Identifier: MIT */
/*
 * arguments.h - the command line that master(8) gives to a service
 */
#ifndef SYNCQ_QMGR_ARGUMENTS_H
#define SYNCQ_QMGR_ARGUMENTS_H

#include <stddef.h>

#include "qmgr/settings.h"

#define ARGUMENTS_CONFIG_FILE "syncq_config_file" /* -o of ours */

struct arguments {
    const char *config_file;             /* of syncq; NULL: not given */
    struct settings_override *overrides; /* of main.cf */
    int sole;              /* -l: no other process of this service */
    int is_fifo;           /* -t fifo */
    int drop;              /* -u: become the mail owner */
    int chroot;            /* -c: confined to Postfix's queue directory */
    int standalone;        /* -S: no master(8); to standard output */
    unsigned listen_count; /* -s */
};

/*
 * 0, or EX_USAGE with a line in error.  Options of master(8) that mean nothing
 * to us are accepted.
 */
int arguments_parse(int argc, char **argv, struct arguments *arguments,
                    char *error, size_t error_size);
void arguments_clear(struct arguments *arguments);

/*
 * Which syncq.conf: what -o names, else the one beside main.cf, so that one
 * machine can have several instances and root's postqueue needs no option,
 * else the default place.  Until the next call.
 */
const char *arguments_config_file(const struct arguments *arguments);

#endif
