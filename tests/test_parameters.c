/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "postfix/parameters.h"
#include "tests/temporary.h"

static struct parameters *parse(const char *text)
{
    struct parameters *parameters = NULL;

    assert_result(parameters_parse(text, &parameters), 0);
    return parameters;
}

static void test_parse__lines__are_names_and_values(void **state)
{
    struct parameters *parameters = parse("b = two words = x\n"
                                          "a = 1\n"
                                          "empty =\n"
                                          "no equals sign\n"
                                          "a = 2\n"
                                          "last = no newline");

    (void)state;
    assert_string_equal(parameters_text(parameters, "b", ""), "two words = x");
    assert_string_equal(parameters_text(parameters, "empty", "x"), "");
    assert_string_equal(parameters_text(parameters, "last", ""), "no newline");
    assert_string_equal(parameters_text(parameters, "c", "fallback"),
                        "fallback");
    assert_null(parameters_text(parameters, "no equals sign", NULL));
    parameters_free(parameters);
}

static void test_parse__nothing__has_fallbacks_only(void **state)
{
    struct parameters *parameters = parse("");

    (void)state;
    assert_string_equal(parameters_text(parameters, "a", "x"), "x");
    assert_result(parameters_set(parameters, "a", "y"), 0);
    assert_string_equal(parameters_text(parameters, "a", "x"), "y");
    assert_int_equal(parameters_version(parameters), 0);
    parameters_free(parameters);
    parameters_free(NULL);
}

static void test_set__known_and_new__replace_and_add(void **state)
{
    struct parameters *parameters = parse("b = 1\nd = 2\n");

    (void)state;
    assert_result(parameters_set(parameters, "b", "3"), 0);
    assert_result(parameters_set(parameters, "c", "4"), 0);
    assert_result(parameters_set(parameters, "a", "5"), 0);
    assert_string_equal(parameters_text(parameters, "a", ""), "5");
    assert_string_equal(parameters_text(parameters, "b", ""), "3");
    assert_string_equal(parameters_text(parameters, "c", ""), "4");
    assert_string_equal(parameters_text(parameters, "d", ""), "2");
    parameters_free(parameters);
}

static void test_bool__anything_else__is_the_fallback(void **state)
{
    struct parameters *parameters = parse("y = yes\nn = No\nx = true\n");

    (void)state;
    assert_int_equal(parameters_bool(parameters, "y", 0), 1);
    assert_int_equal(parameters_bool(parameters, "n", 1), 0);
    assert_int_equal(parameters_bool(parameters, "x", 1), 1);
    assert_int_equal(parameters_bool(parameters, "x", 0), 0);
    assert_int_equal(parameters_bool(parameters, "none", 1), 1);
    parameters_free(parameters);
}

static void test_number__junk__is_the_fallback(void **state)
{
    struct parameters *parameters =
        parse("a = 20\nb = -1\nc = 20x\nd =\ne = 99999999999999999999\n");

    (void)state;
    assert_int_equal(parameters_number(parameters, "a", 7), 20);
    assert_true(parameters_number(parameters, "b", 7) == -1);
    assert_int_equal(parameters_number(parameters, "c", 7), 7);
    assert_int_equal(parameters_number(parameters, "d", 7), 7);
    assert_int_equal(parameters_number(parameters, "e", 7), 7);
    assert_int_equal(parameters_number(parameters, "none", 7), 7);
    parameters_free(parameters);
}

static void test_time__each_unit__is_seconds(void **state)
{
    struct parameters *parameters =
        parse("a = 300s\nb = 5m\nc = 2h\nd = 5d\ne = 1w\nf = 5\n"
              "g = 5x\nh = 5ms\ni = 9223372036854775807w\n");

    (void)state;
    assert_int_equal(parameters_time_s(parameters, "a", 's', 1), 300);
    assert_int_equal(parameters_time_s(parameters, "b", 's', 1), 300);
    assert_int_equal(parameters_time_s(parameters, "c", 's', 1), 7200);
    assert_int_equal(parameters_time_s(parameters, "d", 's', 1), 432000);
    assert_int_equal(parameters_time_s(parameters, "e", 's', 1), 604800);
    assert_int_equal(parameters_time_s(parameters, "f", 's', 1), 5);
    assert_int_equal(parameters_time_s(parameters, "f", 'd', 1), 432000);
    assert_int_equal(parameters_time_s(parameters, "g", 's', 1), 1);
    assert_int_equal(parameters_time_s(parameters, "h", 's', 1), 1);
    assert_int_equal(parameters_time_s(parameters, "i", 's', 1), 1);
    assert_int_equal(parameters_time_s(parameters, "none", 's', 1), 1);
    parameters_free(parameters);
}

static void test_transport_number__own_default_fallback__in_turn(void **state)
{
    struct parameters *parameters =
        parse("smtp_limit = 3\ndefault_limit = 20\nlmtp_limit = junk\n");

    (void)state;
    assert_int_equal(parameters_transport_number(parameters, "smtp", "_limit",
                                                 "default_limit", 5),
                     3);
    assert_int_equal(parameters_transport_number(parameters, "relay", "_limit",
                                                 "default_limit", 5),
                     20);
    assert_int_equal(parameters_transport_number(parameters, "lmtp", "_limit",
                                                 "default_limit", 5),
                     20);
    assert_int_equal(parameters_transport_number(parameters, "relay", "_other",
                                                 "default_other", 5),
                     5);
    parameters_free(parameters);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[1000];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void test_load__real_postconf__fills_in_and_expands(void **state)
{
    struct parameters *parameters = NULL;
    char *folder = temporary_make();

    (void)state;
    assert_non_null(folder);
    write_file(folder, "main.cf",
               "compatibility_level = 3.6\n"
               "myhostname = host.example.com\n"
               "mydomain = example.com\n"
               "relay_domains = $mydomain, other.test\n"
               "mail_version = 99.99.1\n"
               "queue_directory = /nowhere\n");
    write_file(folder, "master.cf",
               "smtp unix - - n - - smtp\n"
               "slow unix - - n - - smtp\n");
    assert_result(parameters_load(folder, &parameters), 0);
    assert_string_equal(parameters_text(parameters, "relay_domains", ""),
                        "example.com, other.test");
    assert_int_equal(
        parameters_time_s(parameters, "maximal_queue_lifetime", 'd', 0),
        432000);
    assert_int_equal(
        parameters_transport_number(
            parameters, "slow", "_destination_concurrency_limit", "none", -1),
        20);
    /* main.cf cannot change what the programs are. */
    assert_in_range(parameters_version(parameters), 304, 600);
    parameters_free(parameters);
    temporary_remove(folder);
}

static void test_load__no_such_configuration__is_eio(void **state)
{
    struct parameters *parameters = NULL;
    char *folder = temporary_make();
    char path[1000];

    (void)state;
    assert_non_null(folder);
    snprintf(path, sizeof(path), "%s/missing", folder);
    assert_result(parameters_load(path, &parameters), EIO);
    assert_null(parameters);
    temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__lines__are_names_and_values),
        cmocka_unit_test(test_parse__nothing__has_fallbacks_only),
        cmocka_unit_test(test_set__known_and_new__replace_and_add),
        cmocka_unit_test(test_bool__anything_else__is_the_fallback),
        cmocka_unit_test(test_number__junk__is_the_fallback),
        cmocka_unit_test(test_time__each_unit__is_seconds),
        cmocka_unit_test(test_transport_number__own_default_fallback__in_turn),
        cmocka_unit_test(test_load__real_postconf__fills_in_and_expands),
        cmocka_unit_test(test_load__no_such_configuration__is_eio),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
