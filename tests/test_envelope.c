/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/envelope.h"
#include "module/error.h"
#include "module/limits.h"

static int make_envelope(void **state)
{
    struct syncq_envelope *envelope = calloc(1, sizeof(*envelope));

    *state = envelope;
    return envelope ? syncq_envelope_init(envelope) : -1;
}

static int clear_envelope(void **state)
{
    syncq_envelope_clear(*state);
    free(*state);
    return 0;
}

static int add(struct syncq_envelope *envelope, const char *address)
{
    struct syncq_recipient recipient = {address, "", "", 0};

    return syncq_envelope_add_recipient(envelope, &recipient);
}

static char *text_of_size(size_t size)
{
    char *text = malloc(size + 1);

    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = 0;
    return text;
}

static void test_init__fresh__is_empty(void **state)
{
    struct syncq_envelope *envelope = *state;

    assert_string_equal(envelope->sender, "");
    assert_string_equal(envelope->instructions, "");
    assert_int_equal(envelope->recipient_count, 0);
    assert_int_equal(envelope->part_count, 0);
    assert_null(envelope->parts);
    assert_int_equal(envelope->attribute_count, 0);
}

static void test_clear__zeroed_or_twice__is_fine(void **state)
{
    struct syncq_envelope envelope = {0};

    (void)state;
    syncq_envelope_clear(&envelope);
    assert_int_equal(syncq_envelope_init(&envelope), 0);
    assert_int_equal(add(&envelope, "a@b"), 0);
    syncq_envelope_clear(&envelope);
    syncq_envelope_clear(&envelope);
    assert_null(envelope.recipients);
    assert_int_equal(syncq_envelope_init(&envelope), 0);
    syncq_envelope_clear(&envelope);
}

static void test_set__callers_text_changes__copy_stays(void **state)
{
    struct syncq_envelope *envelope = *state;
    char text[] = "one@example.com";
    struct syncq_recipient recipient = {text, text, text, 3};

    assert_result(syncq_envelope_set_sender(envelope, text), 0);
    assert_result(syncq_envelope_set_instructions(envelope, text), 0);
    assert_result(syncq_envelope_add_recipient(envelope, &recipient), 0);
    assert_result(syncq_envelope_set_attribute_text(envelope, text, text), 0);
    memset(text, 'z', sizeof(text) - 1);
    assert_string_equal(envelope->sender, "one@example.com");
    assert_string_equal(envelope->instructions, "one@example.com");
    assert_string_equal(envelope->recipients[0].address, "one@example.com");
    assert_string_equal(envelope->recipients[0].original, "one@example.com");
    assert_string_equal(envelope->recipients[0].dsn_original,
                        "one@example.com");
    assert_int_equal(envelope->recipients[0].notify, 3);
    assert_string_equal(
        syncq_envelope_attribute_text(envelope, "one@example.com", "none"),
        "one@example.com");
}

static void test_set__text_at_and_over_its_limit__range_error(void **state)
{
    struct syncq_envelope *envelope = *state;
    char *text = text_of_size(SYNCQ_TEXT_SIZE_MAX + 1);
    struct syncq_recipient recipient = {"a@b", "", text, 0};

    assert_result(syncq_envelope_set_sender(envelope, text), SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_set_instructions(envelope, text),
                  SYNCQ_ERR_RANGE);
    assert_result(add(envelope, text), SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_add_recipient(envelope, &recipient),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_set_attribute_text(envelope, text, ""),
                  SYNCQ_ERR_RANGE);
    assert_string_equal(envelope->sender, "");
    assert_string_equal(envelope->instructions, "");
    assert_int_equal(envelope->recipient_count, 0);
    assert_int_equal(envelope->attribute_count, 0);
    text[SYNCQ_TEXT_SIZE_MAX] = 0;
    assert_result(syncq_envelope_set_sender(envelope, text), 0);
    assert_string_equal(envelope->sender, text);
    free(text);
}

static void test_recipients__one_over_the_limit__range_error(void **state)
{
    struct syncq_envelope *envelope = *state;
    uint32_t i;

    for (i = 0; i < SYNCQ_RECIPIENTS_MAX; i++)
        if (add(envelope, "a@b"))
            break;
    assert_int_equal(i, SYNCQ_RECIPIENTS_MAX);
    assert_result(add(envelope, "a@b"), SYNCQ_ERR_RANGE);
    assert_int_equal(envelope->recipient_count, SYNCQ_RECIPIENTS_MAX);
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, SYNCQ_RECIPIENTS_MAX / 64);
}

static void test_attribute__same_name__is_replaced(void **state)
{
    struct syncq_envelope *envelope = *state;
    const struct syncq_attribute *attribute;

    assert_result(syncq_envelope_set_attribute_text(envelope, "a", "1"), 0);
    assert_result(syncq_envelope_set_attribute_text(envelope, "b", "2"), 0);
    assert_result(syncq_envelope_set_attribute(envelope, "a", "x\0y", 3), 0);
    assert_int_equal(envelope->attribute_count, 2);
    attribute = syncq_envelope_attribute(envelope, "a");
    assert_non_null(attribute);
    assert_int_equal(attribute->value_size, 3);
    assert_memory_equal(attribute->value, "x\0y", 4);
    assert_string_equal(syncq_envelope_attribute_text(envelope, "b", ""), "2");
}

static void test_attribute__unknown_name__fallback(void **state)
{
    struct syncq_envelope *envelope = *state;

    assert_null(syncq_envelope_attribute(envelope, "a"));
    assert_string_equal(syncq_envelope_attribute_text(envelope, "a", "none"),
                        "none");
    assert_null(syncq_envelope_attribute_text(envelope, "a", NULL));
    assert_result(syncq_envelope_set_attribute(envelope, "a", NULL, 0), 0);
    assert_string_equal(syncq_envelope_attribute_text(envelope, "a", "none"),
                        "");
}

static void test_attribute__over_its_limits__range_error(void **state)
{
    struct syncq_envelope *envelope = *state;
    char *value = text_of_size(SYNCQ_ATTRIBUTE_SIZE_MAX + 1);
    char name[16];
    int i;

    assert_result(syncq_envelope_set_attribute(envelope, "a", value,
                                               SYNCQ_ATTRIBUTE_SIZE_MAX + 1),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_set_attribute(envelope, "a", value, SIZE_MAX),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_set_attribute(envelope, "a", value,
                                               SYNCQ_ATTRIBUTE_SIZE_MAX),
                  0);
    for (i = 1; i < SYNCQ_ATTRIBUTES_MAX; i++) {
        snprintf(name, sizeof(name), "name%d", i);
        assert_result(syncq_envelope_set_attribute_text(envelope, name, "v"),
                      0);
    }
    assert_result(syncq_envelope_set_attribute_text(envelope, "more", "v"),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_envelope_set_attribute_text(envelope, "name1", "w"), 0);
    assert_int_equal(envelope->attribute_count, SYNCQ_ATTRIBUTES_MAX);
    free(value);
}

static void test_texts__together_over_the_limit__range_error(void **state)
{
    struct syncq_envelope *envelope = *state;
    char *value = text_of_size(SYNCQ_ATTRIBUTE_SIZE_MAX);
    int i;

    for (i = 0; i < 15; i++)
        assert_result(syncq_envelope_set_attribute(envelope, "a", value,
                                                   SYNCQ_ATTRIBUTE_SIZE_MAX),
                      0);
    assert_result(syncq_envelope_set_attribute(envelope, "a", value,
                                               SYNCQ_ATTRIBUTE_SIZE_MAX),
                  SYNCQ_ERR_RANGE);
    assert_int_equal(syncq_envelope_attribute(envelope, "a")->value_size,
                     SYNCQ_ATTRIBUTE_SIZE_MAX);
    free(value);
}

static void test_address_domain__last_at_counts(void **state)
{
    (void)state;
    assert_string_equal(syncq_address_domain("user@Example.COM"),
                        "Example.COM");
    assert_string_equal(syncq_address_domain("\"a@b\"@c"), "c");
    assert_string_equal(syncq_address_domain("user"), "");
    assert_string_equal(syncq_address_domain("user@"), "");
    assert_string_equal(syncq_address_domain(""), "");
    assert_string_equal(syncq_address_domain("@c"), "c");
}

static void test_group__no_recipient__range_error(void **state)
{
    assert_result(syncq_envelope_group(*state), SYNCQ_ERR_RANGE);
}

static void assert_part(const struct syncq_envelope *envelope, uint32_t number,
                        const char *domain, uint32_t first, uint32_t count)
{
    assert_true(number < envelope->part_count);
    assert_string_equal(envelope->parts[number].domain, domain);
    assert_int_equal(envelope->parts[number].first_recipient, first);
    assert_int_equal(envelope->parts[number].recipient_count, count);
}

static void test_group__mixed_domains__sorted_and_stable(void **state)
{
    static const char *const given[] = {
        "1@b.example", "2@A.example", "3",           "4@B.EXAMPLE",
        "5@a.example", "6@",          "7@b.example", "8@\xc3\x84.example"};
    static const char *const sorted[] = {
        "3",           "6@",          "2@A.example", "5@a.example",
        "1@b.example", "4@B.EXAMPLE", "7@b.example", "8@\xc3\x84.example"};
    struct syncq_envelope *envelope = *state;
    size_t i;

    for (i = 0; i < 8; i++)
        assert_result(add(envelope, given[i]), 0);
    assert_result(syncq_envelope_group(envelope), 0);
    for (i = 0; i < 8; i++)
        assert_string_equal(envelope->recipients[i].address, sorted[i]);
    assert_int_equal(envelope->part_count, 4);
    assert_part(envelope, 0, "", 0, 2);
    assert_part(envelope, 1, "a.example", 2, 2);
    assert_part(envelope, 2, "b.example", 4, 3);
    assert_part(envelope, 3, "\xc3\x84.example", 7, 1);
}

static void test_group__many_of_one_domain__cut_at_64(void **state)
{
    struct syncq_envelope *envelope = *state;
    char address[32];
    int i;

    for (i = 0; i < 200; i++) {
        snprintf(address, sizeof(address), "%d@%s", i,
                 i % 2 ? "ODD.example" : "even.example");
        assert_result(add(envelope, address), 0);
    }
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, 4);
    assert_part(envelope, 0, "even.example", 0, 64);
    assert_part(envelope, 1, "even.example", 64, 36);
    assert_part(envelope, 2, "odd.example", 100, 64);
    assert_part(envelope, 3, "odd.example", 164, 36);
    for (i = 0; i < 200; i++)
        assert_int_equal(atoi(envelope->recipients[i].address),
                         i < 100 ? 2 * i : 2 * (i - 100) + 1);
}

static void test_group__again_after_one_more__whole_again(void **state)
{
    struct syncq_envelope *envelope = *state;

    assert_result(add(envelope, "1@b"), 0);
    assert_result(syncq_envelope_group(envelope), 0);
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, 1);
    assert_result(add(envelope, "2@a"), 0);
    assert_int_equal(envelope->part_count, 0);
    assert_null(envelope->parts);
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, 2);
    assert_string_equal(envelope->recipients[0].address, "2@a");
    assert_part(envelope, 0, "a", 0, 1);
    assert_part(envelope, 1, "b", 1, 1);
}

static void test_group__more_domains_than_parts__range_error(void **state)
{
    struct syncq_envelope *envelope = *state;
    char address[32];
    int i;

    for (i = 0; i < SYNCQ_PARTS_MAX; i++) {
        snprintf(address, sizeof(address), "u@d%05d", SYNCQ_PARTS_MAX - i);
        assert_result(add(envelope, address), 0);
    }
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, SYNCQ_PARTS_MAX);
    assert_result(add(envelope, "u@one-more"), 0);
    assert_result(syncq_envelope_group(envelope), SYNCQ_ERR_RANGE);
    assert_int_equal(envelope->part_count, 0);
    assert_string_equal(envelope->recipients[SYNCQ_PARTS_MAX].address,
                        "u@one-more");
}

#define ENVELOPE_TEST(test)                                                    \
    cmocka_unit_test_setup_teardown(test, make_envelope, clear_envelope)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENVELOPE_TEST(test_init__fresh__is_empty),
        cmocka_unit_test(test_clear__zeroed_or_twice__is_fine),
        ENVELOPE_TEST(test_set__callers_text_changes__copy_stays),
        ENVELOPE_TEST(test_set__text_at_and_over_its_limit__range_error),
        ENVELOPE_TEST(test_recipients__one_over_the_limit__range_error),
        ENVELOPE_TEST(test_attribute__same_name__is_replaced),
        ENVELOPE_TEST(test_attribute__unknown_name__fallback),
        ENVELOPE_TEST(test_attribute__over_its_limits__range_error),
        ENVELOPE_TEST(test_texts__together_over_the_limit__range_error),
        cmocka_unit_test(test_address_domain__last_at_counts),
        ENVELOPE_TEST(test_group__no_recipient__range_error),
        ENVELOPE_TEST(test_group__mixed_domains__sorted_and_stable),
        ENVELOPE_TEST(test_group__many_of_one_domain__cut_at_64),
        ENVELOPE_TEST(test_group__again_after_one_more__whole_again),
        ENVELOPE_TEST(test_group__more_domains_than_parts__range_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
