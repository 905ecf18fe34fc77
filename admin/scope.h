/* SPDX-License-Identifier: MIT */
/*
 * scope.h - which queue files a verb is for
 */
#ifndef SYNCQ_ADMIN_SCOPE_H
#define SYNCQ_ADMIN_SCOPE_H

#include "admin/verb.h"

/*
 * Take --file DIRECTORY out of the verb's words and run it, for each queue file
 * or once for all.  command has the verb and the instance's configuration.
 * The first exit code that is not 0.
 */
int scope_run(struct command *command, int argc, char **argv);

#endif
