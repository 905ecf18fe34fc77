/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/queue_file.h"
#include "postfix/record.h"

#define POINTER_SIZE 17 /* bytes: a pointer record as Postfix writes it */

static void add_pointer(struct record_writer *writer, size_t target)
{
    char text[24];

    snprintf(text, sizeof(text), "%15zu", target);
    record_write(writer, RECORD_POINTER, text, strlen(text));
}

static void test_write_and_read__each_length__is_the_same(void **state)
{
    static const size_t sizes[] = {0,     1,     127,     128,
                                   16383, 16384, 2097151, 2097152};
    struct record_writer writer = {0};
    struct record_reader reader;
    struct record record;
    uint8_t *data = calloc(1, 2097152);
    size_t i, size = 0;

    (void)state;
    for (i = 0; i < 8; i++) {
        memset(data, (int)i, sizes[i]);
        record_write(&writer, RECORD_LINE, data, sizes[i]);
    }
    assert_false(writer.failed);
    record_reader_init(&reader, writer.bytes, writer.size);
    for (i = 0; i < 8; i++) {
        assert_result(record_next(&reader, &record), 0);
        assert_int_equal(record.type, RECORD_LINE);
        assert_int_equal(record.offset, size);
        assert_int_equal(record.size, sizes[i]);
        memset(data, (int)i, sizes[i]);
        assert_memory_equal(record.data, data, sizes[i]);
        size = reader.offset;
    }
    assert_int_equal(size, writer.size);
    assert_result(record_next(&reader, &record), QUEUE_FILE_ERR_INCOMPLETE);
    free(writer.bytes);
    free(data);
}

static void test_next__length_of_five_bytes__is_refused(void **state)
{
    static const uint8_t bytes[] = "N\x80\x80\x80\x80\x01";
    struct record_reader reader;
    struct record record;

    (void)state;
    record_reader_init(&reader, bytes, sizeof(bytes));
    assert_result(record_next(&reader, &record), QUEUE_FILE_ERR_RECORD);
}

static void test_next__pointers__lead_there_and_back(void **state)
{
    struct record_writer writer = {0};
    struct record_reader reader;
    struct record record;

    (void)state;
    add_pointer(&writer, 2 * POINTER_SIZE + 3); /* over the next two */
    record_write(&writer, RECORD_LINE, "b", 1);
    add_pointer(&writer, 0);
    record_write(&writer, RECORD_PADDING, "", 0);
    record_write(&writer, RECORD_LINE, "a", 1);
    add_pointer(&writer, POINTER_SIZE);
    record_reader_init(&reader, writer.bytes, writer.size);
    assert_result(record_next(&reader, &record), 0);
    assert_int_equal(*record.data, 'a');
    assert_result(record_next(&reader, &record), 0);
    assert_int_equal(*record.data, 'b');
    /* Padding and line "a", not the pointers that led away. */
    assert_int_equal(record_reader_position(&reader, record.offset), 2 + 3);
    /* Behind "b" it would begin anew: no byte is read twice. */
    assert_result(record_next(&reader, &record), QUEUE_FILE_ERR_POINTER);
    free(writer.bytes);
}

/* Reading a line that count backward jumps lead to. */
static int read_backward(unsigned count)
{
    struct record_writer writer = {0};
    struct record_reader reader;
    struct record record;
    unsigned i;
    int result;

    /* To the last pointer; each leads to the one before, the first to the
     * line at the end. */
    add_pointer(&writer, (size_t)POINTER_SIZE * (count + 1));
    add_pointer(&writer, (size_t)POINTER_SIZE * (count + 2));
    for (i = 0; i < count; i++)
        add_pointer(&writer, writer.size - POINTER_SIZE);
    record_write(&writer, RECORD_LINE, "", 0);
    record_reader_init(&reader, writer.bytes, writer.size);
    result = record_next(&reader, &record);
    free(writer.bytes);
    return result;
}

static void test_next__backward_jumps_over_the_limit__are_refused(void **state)
{
    (void)state;
    assert_result(read_backward(RECORD_BACKWARD_JUMPS_MAX), 0);
    assert_result(read_backward(RECORD_BACKWARD_JUMPS_MAX + 1),
                  QUEUE_FILE_ERR_POINTER);
}

static void test_number__several__one_after_the_other(void **state)
{
    const char text[] = "   12 0  18446744073709551615 ";
    const uint8_t *data = (const uint8_t *)text;
    size_t size = sizeof(text) - 1;
    uint64_t number;

    (void)state;
    assert_result(record_number(&data, &size, &number), 0);
    assert_int_equal(number, 12);
    assert_result(record_number(&data, &size, &number), 0);
    assert_int_equal(number, 0);
    assert_result(record_number(&data, &size, &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(size, 0);
    assert_result(record_number(&data, &size, &number), QUEUE_FILE_ERR_VALUE);
}

static void test_number__junk__is_refused(void **state)
{
    static const char *const bad[] = {"",   " ",  "x",  "-1",
                                      "+1", "1x", "1,", "18446744073709551616"};
    const uint8_t *data;
    uint64_t number;
    size_t i, size;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        data = (const uint8_t *)bad[i];
        size = strlen(bad[i]);
        assert_result(record_number(&data, &size, &number),
                      QUEUE_FILE_ERR_VALUE);
    }
}

static void test_patch_size__six_numbers__have_their_width(void **state)
{
    const uint64_t fields[RECORD_SIZE_FIELDS] = {1, 22, 333, 4, 5, 6};
    const char blank[RECORD_SIZE_DATA_SIZE] = {0};
    struct record_writer writer = {0};

    (void)state;
    record_write(&writer, RECORD_SIZE, blank, sizeof(blank));
    record_patch_size(&writer, fields);
    assert_int_equal(writer.size, 97);
    assert_memory_equal(writer.bytes,
                        "C_"
                        "              1              22             333"
                        "               4               5               6",
                        97);
    free(writer.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read__each_length__is_the_same),
        cmocka_unit_test(test_next__length_of_five_bytes__is_refused),
        cmocka_unit_test(test_next__pointers__lead_there_and_back),
        cmocka_unit_test(test_next__backward_jumps_over_the_limit__are_refused),
        cmocka_unit_test(test_number__several__one_after_the_other),
        cmocka_unit_test(test_number__junk__is_refused),
        cmocka_unit_test(test_patch_size__six_numbers__have_their_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
