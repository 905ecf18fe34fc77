/* SPDX-License-Identifier: MIT */
/*
 * content.h - a record's content as text of RFC 5322
 */
#ifndef SYNCQ_ADMIN_CONTENT_H
#define SYNCQ_ADMIN_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Postfix's content records become lines; all else is written as it is.  *open
 * is set when the last line does not end.  0 or SYNCQ_ERR_BAD_RECORD, after
 * what could be written; errors of the stream are found when it is flushed.
 */
int content_write(FILE *stream, uint8_t type, const uint8_t *content,
                  size_t size, int *open);

#endif
