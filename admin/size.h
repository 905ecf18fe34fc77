/* SPDX-License-Identifier: MIT */
/*
 * size.h - sizes of a queue on the command line
 */
#ifndef SYNCQ_ADMIN_SIZE_H
#define SYNCQ_ADMIN_SIZE_H

#include <stdint.h>

#include "admin/command.h"

/* The value of --option: bytes, more than 0.  0, or EX_USAGE after one line. */
int size_read(const struct command *command, const char *option,
              const char *text, uint64_t *size);

/* The same for a number of entries within their limits. */
int entry_count_read(const struct command *command, const char *option,
                     const char *text, uint32_t *count);

#endif
