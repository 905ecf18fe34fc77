/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - mounts and processes that vanish with whoever made them
 *
 * The body runs in a process with a mount table and process numbers of its
 * own.  When it ends, or whoever called is killed with whatever signal, the
 * kernel kills all processes below it and takes its mounts away, and with them
 * the loop devices that detach themselves.
 */
#ifndef SYNCQ_FAULTS_SANDBOX_H
#define SYNCQ_FAULTS_SANDBOX_H

/*
 * Run body with an empty directory in memory, mode 0711.  Its result, 0 to
 * 126; 128 and more: ended by a signal; -1: there are no namespaces.  An empty
 * folder below $TMPDIR is removed afterwards, or by the next run.
 */
int sandbox_run(int (*body)(const char *directory, void *context),
                void *context);

#endif
