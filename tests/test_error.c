/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "module/error.h"

static void test_strerror__each_own_code__has_its_own_text(void **state)
{
    int a, b;

    (void)state;
    for (a = SYNCQ_ERR_NO_QUEUE; a <= SYNCQ_ERR_RECIPIENTS; a++) {
        const char *text = syncq_strerror(a);

        assert_string_not_equal(text, "unknown error");
        assert_true(strlen(text) > 10);
        for (b = SYNCQ_ERR_NO_QUEUE; b < a; b++)
            assert_string_not_equal(text, syncq_strerror(b));
    }
}

static void test_strerror__each_own_code__is_one_line_without_stop(void **state)
{
    int error;

    (void)state;
    for (error = SYNCQ_ERR_NO_QUEUE; error <= SYNCQ_ERR_RECIPIENTS; error++) {
        const char *text = syncq_strerror(error);

        assert_null(strchr(text, '\n'));
        assert_true(isalnum((unsigned char)text[strlen(text) - 1]));
    }
}

static void test_strerror__errno__is_the_systems_text(void **state)
{
    (void)state;
    assert_string_equal(syncq_strerror(ENOSPC), strerror(ENOSPC));
    assert_string_equal(syncq_strerror(EACCES), strerror(EACCES));
}

static void test_strerror__zero__is_success(void **state)
{
    (void)state;
    assert_string_equal(syncq_strerror(0), "success");
}

static void test_strerror__foreign_numbers__are_unknown(void **state)
{
    (void)state;
    assert_string_equal(syncq_strerror(SYNCQ_ERR_NO_QUEUE - 1),
                        "unknown error");
    assert_string_equal(syncq_strerror(SYNCQ_ERR_RECIPIENTS + 1), "unknown error");
    assert_string_equal(syncq_strerror(-1), "unknown error");
    assert_string_equal(syncq_strerror(INT_MIN), "unknown error");
    assert_string_equal(syncq_strerror(INT_MAX), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strerror__each_own_code__has_its_own_text),
        cmocka_unit_test(
            test_strerror__each_own_code__is_one_line_without_stop),
        cmocka_unit_test(test_strerror__errno__is_the_systems_text),
        cmocka_unit_test(test_strerror__zero__is_success),
        cmocka_unit_test(test_strerror__foreign_numbers__are_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
