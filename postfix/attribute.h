/* SPDX-License-Identifier: MIT */
/*
 * attribute.h - Postfix's attribute lists: name NUL value NUL ... NUL
 *
 * The writer collects one or more lists in a growing buffer; the reader takes
 * a list apart once it is complete.  Numbers are written as Postfix reads
 * them: int as unsigned 32 bit, long as unsigned 64 bit.
 */
#ifndef SYNCQ_POSTFIX_ATTRIBUTE_H
#define SYNCQ_POSTFIX_ATTRIBUTE_H

#include <stddef.h>
#include <stdint.h>

struct attribute_writer {
    char *bytes; /* the caller frees it */
    size_t size, capacity;
    int failed; /* ENOMEM happened; nothing more is written */
};

void attribute_write_text(struct attribute_writer *writer, const char *name,
                          const char *value);
void attribute_write_int(struct attribute_writer *writer, const char *name,
                         int32_t value);
void attribute_write_long(struct attribute_writer *writer, const char *name,
                          int64_t value);
/* Base64 of size bytes. */
void attribute_write_data(struct attribute_writer *writer, const char *name,
                          const void *bytes, size_t size);
void attribute_write_end(struct attribute_writer *writer);

/*
 * Size of the complete list at the start of bytes, with its closing NUL, or 0
 * when more bytes are needed.
 */
size_t attribute_list_size(const char *bytes, size_t size);

/*
 * Value number index (from 0: names may repeat) of this name in a complete
 * list, or NULL.
 */
const char *attribute_list_get(const char *list, size_t size, const char *name,
                               unsigned index);
/* As a number the way Postfix writes it.  0 or EINVAL. */
int attribute_list_get_int(const char *list, size_t size, const char *name,
                           unsigned index, int32_t *value);
int attribute_list_get_long(const char *list, size_t size, const char *name,
                            unsigned index, int64_t *value);

#endif
