/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "postfix/queue_file.h"
#include "postfix/queue_file_envelope.h"
#include "postfix/record.h"

#define SENDOPTS_MASK     63 /* bits that are kept in files */
#define DSN_SEEN_SHIFT    1  /* NOTIFY bits in the size record's flags */
#define DSN_SEEN_MASK     15
#define SIZE_FIELDS_FIRST 3 /* of the oldest form that is read */

enum size_field {
    SIZE_DATA_SIZE, /* from the first content record to the X record */
    SIZE_DATA_OFFSET,
    SIZE_RECIPIENT_COUNT,
    SIZE_FLAGS,
    SIZE_CONTENT_SIZE, /* what is logged as size= */
    SIZE_SENDOPTS,
};

enum segment { SEGMENT_ENVELOPE, SEGMENT_CONTENT, SEGMENT_EXTRACTED };

/* The types that may stand in each; pointers and padding never show here. */
static const char *const segment_types[] = {
    [SEGMENT_ENVELOPE] = "MTcFILSDRO/WVA>K<ion",
    [SEGMENT_CONTENT] = "XLN",
    [SEGMENT_EXTRACTED] = "EDRO/PreAFIL>Kon",
};
static const char known_types[] = "CMTcFILSDRO/WVA>K<ionXNEPre";

struct parser {
    struct record_reader reader;
    enum segment segment;
    uint64_t fields[RECORD_SIZE_FIELDS]; /* of the size record */
    unsigned field_count;
    struct record_writer content;
    uint64_t extracted_offset; /* of the X record */
    uint64_t body_offset, body_position, end_position;
    int has_body;
    struct queue_file_envelope envelope;
};

/* "type" is a byte of the file; strchr would find the NUL at the end. */
static int is_among(int type, const char *types)
{
    return type && strchr(types, type) != NULL;
}

static int read_size_record(struct parser *parser)
{
    struct record record;
    const uint8_t *data;
    size_t size;
    int error;

    error = record_next(&parser->reader, &record);
    if (error)
        return error;
    if (record.type != RECORD_SIZE || record.offset)
        return is_among(record.type, known_types) ? QUEUE_FILE_ERR_ORDER
                                                  : QUEUE_FILE_ERR_RECORD;
    data = record.data;
    size = record.size;
    while (size) {
        if (parser->field_count == RECORD_SIZE_FIELDS)
            return QUEUE_FILE_ERR_VALUE;
        error =
            record_number(&data, &size, &parser->fields[parser->field_count++]);
        if (error)
            return error;
    }
    if (parser->field_count < SIZE_FIELDS_FIRST)
        return QUEUE_FILE_ERR_VALUE;
    parser->envelope.file->finished = parser->fields[SIZE_DATA_OFFSET] != 0;
    return 0;
}

static int start_content(struct parser *parser, const struct record *record)
{
    struct queue_file *file = parser->envelope.file;

    if (!parser->envelope.has_sender)
        return QUEUE_FILE_ERR_NO_SENDER;
    if (!parser->envelope.has_time)
        return QUEUE_FILE_ERR_ORDER;
    file->data_offset =
        (uint64_t)(record->data - parser->reader.bytes) + record->size;
    parser->segment = SEGMENT_CONTENT;
    return 0;
}

/*
 * The empty line after the header: from here on milters may have replaced the
 * body, and Postfix then counts the places that the new one lies in.
 */
static void note_body(struct parser *parser, const struct record *record)
{
    if (parser->has_body || record->type != RECORD_LINE || record->size)
        return;
    parser->has_body = 1;
    parser->body_offset = record->offset;
    parser->body_position =
        record_reader_position(&parser->reader, record->offset);
}

static int end_content(struct parser *parser, const struct record *record)
{
    parser->extracted_offset = record->offset;
    parser->end_position =
        record_reader_position(&parser->reader, record->offset);
    parser->segment = SEGMENT_EXTRACTED;
    return 0;
}

static int add_content(struct parser *parser, const struct record *record)
{
    note_body(parser, record);
    record_write(&parser->content, record->type, record->data, record->size);
    return parser->content.failed ? ENOMEM : 0;
}

static int read_records(struct parser *parser)
{
    struct record record;
    int error;

    do {
        error = record_next(&parser->reader, &record);
        if (error)
            return error;
        if (!is_among(record.type, known_types))
            return QUEUE_FILE_ERR_RECORD;
        if (!is_among(record.type, segment_types[parser->segment]))
            return QUEUE_FILE_ERR_ORDER;
        if (record.type == RECORD_END)
            return 0;
        if (record.type == RECORD_MESSAGE)
            error = start_content(parser, &record);
        else if (record.type == RECORD_EXTRACTED)
            error = end_content(parser, &record);
        else if (parser->segment == SEGMENT_CONTENT)
            error = add_content(parser, &record);
        else
            error = queue_file_envelope_add(&parser->envelope, &record);
    } while (!error);
    return error;
}

/*
 * As cleanup counts: the bytes from the first content record to the X record
 * with what lies between them; where milters replaced the body, the header's
 * bytes and those of the body's new places.
 */
static uint64_t unfinished_size(const struct parser *parser)
{
    uint64_t data_offset = parser->envelope.file->data_offset;

    if (!parser->has_body || parser->body_offset < data_offset ||
        parser->body_offset > parser->extracted_offset)
        return parser->extracted_offset - data_offset;
    return parser->body_offset - data_offset + parser->end_position -
           parser->body_position;
}

/* The numbers that Postfix filled in must fit what was read. */
static int check_size_record(struct parser *parser)
{
    const struct queue_file *file = parser->envelope.file;

    if (parser->extracted_offset < file->data_offset)
        return QUEUE_FILE_ERR_POINTER;
    if (!file->finished)
        return 0;
    if (parser->fields[SIZE_DATA_OFFSET] != file->data_offset ||
        parser->fields[SIZE_DATA_SIZE] !=
            parser->extracted_offset - file->data_offset)
        return QUEUE_FILE_ERR_VALUE;
    return 0;
}

static int finish_envelope(struct parser *parser, const char *queue_id)
{
    struct queue_file_envelope *envelope = &parser->envelope;
    const uint64_t *fields = parser->fields;
    uint64_t size = unfinished_size(parser);
    int error;

    if (envelope->file->finished) {
        size = fields[SIZE_CONTENT_SIZE] ? fields[SIZE_CONTENT_SIZE]
                                         : fields[SIZE_DATA_SIZE];
        envelope->dsn_seen |=
            (uint32_t)(fields[SIZE_FLAGS] >> DSN_SEEN_SHIFT) & DSN_SEEN_MASK;
    }
    error = queue_file_error_from_module(syncq_envelope_set_attribute_text(
        &envelope->file->envelope, "queue_id", queue_id));
    if (!error)
        error = queue_file_envelope_set_number(envelope, "size", size);
    if (!error && envelope->dsn_seen)
        error = queue_file_envelope_set_number(envelope, "dsn_seen",
                                               envelope->dsn_seen);
    if (!error && envelope->file->finished &&
        parser->field_count > SIZE_SENDOPTS)
        error = queue_file_envelope_set_number(
            envelope, "sendopts", fields[SIZE_SENDOPTS] & SENDOPTS_MASK);
    return error;
}

int queue_file_parse(const uint8_t *bytes, size_t size, const char *queue_id,
                     struct queue_file *file)
{
    struct queue_file result = {0};
    struct parser *parser = NULL;
    int error;

    if (!queue_id_valid(queue_id))
        return EINVAL;
    parser = calloc(1, sizeof(*parser));
    if (!parser)
        return ENOMEM;
    error = syncq_envelope_init(&result.envelope);
    if (error)
        goto out;
    parser->envelope.file = &result;
    record_reader_init(&parser->reader, bytes, size);

    error = read_size_record(parser);
    if (!error)
        error = read_records(parser);
    if (!error)
        error = check_size_record(parser);
    if (!error)
        error = finish_envelope(parser, queue_id);
    if (error)
        goto out;
    result.content = parser->content.bytes;
    result.content_size = parser->content.size;
    parser->content.bytes = NULL;
    *file = result;
out:
    free(parser->content.bytes);
    free(parser);
    if (error)
        queue_file_clear(&result);
    return error;
}

void queue_file_clear(struct queue_file *file)
{
    syncq_envelope_clear(&file->envelope);
    free(file->offsets);
    free(file->content);
    memset(file, 0, sizeof(*file));
}

const char *queue_file_strerror(int error)
{
    switch (error) {
    case QUEUE_FILE_ERR_INCOMPLETE:
        return "the queue file ends too early";
    case QUEUE_FILE_ERR_RECORD:
        return "the queue file has an unknown record";
    case QUEUE_FILE_ERR_POINTER:
        return "a pointer in the queue file leads nowhere";
    case QUEUE_FILE_ERR_ORDER:
        return "the queue file has a record out of place";
    case QUEUE_FILE_ERR_VALUE:
        return "the queue file has a bad number or attribute";
    case QUEUE_FILE_ERR_NO_SENDER:
        return "the queue file names no sender";
    case QUEUE_FILE_ERR_LIMIT:
        return "the queue file goes over a limit";
    default:
        return syncq_strerror(error);
    }
}
