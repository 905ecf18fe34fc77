/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qmgr/showq_output.h"
#include "qmgr/showq_reasons.h"

#define OUTPUT_SIZE 65536 /* bytes; what a pipe holds */

/* Everything that the output writes, with '.' for NUL. */
static char *listing_of(unsigned version, const struct showq_message *messages,
                        size_t count)
{
    struct showq_output output = {.version = version,
                                  .null_address = "MAILER-DAEMON"};
    char *text = calloc(1, OUTPUT_SIZE);
    int fds[2];
    ssize_t size;
    size_t i;

    assert_non_null(text);
    assert_int_equal(pipe(fds), 0);
    output.fd = fds[1];
    showq_output_start(&output);
    for (i = 0; i < count; i++) {
        showq_output_message(&output, &messages[i]);
        showq_output_recipient(&output, "o@y", "r@y", "defer", "why");
        showq_output_message_end(&output);
    }
    showq_output_finish(&output);
    assert_int_equal(output.failed, 0);
    close(fds[1]);
    size = read(fds[0], text, OUTPUT_SIZE - 1);
    close(fds[0]);
    assert_true(size > 0);
    while (size-- > 0)
        if (!text[size])
            text[size] = '.';
    return text;
}

static const struct showq_message message = {
    .queue_name = "active",
    .queue_id = "4jXFb",
    .time_s = 1790000000,
    .size = 1342,
    .forced_expire = 0,
    .sender = "s@x",
};

static void expect_listing(unsigned version, size_t count, const char *expected)
{
    char *text = listing_of(version, &message, count);

    assert_string_equal(text, expected);
    free(text);
}

static void test_output__version_3_4__has_no_announcement(void **state)
{
    (void)state;
    expect_listing(304, 1,
                   "queue_name.active.queue_id.4jXFb.time.1790000000."
                   "size.1342.sender.s@x.recipient.r@y.reason.why...");
}

static void test_output__version_3_5__has_forced_expire(void **state)
{
    (void)state;
    expect_listing(305, 1,
                   "queue_name.active.queue_id.4jXFb.time.1790000000."
                   "size.1342.forced_expire.0.sender.s@x."
                   "recipient.r@y.reason.why...");
}

static void test_output__version_3_6_to_3_10__announces_itself(void **state)
{
    static const char expected[] =
        "protocol.mail_queue_list_protocol.."
        "queue_name.active.queue_id.4jXFb.time.1790000000."
        "size.1342.forced_expire.0.sender.s@x.recipient.r@y.reason.why...";

    (void)state;
    expect_listing(306, 1, expected);
    expect_listing(307, 1, expected);
    expect_listing(310, 1, expected);
}

static void test_output__version_3_11__has_log_class(void **state)
{
    (void)state;
    expect_listing(311, 1,
                   "protocol.mail_queue_list_protocol.."
                   "queue_name.active.queue_id.4jXFb.time.1790000000."
                   "size.1342.forced_expire.0.sender.s@x."
                   "original_recipient.o@y.recipient.r@y.log_class.defer."
                   "reason.why...");
}

static void test_output__empty_queue__ends_at_once(void **state)
{
    (void)state;
    expect_listing(307, 0, "protocol.mail_queue_list_protocol...");
    expect_listing(304, 0, ".");
}

static void test_output__client_gone__fails_without_a_signal(void **state)
{
    struct showq_output output = {.version = 307, .null_address = ""};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    output.fd = fds[1];
    showq_output_start(&output);
    showq_output_finish(&output);
    assert_true(output.failed);
    close(fds[1]);
}

static void expect_address(const char *address, const char *expected)
{
    struct showq_output output = {.null_address = "MAILER-DAEMON"};
    char text[SHOWQ_ADDRESS_SIZE];

    showq_address(&output, address, text);
    assert_string_equal(text, expected);
}

static void test_address__odd_ones__are_quoted_and_printable(void **state)
{
    (void)state;
    expect_address("", "MAILER-DAEMON");
    expect_address("a.b+c@x", "a.b+c@x");
    expect_address("two words@x", "\"two words\"@x");
    expect_address("quo\"te@x", "\"quo\\\"te\"@x");
    expect_address("a\033[1m\n@x", "\"a?[1m?\"@x");
    expect_address("gr\xc3\xbc\xc3\x9f@x", "gr\xc3\xbc\xc3\x9f@x");
    expect_address("bad\xff@x", "bad?@x");
}

static void test_address__too_long__is_cut(void **state)
{
    struct showq_output output = {.null_address = ""};
    char text[SHOWQ_ADDRESS_SIZE], *address = malloc(60001);

    (void)state;
    assert_non_null(address);
    memset(address, 'a', 60000);
    address[60000] = 0;
    showq_address(&output, address, text);
    assert_int_equal(strlen(text), SHOWQ_ADDRESS_SIZE - 1);
    free(address);
}

/* ---- reasons ---- */

static void test_reasons__full_log__gives_each_recipient(void **state)
{
    static const char log[] = "\n<a@x>: old form of it\n"
                              "recipient=a@x\noriginal_recipient=alias@x\n"
                              "offset=12\nstatus=4.4.1\naction=delayed\n"
                              "reason=connect: refused\n\n"
                              "\nrecipient=b@x\nreason=full = yes\n\n";
    struct showq_reasons reasons = {0};
    const struct showq_reason *reason;

    (void)state;
    showq_reasons_parse(&reasons, log, "defer");
    assert_int_equal(reasons.count, 2);
    reason = showq_reasons_find(&reasons, "a@x");
    assert_non_null(reason);
    assert_string_equal(reason->text, "connect: refused");
    assert_string_equal(reason->original, "alias@x");
    assert_string_equal(reason->log_class, "defer");
    reason = showq_reasons_find(&reasons, "b@x");
    assert_non_null(reason);
    assert_string_equal(reason->text, "full = yes");
    assert_string_equal(reason->original, "");
    assert_null(showq_reasons_find(&reasons, "c@x"));
    showq_reasons_clear(&reasons);
}

static void test_reasons__old_form_only__is_read(void **state)
{
    struct showq_reasons reasons = {0};

    (void)state;
    showq_reasons_parse(&reasons, "<a@x>: it: was\n\n<b@x>: not\n", "bounce");
    assert_int_equal(reasons.count, 2);
    assert_string_equal(reasons.reasons[0].recipient, "a@x");
    assert_string_equal(reasons.reasons[0].text, "it: was");
    assert_string_equal(reasons.reasons[1].text, "not");
    assert_string_equal(reasons.reasons[1].log_class, "bounce");
    showq_reasons_clear(&reasons);
}

static void test_reasons__junk__gives_nothing(void **state)
{
    struct showq_reasons reasons = {0};

    (void)state;
    showq_reasons_parse(&reasons, "", "defer");
    showq_reasons_parse(&reasons, "\n\n\n<\n>: \n<a\nreason=\n", "defer");
    showq_reasons_parse(&reasons, "recipient=a@x", "defer");
    showq_reasons_parse(&reasons, "reason=of nobody\n\n", "defer");
    assert_int_equal(reasons.count, 0);
    assert_null(showq_reasons_find(&reasons, "a@x"));
    showq_reasons_clear(&reasons);
}

static void test_reasons__asked_in_any_order__finds_all(void **state)
{
    static const char *const order[] = {"c", "a", "a", "b", "c", "b"};
    struct showq_reasons reasons = {0};
    size_t i;

    (void)state;
    showq_reasons_parse(&reasons, "<a>: 1\n\n<b>: 2\n\n<c>: 3\n", "defer");
    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const struct showq_reason *reason =
            showq_reasons_find(&reasons, order[i]);

        assert_non_null(reason);
        assert_string_equal(reason->recipient, order[i]);
    }
    showq_reasons_clear(&reasons);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output__version_3_4__has_no_announcement),
        cmocka_unit_test(test_output__version_3_5__has_forced_expire),
        cmocka_unit_test(test_output__version_3_6_to_3_10__announces_itself),
        cmocka_unit_test(test_output__version_3_11__has_log_class),
        cmocka_unit_test(test_output__empty_queue__ends_at_once),
        cmocka_unit_test(test_output__client_gone__fails_without_a_signal),
        cmocka_unit_test(test_address__odd_ones__are_quoted_and_printable),
        cmocka_unit_test(test_address__too_long__is_cut),
        cmocka_unit_test(test_reasons__full_log__gives_each_recipient),
        cmocka_unit_test(test_reasons__old_form_only__is_read),
        cmocka_unit_test(test_reasons__junk__gives_nothing),
        cmocka_unit_test(test_reasons__asked_in_any_order__finds_all),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
