/* SPDX-License-Identifier: MIT */
/*
 * Files that Postfix wrote, in seeds/queue_file: NAME.queue as finished, and
 * NAME-eom.queue the same file as a milter sees it at the end of the message.
 */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/queue_file.h"
#include "postfix/record.h"

#define ID        "4jXbhD4zJrz1bYHs"
#define FILE_SIZE 8192 /* bytes: more than any sample */

static void read_sample(const char *name, struct queue_file *file)
{
    const char *source = getenv("srcdir");
    uint8_t bytes[FILE_SIZE];
    char path[1000];
    FILE *stream;
    size_t size;

    snprintf(path, sizeof(path), "%s/seeds/queue_file/%s.queue",
             source ? source : ".", name);
    stream = fopen(path, "rb");
    assert_non_null(stream);
    size = fread(bytes, 1, sizeof(bytes), stream);
    fclose(stream);
    assert_in_range(size, 1, FILE_SIZE - 1);
    assert_result(queue_file_parse(bytes, size, ID, file), 0);
}

static const char *attribute(const struct queue_file *file, const char *name)
{
    return syncq_envelope_attribute_text(&file->envelope, name, "(none)");
}

static void assert_recipient(const struct queue_file *file, uint32_t index,
                             const char *address, const char *original,
                             const char *dsn_original, uint32_t notify)
{
    const struct syncq_recipient *recipient;

    assert_true(index < file->envelope.recipient_count);
    recipient = &file->envelope.recipients[index];
    assert_string_equal(recipient->address, address);
    assert_string_equal(recipient->original, original);
    assert_string_equal(recipient->dsn_original, dsn_original);
    assert_int_equal(recipient->notify, notify);
}

static void assert_same_recipients(const struct syncq_envelope *a,
                                   const struct syncq_envelope *b)
{
    uint32_t i;

    assert_int_equal(a->recipient_count, b->recipient_count);
    for (i = 0; i < a->recipient_count; i++) {
        assert_string_equal(a->recipients[i].address, b->recipients[i].address);
        assert_string_equal(a->recipients[i].original,
                            b->recipients[i].original);
        assert_string_equal(a->recipients[i].dsn_original,
                            b->recipients[i].dsn_original);
        assert_int_equal(a->recipients[i].notify, b->recipients[i].notify);
    }
}

/* All that a has, b has too, but for one attribute by name. */
static void assert_attributes(const struct queue_file *a,
                              const struct queue_file *b, const char *but)
{
    uint32_t i;

    for (i = 0; i < a->envelope.attribute_count; i++)
        if (strcmp(a->envelope.attributes[i].name, but))
            assert_string_equal(attribute(b, a->envelope.attributes[i].name),
                                a->envelope.attributes[i].value);
}

static void assert_same_mail(const struct queue_file *a,
                             const struct queue_file *b)
{
    assert_string_equal(a->envelope.sender, b->envelope.sender);
    assert_same_recipients(&a->envelope, &b->envelope);
    assert_int_equal(a->content_size, b->content_size);
    assert_memory_equal(a->content, b->content, a->content_size);
}

static void test_sample__at_end_of_message__is_as_finished(void **state)
{
    static const char *const names[] = {
        "plain",
        "null-sender",
        "alias",
        "dsn",
        "filter",
        "nul",
        "verp",
        "smtputf8",
        "no-header",
        "empty",
        "header-only",
        "milter-sender",
        "milter-recipient-deleted",
        "milter-short-body",
        "milter-body-twice",
        "milter-body-header",
        "milter-all",
    };
    struct queue_file early, finished;
    char name[100];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(name, sizeof(name), "%s-eom", names[i]);
        read_sample(name, &early);
        read_sample(names[i], &finished);
        assert_false(early.finished);
        assert_true(finished.finished);
        assert_same_mail(&early, &finished);
        /* The size too, which Postfix counted in the one and we in the
         * other. */
        assert_attributes(&early, &finished, "");
        assert_attributes(&finished, &early, "sendopts");
        assert_int_equal(early.done_count, finished.done_count);
        queue_file_clear(&early);
        queue_file_clear(&finished);
    }
}

static void test_sample__dsn_options__are_kept(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("dsn", &file);
    assert_string_equal(file.envelope.sender, "a@s.test");
    assert_int_equal(file.envelope.recipient_count, 5);
    assert_recipient(&file, 0, "one@a.test", "list@alias.test",
                     "rfc822;Orig+addr@orig.test", 12);
    assert_recipient(&file, 3, "x@y.test", "x@y.test",
                     "rfc822;Orig+addr@orig.test", 14);
    assert_recipient(&file, 4, "archive@bcc.test", "archive@bcc.test", "", 1);
    assert_int_equal(file.offsets[0], 718);
    assert_int_equal(file.data_offset, 1006);
    assert_string_equal(attribute(&file, "envelope_id"), "QQ+314159");
    assert_string_equal(attribute(&file, "ret_flags"), "2");
    assert_string_equal(attribute(&file, "size"), "378");
    assert_string_equal(attribute(&file, "arrival"), "1795368652 660024");
    assert_string_equal(attribute(&file, "log_client_name"), "localhost");
    assert_string_equal(attribute(&file, "log_protocol_name"), "ESMTP");
    queue_file_clear(&file);
}

static void test_sample__filter_and_redirect__are_instructions(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("filter", &file);
    assert_string_equal(file.envelope.instructions, "smtp:[filter.test]:25");
    queue_file_clear(&file);
    read_sample("redirect", &file);
    assert_string_equal(attribute(&file, "redirect"), "other@r.test");
    queue_file_clear(&file);
}

static void test_sample__sendmail_options__are_kept(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("sendmail-bv", &file);
    assert_string_equal(attribute(&file, "trace_flags"), "512");
    queue_file_clear(&file);
    read_sample("sendmail-v", &file);
    assert_string_equal(attribute(&file, "trace_flags"), "1024");
    queue_file_clear(&file);
    read_sample("sendmail-verp", &file);
    assert_string_equal(attribute(&file, "verp"), "+=");
    queue_file_clear(&file);
    read_sample("sendmail-t", &file);
    assert_int_equal(file.envelope.recipient_count, 2);
    queue_file_clear(&file);
}

static void test_sample__smtputf8__has_its_sendopts(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("smtputf8", &file);
    assert_string_equal(attribute(&file, "sendopts"), "7");
    assert_string_equal(file.envelope.sender, "s\xc3\xbc"
                                              "d@s.test");
    assert_string_equal(attribute(&file, "encoding"), "8bit");
    queue_file_clear(&file);
}

static void test_sample__nul_in_content__is_kept(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("nul", &file);
    assert_non_null(memmem(file.content, file.content_size,
                           "N\x03"
                           "a\0bN\x01\0",
                           8));
    queue_file_clear(&file);
}

static void test_sample__no_final_newline__is_a_part(void **state)
{
    static const char last[] = "L\x14"
                               "body without newline"
                               "N\0";
    struct queue_file file;

    (void)state;
    read_sample("no-final-newline", &file);
    assert_true(file.content_size > sizeof(last));
    assert_memory_equal(file.content + file.content_size - sizeof(last) + 1,
                        last, sizeof(last) - 1);
    queue_file_clear(&file);
}

static void test_sample__milter_edits__are_followed(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("milter-all", &file);
    assert_string_equal(file.envelope.sender, "changed@from.test");
    assert_int_equal(file.envelope.recipient_count, 3);
    assert_recipient(&file, 1, "added@c.test", "added@c.test", "", 0);
    assert_int_equal(file.done_count, 1);
    assert_non_null(memmem(file.content, file.content_size, "X-Added", 7));
    assert_non_null(
        memmem(file.content, file.content_size, "new line 199", 12));
    assert_null(memmem(file.content, file.content_size, "X-Gone", 6));
    assert_null(memmem(file.content, file.content_size, "N\x07line 59", 9));
    queue_file_clear(&file);
}

static void test_sample__partly_delivered__done_ones_are_skipped(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("partly-done", &file);
    assert_int_equal(file.envelope.recipient_count, 2);
    assert_recipient(&file, 0, "a@a.test", "a@a.test", "rfc822;a@a.test", 0);
    assert_recipient(&file, 1, "b@b.test", "b@b.test", "rfc822;b@b.test", 0);
    assert_int_equal(file.done_count, 1);
    queue_file_clear(&file);
}

static void test_sample__bounce_and_forward__are_understood(void **state)
{
    struct queue_file file;

    (void)state;
    read_sample("bounce", &file);
    assert_string_equal(file.envelope.sender, "");
    assert_recipient(&file, 0, "sender@s.test", "sender@s.test",
                     "rfc822;sender@s.test", 0);
    queue_file_clear(&file);
    read_sample("forward", &file);
    assert_recipient(&file, 0, "out@fwd.test", "fwd@local.test",
                     "rfc822;fwd@local.test", 0);
    queue_file_clear(&file);
}

static void test_build__some_recipients__reads_back(void **state)
{
    const uint32_t recipients[] = {3, 0};
    struct queue_file file, again;
    uint64_t offsets[2], data_offset;
    uint8_t *bytes = NULL;
    size_t size;

    (void)state;
    read_sample("dsn", &file);
    assert_result(queue_file_build(&file.envelope, recipients, 2, file.content,
                                   file.content_size, offsets, &data_offset,
                                   &bytes, &size),
                  0);
    assert_result(queue_file_parse(bytes, size, ID, &again), 0);
    assert_true(again.finished);
    assert_int_equal(again.data_offset, data_offset);
    assert_int_equal(again.envelope.recipient_count, 2);
    assert_int_equal(again.offsets[0], offsets[0]);
    assert_int_equal(again.offsets[1], offsets[1]);
    assert_int_equal(bytes[offsets[0]], RECORD_RECIPIENT);
    assert_recipient(&again, 0, "x@y.test", "x@y.test",
                     "rfc822;Orig+addr@orig.test", 14);
    assert_recipient(&again, 1, "one@a.test", "list@alias.test",
                     "rfc822;Orig+addr@orig.test", 12);
    assert_int_equal(again.content_size, file.content_size);
    assert_memory_equal(again.content, file.content, file.content_size);
    assert_attributes(&file, &again, "");
    free(bytes);
    queue_file_clear(&again);
    queue_file_clear(&file);
}

static void test_path__hashed_names__as_postfix(void **state)
{
    static const struct {
        const char *id;
        unsigned depth;
        const char *path;
    } cases[] = {
        /* Long ids and where Postfix put their files. */
        {"4jXbhn1jD6z1bYHT", 1, "defer/3/4jXbhn1jD6z1bYHT"},
        {"4jXbjq3yfbz1bY6h", 1, "defer/8/4jXbjq3yfbz1bY6h"},
        {"4jXbjq4DP7z1bY84", 1, "defer/9/4jXbjq4DP7z1bY84"},
        {"A1B2C3D4", 2, "defer/A/1/A1B2C3D4"},
        {"A1B2C3D4", 10, "defer/A/1/B/2/C/3/D/4/_/_/A1B2C3D4"},
        {"A1B2C3D4", 0, "defer/A1B2C3D4"},
    };
    char path[100];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_result(queue_file_path("defer", cases[i].id, "Deferred, DEFER",
                                      cases[i].depth, path, sizeof(path)),
                      0);
        assert_string_equal(path, cases[i].path);
    }
    assert_result(queue_file_path("incoming", "A1B2C3D4", "deferred, defer", 1,
                                  path, sizeof(path)),
                  0);
    assert_string_equal(path, "incoming/A1B2C3D4");
}

static void test_path__does_not_fit__is_refused(void **state)
{
    char path[100];

    (void)state;
    assert_result(queue_file_path("incoming", "A1B2C3D4", "", 1, path, 17),
                  ENAMETOOLONG);
    assert_result(queue_file_path("incoming", "A1B2C3D4", "", 1, path, 18), 0);
    assert_result(queue_file_path("defer", "A1B2C3D4", "defer", 1000000, path,
                                  sizeof(path)),
                  ENAMETOOLONG);
    assert_result(queue_file_path("incoming", "../secret", "", 1, path, 100),
                  EINVAL);
}

static void test_queue_id__only_letters_and_digits__are_valid(void **state)
{
    char id[102];

    (void)state;
    assert_true(queue_id_valid("A1B2C3"));
    assert_true(queue_id_valid("4jXbhn1jD6z1bYHT"));
    assert_false(queue_id_valid(""));
    assert_false(queue_id_valid("A1B2C"));
    assert_false(queue_id_valid("A1B2C3/"));
    assert_false(queue_id_valid("A1B2C3."));
    assert_false(queue_id_valid("A1B2C3\xc3\xbc"));
    memset(id, 'A', 101);
    id[101] = 0;
    assert_false(queue_id_valid(id));
    id[100] = 0;
    assert_true(queue_id_valid(id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample__at_end_of_message__is_as_finished),
        cmocka_unit_test(test_sample__dsn_options__are_kept),
        cmocka_unit_test(test_sample__filter_and_redirect__are_instructions),
        cmocka_unit_test(test_sample__sendmail_options__are_kept),
        cmocka_unit_test(test_sample__smtputf8__has_its_sendopts),
        cmocka_unit_test(test_sample__nul_in_content__is_kept),
        cmocka_unit_test(test_sample__no_final_newline__is_a_part),
        cmocka_unit_test(test_sample__milter_edits__are_followed),
        cmocka_unit_test(test_sample__partly_delivered__done_ones_are_skipped),
        cmocka_unit_test(test_sample__bounce_and_forward__are_understood),
        cmocka_unit_test(test_build__some_recipients__reads_back),
        cmocka_unit_test(test_path__hashed_names__as_postfix),
        cmocka_unit_test(test_path__does_not_fit__is_refused),
        cmocka_unit_test(test_queue_id__only_letters_and_digits__are_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
