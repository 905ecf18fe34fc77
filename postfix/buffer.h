/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - room at the end of a growing buffer
 */
#ifndef SYNCQ_POSTFIX_BUFFER_H
#define SYNCQ_POSTFIX_BUFFER_H

#include <stddef.h>

/*
 * Make sure that *bytes, with *capacity bytes of which size are used, has room
 * for more.  *bytes may move; start with NULL and 0.  0 or ENOMEM, then nothing
 * has changed.
 */
int buffer_reserve(void **bytes, size_t *capacity, size_t size, size_t more);

#endif
