/* SPDX-License-Identifier: MIT */
/*
 * Every allocation behind an envelope fails once.  Linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray.
 */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/envelope.h"
#include "module/error.h"
#include "module/limits.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

/* How many more allocations succeed before one fails; negative: all. */
static int allocations_left = -1;
static int allocations;
static size_t bytes_taken;

static int fails(size_t size)
{
    allocations++;
    bytes_taken += size;
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(count * size) ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails(count * size) ? NULL
                               : __real_reallocarray(memory, count, size);
}

static int add(struct syncq_envelope *envelope, const char *address)
{
    struct syncq_recipient recipient = {address, "o", "d", 0};

    return syncq_envelope_add_recipient(envelope, &recipient);
}

/* All calls that allocate, up to the first that fails. */
static int do_everything(struct syncq_envelope *envelope,
                         struct syncq_envelope *decoded, uint8_t **bytes)
{
    size_t size = 0;
    int result = syncq_envelope_init(envelope);

    if (!result)
        result = syncq_envelope_set_sender(envelope, "s@c");
    if (!result)
        result = syncq_envelope_set_attribute_text(envelope, "n", "v");
    if (!result)
        result = add(envelope, "1@B");
    if (!result)
        result = add(envelope, "2@a");
    if (!result)
        result = syncq_envelope_group(envelope);
    if (!result)
        result = syncq_envelope_encode(envelope, bytes, &size);
    if (!result)
        result = syncq_envelope_decode(*bytes, size, decoded);
    return result;
}

static void test_envelope__each_allocation_fails_once__enomem(void **state)
{
    int fail_at, result = ENOMEM;

    (void)state;
    for (fail_at = 0; result && fail_at < 100; fail_at++) {
        struct syncq_envelope envelope = {0}, decoded = {0};
        uint8_t *bytes = NULL;

        allocations_left = fail_at;
        result = do_everything(&envelope, &decoded, &bytes);
        allocations_left = -1;
        if (result) {
            assert_int_equal(result, ENOMEM);
            assert_null(decoded.memory);
        }
        syncq_envelope_clear(&decoded);
        syncq_envelope_clear(&envelope);
        free(bytes);
    }
    assert_int_equal(result, 0);
    assert_true(fail_at > 10);
}

static void test_group__no_memory__leaves_the_order(void **state)
{
    struct syncq_envelope envelope;
    int fail_at, result = ENOMEM;

    (void)state;
    assert_int_equal(syncq_envelope_init(&envelope), 0);
    assert_int_equal(add(&envelope, "1@b"), 0);
    assert_int_equal(add(&envelope, "2@a"), 0);
    for (fail_at = 0; fail_at < 3; fail_at++) {
        allocations_left = fail_at;
        result = syncq_envelope_group(&envelope);
        allocations_left = -1;
        assert_int_equal(result, ENOMEM);
        assert_string_equal(envelope.recipients[0].address, "1@b");
        assert_int_equal(envelope.part_count, 0);
    }
    assert_int_equal(syncq_envelope_group(&envelope), 0);
    assert_string_equal(envelope.recipients[0].address, "2@a");
    syncq_envelope_clear(&envelope);
}

static void test_envelope__thousand_recipients__few_allocations(void **state)
{
    struct syncq_envelope envelope;
    struct syncq_recipient recipient = {
        "somebody.with.a.name@subdomain.example.com", "somebody@example.com",
        "rfc822;somebody@example.com", 0};
    int i;

    (void)state;
    allocations = 0;
    assert_int_equal(syncq_envelope_init(&envelope), 0);
    for (i = 0; i < 1000; i++)
        assert_int_equal(syncq_envelope_add_recipient(&envelope, &recipient),
                         0);
    assert_int_equal(syncq_envelope_group(&envelope), 0);
    assert_true(allocations < 25);
    syncq_envelope_clear(&envelope);
}

/* A head that promises a million recipients in a few bytes gets no memory. */
static void
test_decode__counts_beyond_the_bytes__allocates_nothing(void **state)
{
    const uint32_t head[8] = {1, SYNCQ_RECIPIENTS_MAX, SYNCQ_PARTS_MAX, 0};
    struct syncq_envelope envelope;

    (void)state;
    bytes_taken = 0;
    assert_result(
        syncq_envelope_decode((const uint8_t *)head, sizeof(head), &envelope),
        SYNCQ_ERR_BAD_ENVELOPE);
    assert_true(bytes_taken < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope__each_allocation_fails_once__enomem),
        cmocka_unit_test(test_group__no_memory__leaves_the_order),
        cmocka_unit_test(test_envelope__thousand_recipients__few_allocations),
        cmocka_unit_test(
            test_decode__counts_beyond_the_bytes__allocates_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
