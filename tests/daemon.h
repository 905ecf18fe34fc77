/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - start the programs under test, and end them again
 */
#ifndef SYNCQ_TESTS_DAEMON_H
#define SYNCQ_TESTS_DAEMON_H

#include <sys/types.h>

#define DAEMON_RUNNING (-1) /* instead of an exit code */
#define DAEMON_KILLED  (-2)

/*
 * Path of a program of the build tree, e.g. "milter/syncq-milter": below the
 * environment's SYNCQ_BUILD, or the parent of the working directory.  Valid
 * until the next call.
 */
const char *daemon_program(const char *name);

/*
 * Run argv[0] with these arguments (NULL last) and, before its environment,
 * "NAME=value" texts (NULL last; may be NULL); both outputs are appended to
 * log_path.  The process, or -1.
 */
pid_t daemon_start(const char *const *argv, const char *const *environment,
                   const char *log_path);

/* Wait for the end, at most so long: exit code or one of the above. */
int daemon_wait(pid_t pid, int timeout_ms);

/* SIGKILL and wait.  0 and less: nothing to do. */
void daemon_kill(pid_t pid);

#endif
