/* SPDX-License-Identifier: MIT */
/*
 * milter_dump.c - show captured mail and queue files in the same form, so that
 * a test can compare them
 *
 *   milter-dump gate DIRECTORY RUN_DIRECTORY TEXT   set the gate; "" opens it
 *   milter-dump queue DIRECTORY RUN_DIRECTORY       all messages
 *   milter-dump file PATH QUEUE_ID                  one queue file
 *
 * One line for each thing; a message ends with an empty line.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "module/entry.h"
#include "module/error.h"
#include "module/read.h"
#include "postfix/queue_file.h"
#include "postfix/record.h"

static int fail(const char *what, int error)
{
    fprintf(stderr, "milter-dump: %s: %s\n", what, queue_file_strerror(error));
    return EX_DATAERR;
}

static void bytes_print(const uint8_t *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        if (isascii(bytes[i]) && isprint(bytes[i]) && bytes[i] != '\\')
            putchar(bytes[i]);
        else
            printf("\\%02x", bytes[i]);
    putchar('\n');
}

static int attribute_compare(const void *a, const void *b)
{
    const struct syncq_attribute *left = a, *right = b;

    return strcmp(left->name, right->name);
}

static void envelope_print(struct syncq_envelope *envelope)
{
    const struct syncq_attribute *attribute;
    const struct syncq_recipient *recipient;
    uint32_t i;

    printf("sender %s\ninstructions %s\n", envelope->sender,
           envelope->instructions);
    for (i = 0; i < envelope->recipient_count; i++) {
        recipient = &envelope->recipients[i];
        printf("recipient %s original %s dsn_original %s notify %u\n",
               recipient->address, recipient->original, recipient->dsn_original,
               recipient->notify);
    }
    qsort(envelope->attributes, envelope->attribute_count,
          sizeof(*envelope->attributes), attribute_compare);
    for (i = 0; i < envelope->attribute_count; i++) {
        attribute = &envelope->attributes[i];
        printf("attribute %s ", attribute->name);
        bytes_print((const uint8_t *)attribute->value, attribute->value_size);
    }
}

static void content_print(const uint8_t *content, size_t size)
{
    struct record_reader reader;
    struct record record;

    record_reader_init(&reader, content, size);
    while (!record_next(&reader, &record)) {
        printf("%c ", record.type);
        bytes_print(record.data, record.size);
    }
    putchar('\n');
}

static int file_print(const char *path, const char *queue_id)
{
    struct queue_file file = {0};
    static uint8_t bytes[64 << 20];
    FILE *input = fopen(path, "r");
    size_t size;
    int error;

    if (!input)
        return fail(path, errno);
    size = fread(bytes, 1, sizeof(bytes), input);
    fclose(input);
    error = queue_file_parse(bytes, size, queue_id, &file);
    if (!error)
        error = syncq_envelope_group(&file.envelope);
    if (!error) {
        envelope_print(&file.envelope);
        content_print(file.content, file.content_size);
    }
    queue_file_clear(&file);
    return error ? fail(path, error) : EX_OK;
}

static int queue_print(struct syncq_queue *queue)
{
    uint32_t slot, count = syncq_entry_count(queue);
    struct syncq_entry_view entry;
    struct syncq_record record;
    int error;

    for (slot = 0; slot < count; slot++) {
        error = syncq_entry_read(queue, slot, &entry);
        if (error == SYNCQ_ERR_BAD_ENTRY || (!error && entry.part))
            continue;
        if (!error)
            error = syncq_record_read(queue, entry.state.lsn, entry.sequence,
                                      &record);
        if (error)
            return fail("entry", error);
        printf("status %s\n", syncq_status_name(entry.state.status));
        envelope_print(&record.envelope);
        content_print(record.content, record.content_size);
        syncq_record_clear(&record);
    }
    return EX_OK;
}

int main(int argc, char **argv)
{
    struct syncq_queue *queue = NULL;
    int is_gate = argc == 5 && !strcmp(argv[1], "gate");
    int error, code = EX_OK;

    if (argc == 4 && !strcmp(argv[1], "file"))
        return file_print(argv[2], argv[3]);
    if (!is_gate && (argc != 4 || strcmp(argv[1], "queue")))
        return EX_USAGE;
    error = syncq_queue_open(
        argv[2], argv[3], is_gate ? SYNCQ_OPEN_WRITE : SYNCQ_OPEN_READ, &queue);
    if (error)
        return fail(argv[2], error);
    if (is_gate)
        syncq_gate_set(queue, argv[4]);
    else
        code = queue_print(queue);
    syncq_queue_close(queue);
    return code;
}
