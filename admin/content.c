/* SPDX-License-Identifier: MIT */
#include "admin/content.h"

#include "module/error.h"
#include "module/record_format.h"
#include "postfix/record.h"

static int write_records(FILE *stream, const uint8_t *content, size_t size,
                         int *open)
{
    struct record_reader reader;
    struct record record;

    record_reader_init(&reader, content, size);
    while (reader.offset < size) {
        if (record_next(&reader, &record) ||
            (record.type != RECORD_LINE && record.type != RECORD_PART))
            return SYNCQ_ERR_BAD_RECORD;
        fwrite(record.data, 1, record.size, stream);
        if (record.type == RECORD_LINE)
            putc('\n', stream);
        *open = record.type == RECORD_PART;
    }
    return 0;
}

int content_write(FILE *stream, uint8_t type, const uint8_t *content,
                  size_t size, int *open)
{
    *open = 0;
    if (type == SYNCQ_RECORD_POSTFIX)
        return write_records(stream, content, size, open);
    fwrite(content, 1, size, stream);
    *open = size && content[size - 1] != '\n';
    return 0;
}
