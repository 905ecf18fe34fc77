/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/limits.h"
#include "postfix/queue_file.h"
#include "postfix/record.h"

#define ID "4jXbhD4zJrz1bYHs"

/* A file under construction; the size record is written by start(). */
static void add(struct record_writer *writer, int type, const char *text)
{
    record_write(writer, type, text, strlen(text));
}

static void start(struct record_writer *writer)
{
    char zeros[RECORD_SIZE_DATA_SIZE + 1];

    memset(writer, 0, sizeof(*writer));
    snprintf(zeros, sizeof(zeros), "%15d %15d %15d %15d %15d %15d", 0, 0, 0, 0,
             0, 0);
    add(writer, RECORD_SIZE, zeros);
    add(writer, RECORD_TIME, "1795368652 669802");
}

static void end(struct record_writer *writer)
{
    add(writer, RECORD_MESSAGE, "");
    add(writer, RECORD_LINE, "Subject: x");
    add(writer, RECORD_LINE, "");
    add(writer, RECORD_EXTRACTED, "");
    add(writer, RECORD_END, "");
}

static int parse(struct record_writer *writer, struct queue_file *file)
{
    int error;

    assert_false(writer->failed);
    error = queue_file_parse(writer->bytes, writer->size, ID, file);
    free(writer->bytes);
    return error;
}

/* The result of a file with one more envelope record. */
static int parse_with(int type, const char *text)
{
    struct record_writer writer;
    struct queue_file file;
    int error;

    start(&writer);
    add(&writer, RECORD_SENDER, "a@s.test");
    add(&writer, type, text);
    add(&writer, RECORD_RECIPIENT, "b@r.test");
    end(&writer);
    error = parse(&writer, &file);
    if (!error)
        queue_file_clear(&file);
    return error;
}

static const char *attribute(const struct queue_file *file, const char *name)
{
    return syncq_envelope_attribute_text(&file->envelope, name, "(none)");
}

static void test_parse__first_and_last_rules__as_postfix(void **state)
{
    static const struct {
        int type;
        const char *text;
    } records[] = {
        {RECORD_TIME, "1 1"},
        {RECORD_ATTRIBUTE, "create_time=5"},
        {RECORD_CREATE_TIME, "6"},
        {RECORD_SENDER, "first@s.test"},
        {RECORD_SENDER, "second@s.test"},
        {RECORD_ATTRIBUTE, "encoding=7bit"},
        {RECORD_ATTRIBUTE, "encoding=8bit"},
        {RECORD_ATTRIBUTE, "envelope_id=one"},
        {RECORD_ENVELOPE_ID, "two"},
        {RECORD_RET, "1"},
        {RECORD_ATTRIBUTE, "ret_flags=2"},
        {RECORD_ATTRIBUTE, "client_name=legacy1"},
        {RECORD_ATTRIBUTE, "client_name=legacy2"},
        {RECORD_ATTRIBUTE, "helo_name=legacy"},
        {RECORD_ATTRIBUTE, "log_helo_name=modern1"},
        {RECORD_ATTRIBUTE, "log_helo_name=modern2"},
        {RECORD_ATTRIBUTE, "client_address=too late"},
        {RECORD_ATTRIBUTE, "rewrite_context=local"},
        {RECORD_ATTRIBUTE, "rewrite_context=remote"},
        {RECORD_ATTRIBUTE, "trace_flags=1"},
        {RECORD_ATTRIBUTE, "trace_flags=513"},
        {RECORD_ATTRIBUTE, "trace_flags=256"},
        {RECORD_WARN, "            777"},
        {RECORD_WARN, "             -1"},
        {RECORD_VERP, "+="},
        {RECORD_VERP, "-="},
        {RECORD_FILTER, "a:b"},
        {RECORD_FILTER, "smtp:[f.test]"},
        {RECORD_REDIRECT, "r1@r.test"},
        {RECORD_REDIRECT, "r2@r.test"},
        {RECORD_ATTRIBUTE, "sasl_username="},
        {RECORD_ATTRIBUTE, "sasl_username=x"},
    };
    struct record_writer writer;
    struct queue_file file;
    size_t i;

    (void)state;
    start(&writer);
    for (i = 0; i < sizeof(records) / sizeof(records[0]); i++)
        add(&writer, records[i].type, records[i].text);
    end(&writer);
    assert_result(parse(&writer, &file), 0);
    assert_string_equal(attribute(&file, "arrival"), "1795368652 669802");
    assert_string_equal(attribute(&file, "create_time"), "5");
    assert_string_equal(file.envelope.sender, "first@s.test");
    assert_string_equal(attribute(&file, "encoding"), "8bit");
    assert_string_equal(attribute(&file, "envelope_id"), "two");
    assert_string_equal(attribute(&file, "ret_flags"), "2");
    assert_string_equal(attribute(&file, "log_client_name"), "legacy1");
    assert_string_equal(attribute(&file, "log_helo_name"), "modern2");
    assert_string_equal(attribute(&file, "log_client_address"), "(none)");
    assert_string_equal(attribute(&file, "rewrite_context"), "local");
    assert_string_equal(attribute(&file, "trace_flags"), "512");
    assert_string_equal(attribute(&file, "warn_time"), "777");
    assert_string_equal(attribute(&file, "verp"), "+=");
    assert_string_equal(file.envelope.instructions, "smtp:[f.test]");
    assert_string_equal(attribute(&file, "redirect"), "r2@r.test");
    assert_string_equal(attribute(&file, "sasl_username"), "");
    assert_string_equal(attribute(&file, "sendopts"), "(none)");
    queue_file_clear(&file);
}

static void test_parse__recipients__own_what_stands_before_them(void **state)
{
    struct record_writer writer;
    struct queue_file file;
    const struct syncq_recipient *recipients;
    size_t last;

    (void)state;
    start(&writer);
    add(&writer, RECORD_SENDER, "");
    add(&writer, RECORD_ATTRIBUTE, "notify_flags=6");
    add(&writer, RECORD_DSN_ORIGINAL, "rfc822;o@o.test");
    add(&writer, RECORD_ORIGINAL, "o@o.test");
    add(&writer, RECORD_RECIPIENT, "one@r.test");
    add(&writer, RECORD_NOTIFY, "8");
    add(&writer, RECORD_ORIGINAL, "done@o.test");
    add(&writer, RECORD_DONE, "done@r.test");
    add(&writer, RECORD_CANCELLED, "cancelled@r.test");
    last = writer.size;
    add(&writer, RECORD_RECIPIENT, "two@r.test");
    end(&writer);
    assert_result(parse(&writer, &file), 0);
    recipients = file.envelope.recipients;
    assert_int_equal(file.envelope.recipient_count, 2);
    assert_int_equal(file.done_count, 2);
    assert_string_equal(recipients[0].address, "one@r.test");
    assert_string_equal(recipients[0].original, "o@o.test");
    assert_string_equal(recipients[0].dsn_original, "rfc822;o@o.test");
    assert_int_equal(recipients[0].notify, 6);
    assert_string_equal(recipients[1].address, "two@r.test");
    assert_string_equal(recipients[1].original, "");
    assert_string_equal(recipients[1].dsn_original, "");
    assert_int_equal(recipients[1].notify, 0);
    assert_int_equal(file.offsets[1], last);
    assert_string_equal(attribute(&file, "dsn_seen"), "14");
    queue_file_clear(&file);
}

static void test_parse__content_letter_l_outside__is_a_filter(void **state)
{
    struct record_writer writer;
    struct queue_file file;
    static const uint8_t content[] = "L\x01"
                                     "aN\x01"
                                     "bL\x01"
                                     "c";

    (void)state;
    start(&writer);
    add(&writer, RECORD_SENDER, "a@s.test");
    add(&writer, RECORD_FILTER, "smtp:before");
    add(&writer, RECORD_MESSAGE, "");
    add(&writer, RECORD_PART, "a");
    add(&writer, RECORD_POINTER, "              0");
    add(&writer, RECORD_LINE, "b");
    add(&writer, RECORD_PADDING, "padding");
    add(&writer, RECORD_PART, "c");
    add(&writer, RECORD_EXTRACTED, "");
    add(&writer, RECORD_FILTER, "smtp:after");
    add(&writer, RECORD_END, "");
    assert_result(parse(&writer, &file), 0);
    assert_string_equal(file.envelope.instructions, "smtp:after");
    assert_int_equal(file.content_size, sizeof(content) - 1);
    assert_memory_equal(file.content, content, sizeof(content) - 1);
    queue_file_clear(&file);
}

static void test_parse__cut_anywhere__is_incomplete(void **state)
{
    struct record_writer writer;
    struct queue_file file;
    uint8_t *copy;
    size_t size;

    (void)state;
    start(&writer);
    add(&writer, RECORD_SENDER, "a@s.test");
    add(&writer, RECORD_RECIPIENT, "b@r.test");
    end(&writer);
    for (size = 0; size < writer.size; size++) {
        /* Of its own size, so that a read beyond its end is seen. */
        copy = malloc(size + 1);
        memcpy(copy, writer.bytes, size);
        copy = realloc(copy, size ? size : 1);
        assert_result(queue_file_parse(copy, size, ID, &file),
                      QUEUE_FILE_ERR_INCOMPLETE);
        free(copy);
    }
    assert_result(parse(&writer, &file), 0);
    queue_file_clear(&file);
}

static void test_parse__unknown_type__is_refused(void **state)
{
    struct queue_file file;
    int type;

    (void)state;
    for (type = 0; type < 256; type++)
        if (!type || !strchr("CMTcFILSDRO/WVA>K<ionXNEPrepw", type))
            assert_result(parse_with(type, "1"), QUEUE_FILE_ERR_RECORD);
    assert_result(queue_file_parse((const uint8_t *)"?\0", 2, ID, &file),
                  QUEUE_FILE_ERR_RECORD);
}

static void test_parse__pointer_outside__is_refused(void **state)
{
    (void)state;
    assert_result(parse_with(RECORD_POINTER, "          99999"),
                  QUEUE_FILE_ERR_POINTER);
    assert_result(parse_with(RECORD_POINTER, "18446744073709551615"),
                  QUEUE_FILE_ERR_POINTER);
    assert_result(parse_with(RECORD_POINTER, "99999999999999999999999"),
                  QUEUE_FILE_ERR_POINTER);
    assert_result(parse_with(RECORD_POINTER, "             -5"),
                  QUEUE_FILE_ERR_POINTER);
    assert_result(parse_with(RECORD_POINTER, ""), QUEUE_FILE_ERR_POINTER);
    assert_result(parse_with(RECORD_POINTER, "0 0"), QUEUE_FILE_ERR_POINTER);
}

static void test_parse__pointers_in_a_circle__end(void **state)
{
    (void)state;
    /* 97: right behind the size record. */
    assert_result(parse_with(RECORD_POINTER, "97"), QUEUE_FILE_ERR_POINTER);
}

static void test_parse__record_in_wrong_segment__is_refused(void **state)
{
    const char *type;

    (void)state;
    for (type = "CNXEPre"; *type; type++)
        assert_result(parse_with(*type, "1"), QUEUE_FILE_ERR_ORDER);
}

static void test_parse__envelope_record_in_content__is_refused(void **state)
{
    struct record_writer writer;
    struct queue_file file;

    (void)state;
    start(&writer);
    add(&writer, RECORD_SENDER, "a@s.test");
    add(&writer, RECORD_MESSAGE, "");
    add(&writer, RECORD_RECIPIENT, "b@r.test");
    add(&writer, RECORD_EXTRACTED, "");
    add(&writer, RECORD_END, "");
    assert_result(parse(&writer, &file), QUEUE_FILE_ERR_ORDER);

    start(&writer);
    add(&writer, RECORD_SENDER, "a@s.test");
    add(&writer, RECORD_MESSAGE, "");
    add(&writer, RECORD_END, "");
    assert_result(parse(&writer, &file), QUEUE_FILE_ERR_ORDER);
}

static void test_parse__no_size_or_time_record__is_refused(void **state)
{
    struct record_writer writer = {0};
    struct queue_file file;

    (void)state;
    add(&writer, RECORD_TIME, "1 1");
    add(&writer, RECORD_SENDER, "a@s.test");
    end(&writer);
    assert_result(parse(&writer, &file), QUEUE_FILE_ERR_ORDER);

    memset(&writer, 0, sizeof(writer));
    add(&writer, RECORD_SIZE, "0 0 0 0 0 0");
    add(&writer, RECORD_SENDER, "a@s.test");
    end(&writer);
    assert_result(parse(&writer, &file), QUEUE_FILE_ERR_ORDER);
}

static void test_parse__no_sender__is_refused(void **state)
{
    struct record_writer writer;
    struct queue_file file;

    (void)state;
    start(&writer);
    add(&writer, RECORD_RECIPIENT, "b@r.test");
    end(&writer);
    assert_result(parse(&writer, &file), QUEUE_FILE_ERR_NO_SENDER);
}

static void test_parse__unreadable_value__is_refused(void **state)
{
    static const struct {
        int type;
        const char *text;
    } bad[] = {
        {RECORD_TIME, "x"},
        {RECORD_TIME, "1 1000000"},
        {RECORD_TIME, "1 1 1"},
        {RECORD_CREATE_TIME, ""},
        {RECORD_WARN, "-2"},
        {RECORD_WARN, "soon"},
        {RECORD_VERP, "+"},
        {RECORD_NOTIFY, "0"},
        {RECORD_NOTIFY, "16"},
        {RECORD_NOTIFY, "3"},
        {RECORD_RET, "0"},
        {RECORD_RET, "3"},
        {RECORD_ATTRIBUTE, "no equals sign"},
        {RECORD_ATTRIBUTE, "=x"},
        {RECORD_ATTRIBUTE, "create_time=1x"},
        {RECORD_ATTRIBUTE, "trace_flags=-1"},
        {RECORD_ATTRIBUTE, "notify_flags=a"},
        {RECORD_ATTRIBUTE, "ret_flags=a"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_result(parse_with(bad[i].type, bad[i].text),
                      QUEUE_FILE_ERR_VALUE);
}

static void test_parse__nul_in_an_address__is_refused(void **state)
{
    static const int types[] = {RECORD_SENDER,   RECORD_RECIPIENT,
                                RECORD_ORIGINAL, RECORD_DSN_ORIGINAL,
                                RECORD_FILTER,   RECORD_REDIRECT};
    struct record_writer writer;
    struct queue_file file;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        start(&writer);
        record_write(&writer, types[i], "a\0@s.test", 9);
        add(&writer, RECORD_SENDER, "a@s.test");
        end(&writer);
        assert_result(parse(&writer, &file), QUEUE_FILE_ERR_VALUE);
    }
}

static void test_parse__size_record_that_does_not_fit__is_refused(void **state)
{
    static const char *const bad[] = {"0 0",   "1 2 3 4 5 6 7", "x 0 0",
                                      "1 2 3", "16 134 0",      "15 135 0",
                                      "-1 0 0"};
    struct record_writer writer;
    struct queue_file file;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&writer, 0, sizeof(writer));
        add(&writer, RECORD_SIZE, bad[i]);
        add(&writer, RECORD_TIME, "1 1");
        add(&writer, RECORD_SENDER, "a@s.test");
        end(&writer);
        assert_result(parse(&writer, &file), QUEUE_FILE_ERR_VALUE);
    }
}

static void test_parse__old_size_record__is_understood(void **state)
{
    struct record_writer writer = {0};
    struct queue_file file;

    (void)state;
    /* C 2+8, T 2+3, S 2+8, M 2: content at 27; N 12, N 2. */
    add(&writer, RECORD_SIZE, "14 27  1");
    add(&writer, RECORD_TIME, "1 1");
    add(&writer, RECORD_SENDER, "a@s.test");
    end(&writer);
    assert_result(parse(&writer, &file), 0);
    assert_true(file.finished);
    assert_int_equal(file.data_offset, 27);
    assert_string_equal(attribute(&file, "size"), "14");
    assert_string_equal(attribute(&file, "sendopts"), "(none)");
    queue_file_clear(&file);
}

static void test_parse__text_over_the_limit__is_refused(void **state)
{
    char *text = malloc(SYNCQ_TEXT_SIZE_MAX + 2);

    (void)state;
    memset(text, 'x', SYNCQ_TEXT_SIZE_MAX + 1);
    text[SYNCQ_TEXT_SIZE_MAX + 1] = 0;
    assert_result(parse_with(RECORD_RECIPIENT, text), QUEUE_FILE_ERR_LIMIT);
    text[SYNCQ_TEXT_SIZE_MAX] = 0;
    assert_result(parse_with(RECORD_RECIPIENT, text), 0);
    free(text);
}

static void test_parse__bad_queue_id__is_refused(void **state)
{
    struct queue_file file;

    (void)state;
    assert_result(queue_file_parse((const uint8_t *)"", 0, "../../x", &file),
                  EINVAL);
}

static void test_strerror__each_code__has_its_own_text(void **state)
{
    int a, b;

    (void)state;
    for (a = QUEUE_FILE_ERR_INCOMPLETE; a <= QUEUE_FILE_ERR_LIMIT; a++)
        for (b = QUEUE_FILE_ERR_INCOMPLETE; b < a; b++)
            assert_string_not_equal(queue_file_strerror(a),
                                    queue_file_strerror(b));
    assert_string_equal(queue_file_strerror(SYNCQ_ERR_RANGE),
                        syncq_strerror(SYNCQ_ERR_RANGE));
    assert_string_equal(queue_file_strerror(ENOMEM), syncq_strerror(ENOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__first_and_last_rules__as_postfix),
        cmocka_unit_test(test_parse__recipients__own_what_stands_before_them),
        cmocka_unit_test(test_parse__content_letter_l_outside__is_a_filter),
        cmocka_unit_test(test_parse__cut_anywhere__is_incomplete),
        cmocka_unit_test(test_parse__unknown_type__is_refused),
        cmocka_unit_test(test_parse__pointer_outside__is_refused),
        cmocka_unit_test(test_parse__pointers_in_a_circle__end),
        cmocka_unit_test(test_parse__record_in_wrong_segment__is_refused),
        cmocka_unit_test(test_parse__envelope_record_in_content__is_refused),
        cmocka_unit_test(test_parse__no_size_or_time_record__is_refused),
        cmocka_unit_test(test_parse__no_sender__is_refused),
        cmocka_unit_test(test_parse__unreadable_value__is_refused),
        cmocka_unit_test(test_parse__nul_in_an_address__is_refused),
        cmocka_unit_test(test_parse__size_record_that_does_not_fit__is_refused),
        cmocka_unit_test(test_parse__old_size_record__is_understood),
        cmocka_unit_test(test_parse__text_over_the_limit__is_refused),
        cmocka_unit_test(test_parse__bad_queue_id__is_refused),
        cmocka_unit_test(test_strerror__each_code__has_its_own_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
