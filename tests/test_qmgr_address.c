/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdlib.h>

#include "qmgr/address.h"

static void assert_quoted(const char *address, const char *expected)
{
    char quoted[64];

    address_quote(address, quoted, sizeof(quoted));
    assert_string_equal(quoted, expected);
}

static void test_quote__plain_addresses__stay(void **state)
{
    (void)state;
    assert_quoted("", "");
    assert_quoted("a.b+c@d.example", "a.b+c@d.example");
    assert_quoted("jos\xc3\xa9@d.example", "jos\xc3\xa9@d.example");
    assert_quoted("no-domain", "no-domain");
}

static void test_quote__local_parts_that_need_it__get_quotes(void **state)
{
    (void)state;
    assert_quoted("a b@d", "\"a b\"@d");
    assert_quoted(".a@d", "\".a\"@d");
    assert_quoted("a..b@d", "\"a..b\"@d");
    assert_quoted("a\"b@d", "\"a\\\"b\"@d");
    assert_quoted("a@b@d", "\"a@b\"@d");
}

static void test_quote__unprintable_bytes__become_question_marks(void **state)
{
    (void)state;
    assert_quoted("a\nb@d", "\"a?b\"@d");
}

static void test_quote__long_address__is_cut(void **state)
{
    char quoted[5];

    (void)state;
    address_quote("abcdefgh@d", quoted, sizeof(quoted));
    assert_string_equal(quoted, "abcd");
}

static void test_internalize__undoes_externalize(void **state)
{
    static const char *const addresses[] = {"a@d", "a b@d", "a\"b@d", "a\\b@d",
                                            ""};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        char *external = address_externalize(addresses[i]);
        char *internal = address_internalize(external);

        assert_string_equal(internal, addresses[i]);
        free(external);
        free(internal);
    }
}

static void assert_mailbox(const char *address, const char *delimiters,
                           const char *expected)
{
    char *name = address_mailbox_name(address, "Host", delimiters);

    assert_string_equal(name, expected);
    free(name);
}

static void test_mailbox_name__has_no_extension_and_no_capitals(void **state)
{
    (void)state;
    assert_mailbox("User+x@d", "+", "user@host");
    assert_mailbox("user+x@d", "", "user+x@host");
    assert_mailbox("+x@d", "+", "+x@host");
    assert_mailbox("owner-list@d", "-", "owner-list@host");
    assert_mailbox("list-request@d", "-", "list-request@host");
    assert_mailbox("user-x@d", "+-", "user@host");
}

static void test_is_utf8__only_valid_bytes_above_127(void **state)
{
    (void)state;
    assert_false(address_is_utf8("plain"));
    assert_true(address_is_utf8("jos\xc3\xa9"));
    assert_true(address_is_utf8("\xf0\x9f\x93\xac"));
    assert_false(address_is_utf8("\xc3"));
    assert_false(address_is_utf8("\xc0\xaf"));
    assert_false(address_is_utf8("\xed\xa0\x80"));
    assert_false(address_is_utf8("\xe9t\xe9"));
}

static void assert_verp(const char *sender, const char *recipient,
                        const char *expected)
{
    char *verp = address_verp(sender, recipient, "+=");

    assert_string_equal(verp, expected);
    free(verp);
}

static void test_verp__recipient_is_in_the_local_part(void **state)
{
    (void)state;
    assert_verp("list@s", "u@d", "list+u=d@s");
    assert_verp("list@s", "u", "list+u@s");
    assert_verp("list", "u@d", "list+u=d");
}

static void test_local_is__compares_local_part_only(void **state)
{
    (void)state;
    assert_true(address_local_is("Double-Bounce@x", "double-bounce"));
    assert_true(address_local_is("double-bounce", "double-bounce"));
    assert_false(address_local_is("double-bounced@x", "double-bounce"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote__plain_addresses__stay),
        cmocka_unit_test(test_quote__local_parts_that_need_it__get_quotes),
        cmocka_unit_test(test_quote__unprintable_bytes__become_question_marks),
        cmocka_unit_test(test_quote__long_address__is_cut),
        cmocka_unit_test(test_internalize__undoes_externalize),
        cmocka_unit_test(test_mailbox_name__has_no_extension_and_no_capitals),
        cmocka_unit_test(test_is_utf8__only_valid_bytes_above_127),
        cmocka_unit_test(test_verp__recipient_is_in_the_local_part),
        cmocka_unit_test(test_local_is__compares_local_part_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
