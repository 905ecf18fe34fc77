/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "qmgr/arguments.h"

static int parse(const char *const *words, struct arguments *arguments)
{
    char *argv[16] = {NULL};
    char error[128] = "";
    int argc = 0, result;

    while (words[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    optind = 1;
    result = arguments_parse(argc, argv, arguments, error, sizeof(error));
    assert_true((result == 0) == (error[0] == '\0'));
    return result;
}

static void test_parse__what_master_gives__is_understood(void **state)
{
    const char *const words[] = {
        "syncq-qmgr", "-l",      "-n",
        "qmgr",       "-t",      "unix",
        "-u",         "-o",      "syncq_config_file=/x/syncq.conf",
        "-o",         "a = b c", "-o",
        "a=d",        NULL};
    struct arguments arguments;

    (void)state;
    assert_result(parse(words, &arguments), 0);
    assert_true(arguments.sole);
    assert_false(arguments.is_fifo);
    assert_int_equal(arguments.listen_count, 1);
    assert_string_equal(arguments.config_file, "/x/syncq.conf");
    assert_string_equal(arguments.overrides->name, "a");
    assert_string_equal(arguments.overrides->value, "b c");
    assert_string_equal(arguments.overrides->next->value, "d");
    assert_null(arguments.overrides->next->next);
    arguments_clear(&arguments);
}

static void test_parse__fifo_and_more_sockets__are_understood(void **state)
{
    const char *const words[] = {"qmgr", "-l", "-t", "fifo", "-s", "3", NULL};
    struct arguments arguments;

    (void)state;
    assert_result(parse(words, &arguments), 0);
    assert_true(arguments.is_fifo);
    assert_int_equal(arguments.listen_count, 3);
    assert_null(arguments.config_file);
    arguments_clear(&arguments);
}

static void test_parse__nonsense__is_refused(void **state)
{
    static const char *const lines[][4] = {
        {"qmgr", "-X", NULL},
        {"qmgr", "word", NULL},
        {"qmgr", "-o", "novalue", NULL},
        {"qmgr", "-o", "=value", NULL},
        {"qmgr", "-s", "0", NULL},
        {"qmgr", "-s", "1000000", NULL},
    };
    struct arguments arguments;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_result(parse(lines[i], &arguments), EX_USAGE);
        arguments_clear(&arguments);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__what_master_gives__is_understood),
        cmocka_unit_test(test_parse__fifo_and_more_sockets__are_understood),
        cmocka_unit_test(test_parse__nonsense__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
