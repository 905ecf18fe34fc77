/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "postfix/buffer.h"
#include "postfix/queue_file.h"
#include "postfix/record.h"

void record_reader_init(struct record_reader *reader, const uint8_t *bytes,
                        size_t size)
{
    memset(reader, 0, sizeof(*reader));
    reader->bytes = bytes;
    reader->size = size;
}

/* The record at the reader's offset, whatever its type. */
static int read_one(struct record_reader *reader, struct record *record)
{
    const uint8_t *bytes = reader->bytes;
    uint64_t offset = reader->offset;
    size_t length = 0;
    unsigned i;

    if (offset >= reader->size)
        return QUEUE_FILE_ERR_INCOMPLETE;
    record->type = bytes[offset];
    record->offset = offset++;
    for (i = 0;; i++) {
        if (i == RECORD_LENGTH_BYTES_MAX)
            return QUEUE_FILE_ERR_RECORD;
        if (offset == reader->size)
            return QUEUE_FILE_ERR_INCOMPLETE;
        length |= (size_t)(bytes[offset] & 0x7f) << (7 * i);
        if (!(bytes[offset++] & 0x80))
            break;
    }
    if (length > reader->size - offset)
        return QUEUE_FILE_ERR_INCOMPLETE;
    record->data = bytes + offset;
    record->size = length;
    reader->offset = offset + length;

    /* No byte belongs to two records, so more than the file is a circle. */
    reader->read_size += reader->offset - record->offset;
    if (reader->read_size > reader->size)
        return QUEUE_FILE_ERR_POINTER;
    return 0;
}

static int follow(struct record_reader *reader, const struct record *record)
{
    const uint8_t *data = record->data;
    size_t size = record->size;
    uint64_t target;

    if (record_number(&data, &size, &target) || size)
        return QUEUE_FILE_ERR_POINTER;
    if (!target)
        return 0;
    if (target >= reader->size)
        return QUEUE_FILE_ERR_POINTER;
    if (target <= record->offset &&
        ++reader->backward_count > RECORD_BACKWARD_JUMPS_MAX)
        return QUEUE_FILE_ERR_POINTER;
    reader->run_size = record_reader_position(reader, record->offset);
    reader->run_start = target;
    reader->offset = target;
    return 0;
}

int record_next(struct record_reader *reader, struct record *record)
{
    int error;

    for (;;) {
        error = read_one(reader, record);
        if (error)
            return error;
        if (record->type == RECORD_PADDING)
            continue;
        if (record->type != RECORD_POINTER)
            return 0;
        error = follow(reader, record);
        if (error)
            return error;
    }
}

uint64_t record_reader_position(const struct record_reader *reader,
                                uint64_t offset)
{
    return reader->run_size + (offset - reader->run_start);
}

int record_number(const uint8_t **data, size_t *size, uint64_t *number)
{
    const uint8_t *byte = *data, *end = *data + *size, *first;
    uint64_t value = 0;

    while (byte < end && *byte == ' ')
        byte++;
    for (first = byte; byte < end && *byte >= '0' && *byte <= '9'; byte++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*byte - '0'), &value))
            return QUEUE_FILE_ERR_VALUE;
    if (byte == first || (byte < end && *byte != ' '))
        return QUEUE_FILE_ERR_VALUE;
    while (byte < end && *byte == ' ')
        byte++;
    *number = value;
    *size = (size_t)(end - byte);
    *data = byte;
    return 0;
}

static int make_room(struct record_writer *writer, size_t size)
{
    void *bytes = writer->bytes;

    if (!writer->failed &&
        buffer_reserve(&bytes, &writer->capacity, writer->size, size))
        writer->failed = 1;
    writer->bytes = bytes;
    return writer->failed ? ENOMEM : 0;
}

void record_write_raw(struct record_writer *writer, const void *bytes,
                      size_t size)
{
    if (make_room(writer, size) || !size)
        return;
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

void record_write(struct record_writer *writer, int type, const void *data,
                  size_t size)
{
    uint8_t head[1 + RECORD_LENGTH_BYTES_MAX];
    size_t head_size = 0, rest = size;

    assert(size >> (7 * RECORD_LENGTH_BYTES_MAX) == 0);
    head[head_size++] = (uint8_t)type;
    do {
        head[head_size] = rest & 0x7f;
        rest >>= 7;
        if (rest)
            head[head_size] |= 0x80;
        head_size++;
    } while (rest);
    /* Room for both at once: never a head without its data. */
    if (make_room(writer, head_size + size))
        return;
    record_write_raw(writer, head, head_size);
    record_write_raw(writer, data, size);
}

void record_patch_size(struct record_writer *writer,
                       const uint64_t fields[RECORD_SIZE_FIELDS])
{
    char text[RECORD_SIZE_DATA_SIZE + 1];
    size_t i, size = 0;

    if (writer->failed)
        return;
    for (i = 0; i < RECORD_SIZE_FIELDS; i++) {
        assert(fields[i] < UINT64_C(1000000000000000));
        size += (size_t)snprintf(text + size, sizeof(text) - size,
                                 i ? " %15llu" : "%15llu",
                                 (unsigned long long)fields[i]);
    }
    assert(size == RECORD_SIZE_DATA_SIZE);
    assert(writer->size >= 2 + size && writer->bytes[0] == RECORD_SIZE);
    memcpy(writer->bytes + 2, text, size);
}
