/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target of syncq_envelope_decode: any bytes are refused or are exactly
 * what encoding them again gives; changing what was decoded is safe too.
 *
 *   clang -DSYNCQ_FUZZER -fsanitize=fuzzer,address,undefined ...
 *         tests/fuzz_envelope.c module/envelope*.c
 *
 * Linked with fuzz_replay.c instead it reads the files named as arguments.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/envelope.h"
#include "module/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A finding must stop the fuzzer. */
static void check(int right)
{
    if (!right)
        abort();
}

static void check_parts(const struct syncq_envelope *envelope)
{
    uint32_t i, next = 0;

    for (i = 0; i < envelope->part_count; i++) {
        check(envelope->parts[i].first_recipient == next);
        check(envelope->parts[i].recipient_count <= SYNCQ_PART_RECIPIENTS_MAX);
        next += envelope->parts[i].recipient_count;
    }
    check(next == envelope->recipient_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct syncq_recipient recipient = {"new@Example.com", "", "", 1};
    struct syncq_envelope envelope;
    uint8_t *again = NULL;
    size_t again_size = 0;

    if (syncq_envelope_decode(bytes, size, &envelope))
        return 0;
    check_parts(&envelope);
    check(!syncq_envelope_encode(&envelope, &again, &again_size));
    check(again_size == size && !memcmp(again, bytes, size));
    free(again);
    (void)syncq_envelope_set_attribute_text(&envelope, "name", "value");
    check(!syncq_envelope_add_recipient(&envelope, &recipient));
    check(!syncq_envelope_group(&envelope));
    check_parts(&envelope);
    check(!syncq_envelope_encode(&envelope, &again, &again_size));
    free(again);
    syncq_envelope_clear(&envelope);
    check(!envelope.memory);
    return 0;
}
