/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/attribute.h"
#include "postfix/buffer.h"

/* size bytes more at the end, or NULL. */
static char *extend(struct attribute_writer *writer, size_t size)
{
    void *bytes = writer->bytes;

    if (!writer->failed &&
        buffer_reserve(&bytes, &writer->capacity, writer->size, size))
        writer->failed = 1;
    writer->bytes = bytes;
    if (writer->failed)
        return NULL;
    writer->size += size;
    return writer->bytes + writer->size - size;
}

void attribute_write_text(struct attribute_writer *writer, const char *name,
                          const char *value)
{
    size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
    char *bytes = extend(writer, name_size + value_size);

    if (!bytes)
        return;
    memcpy(bytes, name, name_size);
    memcpy(bytes + name_size, value, value_size);
}

void attribute_write_int(struct attribute_writer *writer, const char *name,
                         int32_t value)
{
    char text[16];

    snprintf(text, sizeof(text), "%" PRIu32, (uint32_t)value);
    attribute_write_text(writer, name, text);
}

void attribute_write_long(struct attribute_writer *writer, const char *name,
                          int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)value);
    attribute_write_text(writer, name, text);
}

/* Base64 of up to three bytes. */
static void encode_group(char out[4], const uint8_t *in, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t group = (uint32_t)in[0] << 16;

    if (size > 1)
        group |= (uint32_t)in[1] << 8;
    if (size > 2)
        group |= in[2];
    out[0] = digits[group >> 18];
    out[1] = digits[group >> 12 & 63];
    out[2] = size > 1 ? digits[group >> 6 & 63] : '=';
    out[3] = size > 2 ? digits[group & 63] : '=';
}

void attribute_write_data(struct attribute_writer *writer, const char *name,
                          const void *bytes, size_t size)
{
    size_t name_size = strlen(name) + 1, value_size = (size + 2) / 3 * 4 + 1;
    char *out = extend(writer, name_size + value_size);
    const uint8_t *in = bytes;
    size_t i;

    if (!out)
        return;
    memcpy(out, name, name_size);
    out += name_size;
    for (i = 0; i < size; i += 3, out += 4)
        encode_group(out, in + i, size - i < 3 ? size - i : 3);
    *out = 0;
}

void attribute_write_end(struct attribute_writer *writer)
{
    char *bytes = extend(writer, 1);

    if (bytes)
        *bytes = 0;
}

/* Size of the text at bytes with its NUL, or 0: the NUL is not there. */
static size_t text_size(const char *bytes, size_t size)
{
    const char *end = size ? memchr(bytes, 0, size) : NULL;

    return end ? (size_t)(end - bytes) + 1 : 0;
}

size_t attribute_list_size(const char *bytes, size_t size)
{
    size_t offset = 0, name, value;

    for (;;) {
        name = text_size(bytes + offset, size - offset);
        if (!name)
            return 0;
        offset += name;
        if (name == 1)
            return offset;
        value = text_size(bytes + offset, size - offset);
        if (!value)
            return 0;
        offset += value;
    }
}

const char *attribute_list_get(const char *list, size_t size, const char *name,
                               unsigned index)
{
    size_t offset = 0, name_size, value_size;

    for (;;) {
        name_size = text_size(list + offset, size - offset);
        if (name_size <= 1)
            return NULL;
        value_size =
            text_size(list + offset + name_size, size - offset - name_size);
        if (!value_size)
            return NULL;
        if (!strcmp(list + offset, name) && !index--)
            return list + offset + name_size;
        offset += name_size + value_size;
    }
}

/* Nothing but digits, as a number up to max.  NULL is no number. */
static int number_parse(const char *text, uint64_t max, uint64_t *number)
{
    if (!text || !*text || text[strspn(text, "0123456789")])
        return EINVAL;
    errno = 0;
    *number = strtoull(text, NULL, 10);
    return errno || *number > max ? EINVAL : 0;
}

int attribute_list_get_int(const char *list, size_t size, const char *name,
                           unsigned index, int32_t *value)
{
    uint64_t number;
    int error = number_parse(attribute_list_get(list, size, name, index),
                             UINT32_MAX, &number);

    if (!error)
        *value = (int32_t)(uint32_t)number;
    return error;
}

int attribute_list_get_long(const char *list, size_t size, const char *name,
                            unsigned index, int64_t *value)
{
    uint64_t number;
    int error = number_parse(attribute_list_get(list, size, name, index),
                             UINT64_MAX, &number);

    if (!error)
        *value = (int64_t)number;
    return error;
}
