/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/bytes.h"
#include "module/envelope.h"
#include "module/error.h"
#include "module/limits.h"

/* Where the counts and the first text lie; see envelope.h. */
#define VERSION_OFFSET    0
#define RECIPIENTS_OFFSET 4
#define PARTS_OFFSET      8
#define ATTRIBUTES_OFFSET 12
#define SENDER_OFFSET     16

struct encoded {
    uint8_t *bytes;
    size_t size;
};

static void add(struct syncq_envelope *envelope, const char *address,
                const char *original, const char *dsn_original, uint32_t notify)
{
    struct syncq_recipient recipient = {address, original, dsn_original,
                                        notify};

    assert_result(syncq_envelope_add_recipient(envelope, &recipient), 0);
}

/* Three recipients in two domains, two attributes. */
static int make_encoded(void **state)
{
    struct encoded *encoded = calloc(1, sizeof(*encoded));
    struct syncq_envelope envelope;

    *state = encoded;
    if (!encoded || syncq_envelope_init(&envelope))
        return -1;
    assert_result(syncq_envelope_set_sender(&envelope, "s@example.org"), 0);
    assert_result(syncq_envelope_set_instructions(&envelope, "smtp:[::1]"), 0);
    assert_result(syncq_envelope_set_attribute(&envelope, "raw", "a\0b\n", 4),
                  0);
    assert_result(syncq_envelope_set_attribute_text(&envelope, "empty", ""), 0);
    add(&envelope, "1@b.example", "", "", 0);
    add(&envelope, "2@A.example", "two@a.example", "rfc822;two@a.example", 7);
    add(&envelope, "3@B.example", "", "", 1);
    assert_result(syncq_envelope_group(&envelope), 0);
    assert_result(
        syncq_envelope_encode(&envelope, &encoded->bytes, &encoded->size), 0);
    syncq_envelope_clear(&envelope);
    return 0;
}

static int free_encoded(void **state)
{
    struct encoded *encoded = *state;

    free(encoded->bytes);
    free(encoded);
    return 0;
}

/* Decode a copy that ends where its memory ends, so that a sanitizer sees any
 * read behind it.  What is accepted must encode to the very same bytes. */
static int decode_copy(const uint8_t *bytes, size_t size)
{
    struct syncq_envelope envelope;
    uint8_t *copy = malloc(size ? size : 1), *again = NULL;
    size_t again_size = 0;
    int result;

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    memset(&envelope, 0x5a, sizeof(envelope));
    result = syncq_envelope_decode(copy, size, &envelope);
    if (!result) {
        assert_result(syncq_envelope_encode(&envelope, &again, &again_size), 0);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, copy, size);
        syncq_envelope_clear(&envelope);
    }
    free(again);
    free(copy);
    return result;
}

static void test_decode__encoded__is_the_same(void **state)
{
    const struct encoded *encoded = *state;
    const struct syncq_attribute *attribute;
    struct syncq_envelope envelope;

    assert_result(
        syncq_envelope_decode(encoded->bytes, encoded->size, &envelope), 0);
    assert_string_equal(envelope.sender, "s@example.org");
    assert_string_equal(envelope.instructions, "smtp:[::1]");
    assert_int_equal(envelope.recipient_count, 3);
    assert_string_equal(envelope.recipients[0].address, "2@A.example");
    assert_string_equal(envelope.recipients[0].original, "two@a.example");
    assert_string_equal(envelope.recipients[0].dsn_original,
                        "rfc822;two@a.example");
    assert_int_equal(envelope.recipients[0].notify, 7);
    assert_string_equal(envelope.recipients[1].address, "1@b.example");
    assert_string_equal(envelope.recipients[2].address, "3@B.example");
    assert_int_equal(envelope.part_count, 2);
    assert_string_equal(envelope.parts[0].domain, "a.example");
    assert_string_equal(envelope.parts[1].domain, "b.example");
    assert_int_equal(envelope.parts[1].first_recipient, 1);
    assert_int_equal(envelope.parts[1].recipient_count, 2);
    attribute = syncq_envelope_attribute(&envelope, "raw");
    assert_non_null(attribute);
    assert_int_equal(attribute->value_size, 4);
    assert_memory_equal(attribute->value, "a\0b\n", 5);
    assert_string_equal(syncq_envelope_attribute_text(&envelope, "empty", "x"),
                        "");
    syncq_envelope_clear(&envelope);
    assert_result(decode_copy(encoded->bytes, encoded->size), 0);
}

static void test_decode__then_changed__copies_are_its_own(void **state)
{
    const struct encoded *encoded = *state;
    struct syncq_envelope envelope;

    assert_result(
        syncq_envelope_decode(encoded->bytes, encoded->size, &envelope), 0);
    assert_result(syncq_envelope_set_attribute_text(&envelope, "raw", "new"),
                  0);
    assert_result(syncq_envelope_set_attribute_text(&envelope, "more", "x"), 0);
    add(&envelope, "4@0.example", "", "", 0);
    assert_result(syncq_envelope_group(&envelope), 0);
    assert_int_equal(envelope.part_count, 3);
    assert_string_equal(envelope.recipients[0].address, "4@0.example");
    syncq_envelope_clear(&envelope);
}

static void test_decode__every_truncation__is_refused(void **state)
{
    const struct encoded *encoded = *state;
    size_t size;

    for (size = 0; size < encoded->size; size++)
        assert_result(decode_copy(encoded->bytes, size),
                      SYNCQ_ERR_BAD_ENVELOPE);
}

static void test_decode__bytes_after_the_end__is_refused(void **state)
{
    const struct encoded *encoded = *state;
    uint8_t *longer = calloc(1, encoded->size + 1);

    assert_non_null(longer);
    memcpy(longer, encoded->bytes, encoded->size);
    assert_result(decode_copy(longer, encoded->size + 1),
                  SYNCQ_ERR_BAD_ENVELOPE);
    free(longer);
}

/* Many changes make another good envelope; none may read out of bounds. */
static void test_decode__every_byte_changed__never_misread(void **state)
{
    const struct encoded *encoded = *state;
    size_t i;
    unsigned value;

    for (i = 0; i < encoded->size; i++) {
        uint8_t right = encoded->bytes[i];

        for (value = 0; value < 256; value++) {
            int result;

            encoded->bytes[i] = (uint8_t)value;
            result = decode_copy(encoded->bytes, encoded->size);
            assert_true(result == 0 || result == SYNCQ_ERR_BAD_ENVELOPE);
            if (value == right)
                assert_result(result, 0);
            else if (i < SENDER_OFFSET + 4) /* version, counts, a length */
                assert_result(result, SYNCQ_ERR_BAD_ENVELOPE);
        }
        encoded->bytes[i] = right;
    }
}

static void assert_refused_with(const struct encoded *encoded, size_t offset,
                                uint32_t value)
{
    uint32_t right = read_u32(encoded->bytes + offset);

    write_u32(encoded->bytes + offset, value);
    assert_result(decode_copy(encoded->bytes, encoded->size),
                  SYNCQ_ERR_BAD_ENVELOPE);
    write_u32(encoded->bytes + offset, right);
}

static void test_decode__huge_counts__are_refused(void **state)
{
    static const uint32_t values[] = {0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      SYNCQ_RECIPIENTS_MAX,
                                      SYNCQ_PARTS_MAX,
                                      SYNCQ_ATTRIBUTES_MAX + 1,
                                      SYNCQ_TEXT_SIZE_MAX + 1,
                                      0x10000001};
    size_t i;

    for (i = 0; i < sizeof(values) / sizeof(*values); i++) {
        assert_refused_with(*state, VERSION_OFFSET, values[i]);
        assert_refused_with(*state, RECIPIENTS_OFFSET, values[i]);
        assert_refused_with(*state, PARTS_OFFSET, values[i]);
        assert_refused_with(*state, ATTRIBUTES_OFFSET, values[i]);
        assert_refused_with(*state, SENDER_OFFSET, values[i]);
    }
}

/* Find a text in the encoded envelope. */
static uint8_t *find(const struct encoded *encoded, const char *text)
{
    uint8_t *place = memmem(encoded->bytes, encoded->size, text, strlen(text));

    assert_non_null(place);
    return place;
}

static void test_decode__nul_in_an_address__is_refused(void **state)
{
    const struct encoded *encoded = *state;

    find(encoded, "1@b.example")[3] = 0;
    assert_result(decode_copy(encoded->bytes, encoded->size),
                  SYNCQ_ERR_BAD_ENVELOPE);
}

static void test_decode__part_of_another_domain__is_refused(void **state)
{
    const struct encoded *encoded = *state;

    find(encoded, "1@b.example")[2] = 'c';
    assert_result(decode_copy(encoded->bytes, encoded->size),
                  SYNCQ_ERR_BAD_ENVELOPE);
}

static void test_decode__part_in_upper_case__is_refused(void **state)
{
    const struct encoded *encoded = *state;

    assert_int_equal(find(encoded, "a.example")[-4], strlen("a.example"));
    find(encoded, "two@a.example"); /* the one with the domain comes first */
    find(encoded, "a.example")[0] = 'A';
    assert_result(decode_copy(encoded->bytes, encoded->size),
                  SYNCQ_ERR_BAD_ENVELOPE);
}

static void test_decode__parts_leave_a_gap_or_overlap__is_refused(void **state)
{
    const struct encoded *encoded = *state;
    /* The second part's first recipient and count stand before its domain. */
    size_t first = (size_t)(find(encoded, "b.example") - encoded->bytes) - 12;

    assert_int_equal(read_u32(encoded->bytes + first), 1);
    assert_int_equal(read_u32(encoded->bytes + first + 4), 2);
    assert_refused_with(encoded, first, 0);
    assert_refused_with(encoded, first, 2);
    assert_refused_with(encoded, first + 4, 0);
    assert_refused_with(encoded, first + 4, 1);
    assert_refused_with(encoded, first + 4, 3);
    assert_refused_with(encoded, first + 4, UINT32_MAX);
}

/* 65 recipients in one part would not fit into an entry's mask. */
static void test_decode__part_of_65__is_refused(void **state)
{
    const struct encoded *encoded = *state;
    struct syncq_envelope envelope;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int i;

    assert_result(
        syncq_envelope_decode(encoded->bytes, encoded->size, &envelope), 0);
    for (i = 0; i < 62; i++)
        add(&envelope, "x@b.example", "", "", 0);
    assert_result(syncq_envelope_group(&envelope), 0);
    assert_int_equal(envelope.parts[1].recipient_count, 64);
    add(&envelope, "x@b.example", "", "", 0);
    assert_result(syncq_envelope_group(&envelope), 0);
    assert_int_equal(envelope.part_count, 3);
    envelope.parts[1].recipient_count = 65; /* what no caller may do */
    envelope.part_count = 2;
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    assert_result(decode_copy(bytes, size), SYNCQ_ERR_BAD_ENVELOPE);
    free(bytes);
    syncq_envelope_clear(&envelope);
}

static void test_decode__failure__changes_nothing(void **state)
{
    const struct encoded *encoded = *state;
    struct syncq_envelope envelope, before;

    memset(&envelope, 0x33, sizeof(envelope));
    before = envelope;
    assert_result(
        syncq_envelope_decode(encoded->bytes, encoded->size - 1, &envelope),
        SYNCQ_ERR_BAD_ENVELOPE);
    assert_memory_equal(&envelope, &before, sizeof(envelope));
}

static void test_decode__longer_than_any_envelope__is_refused(void **state)
{
    struct syncq_envelope envelope;

    (void)state;
    /* Refused by its size alone: nothing is read. */
    assert_result(
        syncq_envelope_decode(NULL, SYNCQ_ENVELOPE_SIZE_MAX + 1, &envelope),
        SYNCQ_ERR_BAD_ENVELOPE);
}

static void test_encode__not_grouped__range_error(void **state)
{
    struct syncq_envelope envelope;
    uint8_t *bytes = NULL;
    size_t size = 77;

    (void)state;
    assert_result(syncq_envelope_init(&envelope), 0);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size),
                  SYNCQ_ERR_RANGE);
    add(&envelope, "a@b", "", "", 0);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size),
                  SYNCQ_ERR_RANGE);
    assert_null(bytes);
    assert_int_equal(size, 77);
    syncq_envelope_clear(&envelope);
}

static void test_encode__thousand_recipients__round_trip(void **state)
{
    struct syncq_envelope envelope;
    char address[40];
    uint8_t *bytes = NULL;
    size_t size = 0;
    int i;

    (void)state;
    assert_result(syncq_envelope_init(&envelope), 0);
    for (i = 0; i < 1000; i++) {
        snprintf(address, sizeof(address), "user%d@D%d.example", i, i % 37);
        add(&envelope, address, address, "", 1);
    }
    assert_result(syncq_envelope_group(&envelope), 0);
    assert_int_equal(envelope.part_count, 37);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    syncq_envelope_clear(&envelope);
    assert_result(decode_copy(bytes, size), 0);
    free(bytes);
}

/* Each text is within its limit, but not all of them together. */
static void test_encode__larger_than_any_envelope__range_error(void **state)
{
    struct syncq_envelope envelope;
    struct syncq_attribute value;
    uint8_t *bytes = NULL;
    char name[16];
    size_t size = 0;
    int i;

    (void)state;
    value.value = calloc(1, SYNCQ_ATTRIBUTE_SIZE_MAX + 1);
    assert_non_null(value.value);
    assert_result(syncq_envelope_init(&envelope), 0);
    add(&envelope, "a@b", "", "", 0);
    assert_result(syncq_envelope_group(&envelope), 0);
    for (i = 0; i < 16; i++) {
        snprintf(name, sizeof(name), "a%d", i);
        assert_result(syncq_envelope_set_attribute_text(&envelope, name, ""),
                      0);
        /* One memory for all keeps the test small. */
        envelope.attributes[i].value = value.value;
        envelope.attributes[i].value_size = SYNCQ_ATTRIBUTE_SIZE_MAX;
    }
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size),
                  SYNCQ_ERR_RANGE);
    assert_null(bytes);
    syncq_envelope_clear(&envelope);
    free((void *)(uintptr_t)value.value);
}

#define ENCODED_TEST(test)                                                     \
    cmocka_unit_test_setup_teardown(test, make_encoded, free_encoded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENCODED_TEST(test_decode__encoded__is_the_same),
        ENCODED_TEST(test_decode__then_changed__copies_are_its_own),
        ENCODED_TEST(test_decode__every_truncation__is_refused),
        ENCODED_TEST(test_decode__bytes_after_the_end__is_refused),
        ENCODED_TEST(test_decode__every_byte_changed__never_misread),
        ENCODED_TEST(test_decode__huge_counts__are_refused),
        ENCODED_TEST(test_decode__nul_in_an_address__is_refused),
        ENCODED_TEST(test_decode__part_of_another_domain__is_refused),
        ENCODED_TEST(test_decode__part_in_upper_case__is_refused),
        ENCODED_TEST(test_decode__parts_leave_a_gap_or_overlap__is_refused),
        ENCODED_TEST(test_decode__part_of_65__is_refused),
        ENCODED_TEST(test_decode__failure__changes_nothing),
        cmocka_unit_test(test_decode__longer_than_any_envelope__is_refused),
        cmocka_unit_test(test_encode__not_grouped__range_error),
        cmocka_unit_test(test_encode__thousand_recipients__round_trip),
        cmocka_unit_test(test_encode__larger_than_any_envelope__range_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
