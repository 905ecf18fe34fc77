/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/attribute.h"

static void test_write__each_kind__as_postfix_reads_it(void **state)
{
    static const char expected[] = "t\0text\0e\0\0i\0004294967295\0j\0007\0"
                                   "l\00018446744073709551615\0"
                                   "d\0AAECAw==\0\0";
    struct attribute_writer writer = {0};

    (void)state;
    attribute_write_text(&writer, "t", "text");
    attribute_write_text(&writer, "e", "");
    attribute_write_int(&writer, "i", -1);
    attribute_write_int(&writer, "j", 7);
    attribute_write_long(&writer, "l", -1);
    attribute_write_data(&writer, "d", "\0\1\2\3", 4);
    attribute_write_end(&writer);
    assert_false(writer.failed);
    assert_int_equal(writer.size, sizeof(expected) - 1);
    assert_memory_equal(writer.bytes, expected, sizeof(expected) - 1);
    free(writer.bytes);
}

/* The vectors of RFC 4648. */
static void test_write_data__each_remainder__is_padded(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xef\xbe", "/+++"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct attribute_writer writer = {0};

        attribute_write_data(&writer, "d", cases[i][0], strlen(cases[i][0]));
        attribute_write_end(&writer);
        assert_string_equal(
            attribute_list_get(writer.bytes, writer.size, "d", 0), cases[i][1]);
        free(writer.bytes);
    }
}

static void test_write__many__grows(void **state)
{
    struct attribute_writer writer = {0};
    int32_t value;
    int i;

    (void)state;
    for (i = 0; i < 10000; i++)
        attribute_write_int(&writer, "n", i);
    attribute_write_end(&writer);
    assert_false(writer.failed);
    assert_int_equal(attribute_list_size(writer.bytes, writer.size),
                     writer.size);
    assert_result(
        attribute_list_get_int(writer.bytes, writer.size, "n", 9999, &value),
        0);
    assert_int_equal(value, 9999);
    free(writer.bytes);
}

static void test_write__no_memory__fails_and_stays_failed(void **state)
{
    struct attribute_writer writer = {0};

    (void)state;
    attribute_write_text(&writer, "a", "b");
    attribute_write_data(&writer, "huge", "", SIZE_MAX / 2);
    assert_true(writer.failed);
    attribute_write_text(&writer, "c", "d");
    assert_int_equal(writer.size, 4);
    free(writer.bytes);
}

static void test_list_size__incomplete__is_zero(void **state)
{
    static const char list[] = "name\0value\0empty\0\0\0next";
    const size_t whole = sizeof("name\0value\0empty\0\0");
    char *copy;
    size_t size;

    (void)state;
    for (size = 0; size < whole; size++) {
        copy = malloc(size ? size : 1);
        memcpy(copy, list, size);
        assert_int_equal(attribute_list_size(copy, size), 0);
        free(copy);
    }
    assert_int_equal(attribute_list_size(list, whole), whole);
    assert_int_equal(attribute_list_size(list, sizeof(list)), whole);
    assert_int_equal(attribute_list_size("", 1), 1);
}

static void test_list_get__repeated_name__is_counted(void **state)
{
    static const char list[] = "a\0001\0b\0002\0a\0003\0";

    (void)state;
    assert_string_equal(attribute_list_get(list, sizeof(list), "a", 0), "1");
    assert_string_equal(attribute_list_get(list, sizeof(list), "a", 1), "3");
    assert_null(attribute_list_get(list, sizeof(list), "a", 2));
    /* A value is no name. */
    assert_null(attribute_list_get(list, sizeof(list), "2", 0));
}

static void test_list_get_number__round_trip__is_the_same(void **state)
{
    static const int64_t numbers[] = {0, 1, -1, INT32_MAX, INT32_MIN};
    struct attribute_writer writer = {0};
    int32_t number;
    int64_t large;
    unsigned i;

    (void)state;
    for (i = 0; i < 5; i++) {
        attribute_write_int(&writer, "i", (int32_t)numbers[i]);
        attribute_write_long(&writer, "l", numbers[i]);
    }
    attribute_write_long(&writer, "l", INT64_MIN);
    attribute_write_end(&writer);
    for (i = 0; i < 5; i++) {
        assert_result(
            attribute_list_get_int(writer.bytes, writer.size, "i", i, &number),
            0);
        assert_int_equal((int64_t)number, numbers[i]);
        assert_result(
            attribute_list_get_long(writer.bytes, writer.size, "l", i, &large),
            0);
        assert_int_equal(large, numbers[i]);
    }
    assert_result(
        attribute_list_get_long(writer.bytes, writer.size, "l", 5, &large), 0);
    assert_true(large == INT64_MIN);
    free(writer.bytes);
}

static void test_list_get_number__not_a_number__is_refused(void **state)
{
    static const char list[] = "n\0\0n\0-1\0n\0+1\0n\0001x\0n\0 1\0"
                               "n\0004294967296\0n\00018446744073709551616\0";
    int32_t number = 42;
    int64_t large = 42;
    unsigned i;

    (void)state;
    for (i = 0; i < 8; i++)
        assert_result(
            attribute_list_get_int(list, sizeof(list), "n", i, &number),
            EINVAL);
    assert_result(attribute_list_get_long(list, sizeof(list), "n", 6, &large),
                  EINVAL);
    assert_result(
        attribute_list_get_long(list, sizeof(list), "none", 0, &large), EINVAL);
    assert_int_equal(number, 42);
    assert_int_equal(large, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write__each_kind__as_postfix_reads_it),
        cmocka_unit_test(test_write_data__each_remainder__is_padded),
        cmocka_unit_test(test_write__many__grows),
        cmocka_unit_test(test_write__no_memory__fails_and_stays_failed),
        cmocka_unit_test(test_list_size__incomplete__is_zero),
        cmocka_unit_test(test_list_get__repeated_name__is_counted),
        cmocka_unit_test(test_list_get_number__round_trip__is_the_same),
        cmocka_unit_test(test_list_get_number__not_a_number__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
