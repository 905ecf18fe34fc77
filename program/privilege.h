/* SPDX-License-Identifier: MIT */
/*
 * privilege.h - become the mail owner
 */
#ifndef SYNCQ_PROGRAM_PRIVILEGE_H
#define SYNCQ_PROGRAM_PRIVILEGE_H

#include <stddef.h>

/*
 * As root: take the user's group, supplementary groups and uid for good.  As
 * that user already: nothing.  As anyone else: error.  0 or a sysexits code
 * (EX_NOUSER, EX_NOPERM) with one line in error.
 */
int privilege_drop(const char *user, char *error, size_t error_size);

#endif
