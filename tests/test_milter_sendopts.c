/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "milter/sendopts.h"
#include "postfix/record.h"
#include "tests/cmocka_all.h"

#define UTF8      "J\xc3\xbcrgen"
#define NO_ANSWER (-1) /* a doubt: the mail is left to Postfix */

static const struct sendopts_rules all_rules = {1, 1, 1, 1};

/* One mail and what is asked about it. */
struct question {
    const char *sender;
    const char *recipient, *original;
    const char *text; /* lines with LF; "&" at an end: goes on in a record */
    int smtputf8, requiretls;
    int local;
};

static void content_make(struct record_writer *writer, const char *text)
{
    size_t size;
    int type;

    for (; *text; text += size + 1) {
        size = strcspn(text, "\n&");
        type = text[size] == '&' ? RECORD_PART : RECORD_LINE;
        record_write(writer, type, text, size);
        if (!text[size])
            break;
    }
    assert_false(writer->failed);
}

static int answer(const struct sendopts_rules *rules,
                  const struct question *question)
{
    struct mail_event event = {.smtputf8 = question->smtputf8,
                               .requiretls = question->requiretls};
    struct syncq_recipient recipient = {
        .address = question->recipient ? question->recipient : "r@x.example",
        .original = question->original ? question->original : "",
        .dsn_original = ""};
    struct record_writer writer = {.bytes = NULL};
    struct syncq_envelope envelope;
    unsigned bits = 0;
    int sure;

    assert_result(syncq_envelope_init(&envelope), 0);
    assert_result(syncq_envelope_set_sender(
                      &envelope, question->sender ? question->sender : "s@x"),
                  0);
    assert_result(syncq_envelope_add_recipient(&envelope, &recipient), 0);
    if (!question->local)
        assert_result(syncq_envelope_set_attribute_text(
                          &envelope, "log_client_address", "192.0.2.1"),
                      0);
    content_make(&writer, question->text ? question->text : "A: b\n\nbody\n");
    sure = sendopts_compute(rules, &event, &envelope, writer.bytes, writer.size,
                            &bits);
    free(writer.bytes);
    syncq_envelope_clear(&envelope);
    return sure ? (int)bits : NO_ANSWER;
}

#define ASK(...) answer(&all_rules, &(struct question){__VA_ARGS__})

static void test_sendopts__plain_mail__has_none(void **state)
{
    (void)state;
    assert_int_equal(ASK(.text = NULL), 0);
    assert_int_equal(ASK(.text = "\n"), 0);
    assert_int_equal(ASK(.text = ""), 0);
    assert_int_equal(ASK(.text = "A: b\n\n" UTF8 "\n"), 0);
    assert_int_equal(ASK(.local = 1, .text = "A: b\n\n" UTF8 ": x\n"), 0);
}

static void test_sendopts__mail_arguments__count(void **state)
{
    (void)state;
    assert_int_equal(ASK(.smtputf8 = 1), SENDOPTS_SMTPUTF8_REQUESTED);
    assert_int_equal(ASK(.requiretls = 1), SENDOPTS_REQUIRETLS);
    assert_int_equal(ASK(.smtputf8 = 1, .requiretls = 1),
                     SENDOPTS_SMTPUTF8_REQUESTED | SENDOPTS_REQUIRETLS);
}

static void
test_sendopts__non_ascii_header__is_seen_wherever_it_is(void **state)
{
    unsigned i;
    static const char *const texts[] = {
        ("Subject: " UTF8 "\n\nx\n"),    ("A: b\n\t" UTF8 "\n\nx\n"),
        ("A: b&" UTF8 "\n\nx\n"),        "A: b\nSubject : \xff\n\nx\n",
        ("A: b\nFrom: " UTF8 "\n\nx\n"), ("A: b\nC: " UTF8)};

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(ASK(.text = texts[i]), SENDOPTS_SMTPUTF8_HEADER);
    /* What is not a header ends the header. */
    assert_int_equal(ASK(.text = "A: b\n" UTF8 ": x\nC: " UTF8 "\n"), 0);
    assert_int_equal(ASK(.text = "A: b\nno header " UTF8 "\n"), 0);
}

static void test_sendopts__utf8_sender__needs_valid_utf8(void **state)
{
    (void)state;
    assert_int_equal(ASK(.sender = UTF8 "@x.example"),
                     SENDOPTS_SMTPUTF8_SENDER);
    assert_int_equal(ASK(.sender = "\xe4\xbd\xa0\xf0\x9f\x98\x80@x"),
                     SENDOPTS_SMTPUTF8_SENDER);
    assert_int_equal(ASK(.sender = "\xff@x"), 0);
    assert_int_equal(ASK(.sender = "\xc3"), 0);
    assert_int_equal(ASK(.sender = "\xc0\xaf@x"), 0);
    assert_int_equal(ASK(.sender = "\xe0\x80\xaf@x"), 0);
    assert_int_equal(ASK(.sender = "\xed\xa0\x80@x"), 0);
    assert_int_equal(ASK(.sender = "\xf4\x90\x80\x80@x"), 0);
    assert_int_equal(ASK(.sender = "\xf8\x88\x80\x80\x80@x"), 0);
    assert_int_equal(ASK(.sender = "\xe4\xbd"), 0);
}

static void test_sendopts__local_mail__requests_by_what_it_holds(void **state)
{
    const int requested = SENDOPTS_SMTPUTF8_REQUESTED;

    (void)state;
    assert_int_equal(ASK(.local = 1), 0);
    assert_int_equal(ASK(.local = 1, .text = "Subject: " UTF8 "\n\nx\n"),
                     requested | (int)SENDOPTS_SMTPUTF8_HEADER);
    assert_int_equal(ASK(.local = 1, .sender = UTF8 "@x"),
                     requested | (int)SENDOPTS_SMTPUTF8_SENDER);
    assert_int_equal(ASK(.local = 1, .recipient = UTF8 "@x"), requested);
    assert_int_equal(
        ASK(.local = 1, .recipient = UTF8 "@x", .original = UTF8 "@x"),
        requested);
    assert_int_equal(ASK(.recipient = UTF8 "@x"), 0);
}

static void test_sendopts__local_mail__doubts_leave_it_to_postfix(void **state)
{
    (void)state;
    /* cleanup(8) may have made the From line of the full name. */
    assert_int_equal(ASK(.local = 1, .text = "From: " UTF8 " <a@b>\n\nx\n"),
                     NO_ANSWER);
    /* Aliases: was the address that counts UTF-8 or not? */
    assert_int_equal(ASK(.local = 1, .recipient = "a@x", .original = UTF8 "@x"),
                     NO_ANSWER);
    assert_int_equal(ASK(.local = 1, .recipient = UTF8 "@x", .original = "a@x"),
                     NO_ANSWER);
}

static void
test_sendopts__headers_of_parts__are_a_doubt_if_non_ascii(void **state)
{
    static const char part[] =
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n"
        "Content-Disposition: attachment; filename=" UTF8 "\n\n--x--\n";
    static const char folded[] = "Content-Type:\n multipart/mixed;\n"
                                 " boundary=x\n\n--x\nA: b\n " UTF8 "\n";
    static const char text_only[] =
        "Content-Type: text/plain; charset=utf-8\n\nHi " UTF8 ": x\n";
    static const char plain_words[] =
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nHi " UTF8 "\n";

    (void)state;
    assert_int_equal(ASK(.smtputf8 = 1, .text = part), NO_ANSWER);
    assert_int_equal(ASK(.local = 1, .text = part), NO_ANSWER);
    assert_int_equal(ASK(.smtputf8 = 1, .text = folded), NO_ANSWER);
    assert_int_equal(ASK(.smtputf8 = 1, .text = text_only),
                     SENDOPTS_SMTPUTF8_REQUESTED);
    assert_int_equal(ASK(.smtputf8 = 1, .text = plain_words),
                     SENDOPTS_SMTPUTF8_REQUESTED);
    /* Nobody asked for SMTPUTF8: what parts hold changes nothing. */
    assert_int_equal(ASK(.text = part), 0);
}

static void test_sendopts__nul_in_header__is_a_doubt_with_smtputf8(void **state)
{
    struct mail_event event = {.smtputf8 = 1};
    struct syncq_envelope envelope;
    struct record_writer writer = {.bytes = NULL};
    unsigned bits;

    (void)state;
    assert_result(syncq_envelope_init(&envelope), 0);
    record_write(&writer, RECORD_LINE, "A: \0\xc3\xbc", 6);
    assert_false(sendopts_compute(&all_rules, &event, &envelope, writer.bytes,
                                  writer.size, &bits));
    event.smtputf8 = 0;
    assert_int_equal(syncq_envelope_set_attribute_text(
                         &envelope, "log_client_address", "192.0.2.1"),
                     0);
    assert_true(sendopts_compute(&all_rules, &event, &envelope, writer.bytes,
                                 writer.size, &bits));
    free(writer.bytes);
    syncq_envelope_clear(&envelope);
}

static void test_sendopts__tls_required_header__counts_where_known(void **state)
{
    struct sendopts_rules rules = all_rules;
    struct question no = {.text = "A: b\nTLS-required:  No \n\nx\n"};

    (void)state;
    assert_int_equal(answer(&rules, &no), SENDOPTS_TLS_REQUIRED_NO);
    assert_int_equal(ASK(.text = "TLS-Required: yes\n\nx\n"), 0);
    assert_int_equal(ASK(.text = "TLS-Required:\n no\n\nx\n"), NO_ANSWER);
    assert_int_equal(ASK(.requiretls = 1, .text = no.text), NO_ANSWER);
    assert_int_equal(ASK(.text = "A: b\n\nTLS-Required: no\n"), 0);
    rules.tls_required = 0;
    assert_int_equal(answer(&rules, &no), 0);
}

static void test_sendopts__headers_for_mail_arguments__are_a_doubt(void **state)
{
    struct sendopts_rules rules = all_rules;
    struct question verbs = {.text = "X-Esmtp-Verbs: SMTPUTF8\n\nx\n"};

    (void)state;
    assert_int_equal(answer(&rules, &verbs), NO_ANSWER);
    assert_int_equal(ASK(.text = "Require-TLS-ESMTP: yes\n\nx\n"), NO_ANSWER);
    rules.verb_headers = 0;
    assert_int_equal(answer(&rules, &verbs), 0);
}

static void test_sendopts__smtputf8_disabled__sets_no_such_bit(void **state)
{
    struct sendopts_rules rules = {0, 0, 1, 1};
    struct question question = {
        .text = "Subject: " UTF8 "\n\nx\n", .sender = UTF8 "@x", .local = 1};

    (void)state;
    assert_int_equal(answer(&rules, &question), 0);
}

static void test_sendopts_rules__parameters__are_read(void **state)
{
    struct parameters *parameters;
    struct sendopts_rules rules;

    (void)state;
    assert_result(parameters_parse("smtputf8_enable = yes\n"
                                   "smtputf8_autodetect_classes = verify\n",
                                   &parameters),
                  0);
    sendopts_rules_read(&rules, parameters);
    parameters_free(parameters);
    assert_true(rules.smtputf8);
    assert_false(rules.autodetect_local);
    assert_false(rules.tls_required);
    assert_false(rules.verb_headers);
    assert_result(parameters_parse("smtputf8_enable = no\n"
                                   "smtputf8_autodetect_classes = all\n",
                                   &parameters),
                  0);
    sendopts_rules_read(&rules, parameters);
    parameters_free(parameters);
    assert_false(rules.smtputf8);
    assert_false(rules.autodetect_local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sendopts__plain_mail__has_none),
        cmocka_unit_test(test_sendopts__mail_arguments__count),
        cmocka_unit_test(
            test_sendopts__non_ascii_header__is_seen_wherever_it_is),
        cmocka_unit_test(test_sendopts__utf8_sender__needs_valid_utf8),
        cmocka_unit_test(test_sendopts__local_mail__requests_by_what_it_holds),
        cmocka_unit_test(test_sendopts__local_mail__doubts_leave_it_to_postfix),
        cmocka_unit_test(
            test_sendopts__headers_of_parts__are_a_doubt_if_non_ascii),
        cmocka_unit_test(
            test_sendopts__nul_in_header__is_a_doubt_with_smtputf8),
        cmocka_unit_test(
            test_sendopts__tls_required_header__counts_where_known),
        cmocka_unit_test(
            test_sendopts__headers_for_mail_arguments__are_a_doubt),
        cmocka_unit_test(test_sendopts__smtputf8_disabled__sets_no_such_bit),
        cmocka_unit_test(test_sendopts_rules__parameters__are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
