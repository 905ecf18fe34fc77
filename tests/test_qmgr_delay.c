/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include "qmgr/delay.h"

static void assert_number(double seconds, const char *expected)
{
    char text[32];

    delay_number(seconds, 2, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_number__as_stock_postfix_logs_it(void **state)
{
    (void)state;
    assert_number(0, "0");
    assert_number(-1, "0");
    assert_number(0.004, "0");
    assert_number(0.01, "0.01");
    assert_number(0.5, "0.5");
    assert_number(2.25, "2.2");
    assert_number(9.94, "9.9");
    assert_number(16.4, "16");
    assert_number(12345, "12345");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number__as_stock_postfix_logs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
