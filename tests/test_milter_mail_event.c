/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "milter/mail_event.h"
#include "tests/cmocka_all.h"

static void event_make(struct mail_event *event, const char *address,
                       const char *argument, const char *mail_addr)
{
    char copies[2][200] = {"", ""};
    char *argv[] = {copies[0], NULL, NULL};

    strncpy(copies[0], address, sizeof(copies[0]) - 1);
    if (argument) {
        strncpy(copies[1], argument, sizeof(copies[1]) - 1);
        argv[1] = copies[1];
    }
    assert_result(mail_event_init(event, argv, mail_addr), 0);
}

static void assert_sender(const char *address, const char *mail_addr,
                          const char *expected)
{
    struct mail_event event;

    event_make(&event, address, NULL, mail_addr);
    assert_string_equal(event.sender, expected);
    mail_event_clear(&event);
}

static void test_mail_event__typed_addresses__are_in_file_form(void **state)
{
    (void)state;
    assert_sender("<a@b.example>", NULL, "a@b.example");
    assert_sender("a@b.example", NULL, "a@b.example");
    assert_sender("<>", NULL, "");
    assert_sender("<@r1.example,@r2.example:a@b.example>", NULL, "a@b.example");
    assert_sender("<\"john smith\"@b.example>", NULL, "john smith@b.example");
    assert_sender("<\"a\\\"b\\\\c@d\"@b.example>", NULL, "a\"b\\c@d@b.example");
    assert_sender("<a@b.example.>", NULL, "a@b.example");
    assert_sender("<", NULL, "<");
    assert_sender("", NULL, "");
    assert_sender("<@>", NULL, "@");
    assert_sender("<\"unclosed\\>", NULL, "unclosed\\");
}

static void test_mail_event__mail_addr_macro__wins_unless_empty(void **state)
{
    (void)state;
    assert_sender("<a>", "a@host.example", "a@host.example");
    assert_sender("<\"x y\"@b>", "\"x y\"@b.example", "x y@b.example");
    assert_sender("<a@b.example>", "", "a@b.example");
}

static void assert_argument(const char *argument, int smtputf8, int requiretls,
                            const char *unknown)
{
    struct mail_event event;

    event_make(&event, "<>", argument, NULL);
    assert_int_equal(event.smtputf8, smtputf8);
    assert_int_equal(event.requiretls, requiretls);
    assert_string_equal(event.unknown, unknown);
    mail_event_clear(&event);
}

static void test_mail_event__arguments__known_ones_are_told(void **state)
{
    static const char *const known[] = {"SIZE=100", "body=8BITMIME", "RET=FULL",
                                        "ENVID=x",  "AUTH=<>",       "XVERP",
                                        "XVERP=+="};
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_argument(known[i], 0, 0, "");
    assert_argument("smtputf8", 1, 0, "");
    assert_argument("REQUIRETLS", 0, 1, "");
    assert_argument("BY=120;R", 0, 0, "BY=120;R");
    assert_argument("SIZE", 0, 0, "SIZE");
    assert_argument("SMTPUTF8=1", 0, 0, "SMTPUTF8=1");
    assert_argument("", 0, 0, "(empty)");
}

static void
test_mail_event__unknown_argument__cannot_forge_a_log_line(void **state)
{
    struct mail_event event;

    (void)state;
    assert_argument("X\r\nY\xc3\xa4", 0, 0, "X??Y??");
    event_make(&event, "<>",
               "0123456789012345678901234567890123456789012345678901234567890",
               NULL);
    assert_int_equal(strlen(event.unknown), MAIL_EVENT_UNKNOWN_SIZE - 1);
    mail_event_clear(&event);
}

static void assert_fits(const char *typed, const char *file, int expected)
{
    struct mail_event event;

    event_make(&event, typed, NULL, NULL);
    assert_int_equal(mail_event_sender_fits(&event, file), expected);
    mail_event_clear(&event);
}

static void test_mail_event__sender_of_file__must_be_the_same(void **state)
{
    (void)state;
    assert_fits("<a@b.example>", "a@b.example", 1);
    assert_fits("<a@B.Example>", "a@b.example", 1);
    assert_fits("<A@b.example>", "a@b.example", 0);
    assert_fits("<a@b.example>", "a@b.examples", 0);
    assert_fits("<a@b.example>", "", 0);
    assert_fits("<>", "", 1);
    assert_fits("<>", "a@b.example", 0);
    assert_fits("<MAILER-DAEMON@b.example>", "", 1);
    assert_fits("<mailer-daemon>", "", 1);
    assert_fits("<mailer-daemons@b.example>", "", 0);
    assert_fits("<a>", "a", 1);
    assert_fits("<a>", "a@b", 0);
}

static void test_mail_event__nothing_at_all__is_the_null_sender(void **state)
{
    struct mail_event event;
    char *none[] = {NULL};

    (void)state;
    assert_result(mail_event_init(&event, NULL, NULL), 0);
    assert_string_equal(event.sender, "");
    mail_event_clear(&event);
    assert_result(mail_event_init(&event, none, NULL), 0);
    assert_string_equal(event.sender, "");
    mail_event_clear(&event);
    mail_event_clear(&event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_event__typed_addresses__are_in_file_form),
        cmocka_unit_test(test_mail_event__mail_addr_macro__wins_unless_empty),
        cmocka_unit_test(test_mail_event__arguments__known_ones_are_told),
        cmocka_unit_test(
            test_mail_event__unknown_argument__cannot_forge_a_log_line),
        cmocka_unit_test(test_mail_event__sender_of_file__must_be_the_same),
        cmocka_unit_test(test_mail_event__nothing_at_all__is_the_null_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
