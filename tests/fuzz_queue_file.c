/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of queue_file_parse: any bytes are refused or understood, and
 * what was understood can be written and read again, with the same result.
 *
 *   clang -fsanitize=fuzzer,address,undefined ... tests/fuzz_queue_file.c
 *         postfix/[files].c module/envelope*.c module/error.c
 *
 * Without libFuzzer, fuzz_replay.c runs it over the files named as arguments.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/queue_file.h"
#include "postfix/record.h"

#define ID "4jXbhD4zJrz1bYHs"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A finding must stop the fuzzer. */
static void check(int right)
{
    if (!right)
        abort();
}

static void check_same(const struct queue_file *a, const struct queue_file *b)
{
    const struct syncq_recipient *left, *right;
    uint32_t i;

    check(!strcmp(a->envelope.sender, b->envelope.sender));
    check(a->envelope.recipient_count == b->envelope.recipient_count);
    for (i = 0; i < a->envelope.recipient_count; i++) {
        left = &a->envelope.recipients[i];
        right = &b->envelope.recipients[i];
        check(!strcmp(left->address, right->address));
        check(!strcmp(left->original, right->original));
        check(!strcmp(left->dsn_original, right->dsn_original));
        check(left->notify == right->notify);
    }
    check(a->content_size == b->content_size);
    check(!a->content_size || !memcmp(a->content, b->content, a->content_size));
}

static void check_again(const struct queue_file *file)
{
    uint32_t count = file->envelope.recipient_count, i;
    uint32_t *recipients = calloc((size_t)count + 1, sizeof(*recipients));
    uint64_t *offsets = calloc((size_t)count + 1, sizeof(*offsets));
    struct queue_file again;
    uint64_t data_offset;
    uint8_t *bytes = NULL;
    size_t size;

    for (i = 0; i < count; i++)
        recipients[i] = i;
    check(!queue_file_build(&file->envelope, recipients, count, file->content,
                            file->content_size, offsets, &data_offset, &bytes,
                            &size));
    for (i = 0; i < count; i++)
        check(offsets[i] < size && bytes[offsets[i]] == RECORD_RECIPIENT);
    check(!queue_file_parse(bytes, size, ID, &again));
    check(again.finished && again.data_offset == data_offset);
    check_same(file, &again);
    queue_file_clear(&again);
    free(bytes);
    free(offsets);
    free(recipients);
}

static void parse(const uint8_t *bytes, size_t size)
{
    struct queue_file file;
    uint32_t i;

    if (queue_file_parse(bytes, size, ID, &file))
        return;
    check(file.content_size <= size && file.data_offset < size);
    for (i = 0; i < file.envelope.recipient_count; i++)
        check(file.offsets[i] < size &&
              bytes[file.offsets[i]] == RECORD_RECIPIENT);
    check_again(&file);
    queue_file_clear(&file);
}

/* As it is, and as it would be with no number in its size record yet. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *unfinished;
    size_t i;

    parse(bytes, size);
    if (size < 2 + RECORD_SIZE_DATA_SIZE || bytes[0] != RECORD_SIZE ||
        bytes[1] != RECORD_SIZE_DATA_SIZE)
        return 0;
    unfinished = malloc(size);
    if (!unfinished)
        return 0;
    memcpy(unfinished, bytes, size);
    for (i = 2; i < 2 + RECORD_SIZE_DATA_SIZE; i++)
        if (unfinished[i] >= '1' && unfinished[i] <= '9')
            unfinished[i] = '0';
    parse(unfinished, size);
    free(unfinished);
    return 0;
}
