/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/options.h"
#include "tests/temporary.h"

#define ARGUMENTS_MAX 10

static const struct options_text plain = {
    .program = "syncq-test", .summary = "Test.", .details = "More.\n"};
static const struct options_text with_verbs = {
    .program = "syncq", .summary = "Test.", .arguments = "VERB"};

struct fixture {
    char *folder;
    char path[1000];
    char output[4000]; /* what the last call printed */
    struct options options;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    FILE *file;

    *state = fixture;
    if (!fixture)
        return -1;
    fixture->folder = temporary_make();
    if (!fixture->folder)
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/syncq.conf",
             fixture->folder);
    file = fopen(fixture->path, "w");
    if (!file)
        return -1;
    fputs("gap_max = 2M\nmail_owner = nobody\n", file);
    return fclose(file);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    options_clear(&fixture->options);
    temporary_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* Parse, with standard output and error going to fixture->output. */
static int parse(struct fixture *fixture, const struct options_text *text,
                 int argc, const char *const *arguments)
{
    char copies[ARGUMENTS_MAX][1000], *argv[ARGUMENTS_MAX + 1];
    FILE *capture = tmpfile();
    int saved_output = dup(STDOUT_FILENO), saved_error = dup(STDERR_FILENO);
    int i, result;

    assert_non_null(capture);
    for (i = 0; i < argc; i++) {
        snprintf(copies[i], sizeof(copies[i]), "%s", arguments[i]);
        argv[i] = copies[i];
    }
    argv[argc] = NULL;
    fflush(NULL);
    dup2(fileno(capture), STDOUT_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    options_clear(&fixture->options);
    result = options_parse(argc, argv, text, &fixture->options);
    fflush(NULL);
    dup2(saved_output, STDOUT_FILENO);
    dup2(saved_error, STDERR_FILENO);
    close(saved_output);
    close(saved_error);
    rewind(capture);
    fixture->output[fread(fixture->output, 1, sizeof(fixture->output) - 1,
                          capture)] = 0;
    fclose(capture);
    return result;
}

#define PARSE(text, ...)                                                       \
    parse(fixture, text,                                                       \
          (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),       \
          (const char *const[]){__VA_ARGS__})

static void test_parse__overrides__win_over_the_file(void **state)
{
    struct fixture *fixture = *state;

    assert_result(PARSE(&plain, "x", "-o", "gap_max=3M", "-e", "-c",
                        fixture->path, "-o", "run_directory=/a=b"),
                  0);
    assert_int_equal(fixture->options.config.gap_max, 3 << 20);
    assert_string_equal(fixture->options.config.mail_owner, "nobody");
    assert_string_equal(fixture->options.config.run_directory, "/a=b");
    assert_true(fixture->options.to_stderr);
    assert_string_equal(fixture->output, "");
    assert_result(PARSE(&plain, "x", "-c", fixture->path), 0);
    assert_int_equal(fixture->options.config.gap_max, 2 << 20);
    assert_false(fixture->options.to_stderr);
}

static void test_parse__verb__ends_the_options(void **state)
{
    struct fixture *fixture = *state;

    assert_result(
        PARSE(&with_verbs, "x", "-c", fixture->path, "list", "-e", "--json"),
        0);
    assert_int_equal(fixture->options.first_argument, 3);
    assert_false(fixture->options.to_stderr);
    assert_result(PARSE(&with_verbs, "x", "-c", fixture->path), 0);
    assert_int_equal(fixture->options.first_argument, 3);
}

static void test_parse__usage_errors__are_one_line(void **state)
{
    struct fixture *fixture = *state;

    assert_result(PARSE(&plain, "x", "-z"), EX_USAGE);
    assert_string_equal(
        fixture->output,
        "syncq-test: unknown option -z; try 'syncq-test --help'\n");
    assert_result(PARSE(&plain, "x", "--zap"), EX_USAGE);
    assert_non_null(strstr(fixture->output, "unknown option --zap;"));
    assert_result(PARSE(&plain, "x", "-c"), EX_USAGE);
    assert_non_null(strstr(fixture->output, "a value is missing after -c;"));
    assert_result(PARSE(&plain, "x", "-o", "gap_max"), EX_USAGE);
    assert_non_null(strstr(fixture->output, "-o needs name=value"));
    assert_result(PARSE(&plain, "x", "-c", fixture->path, "extra"), EX_USAGE);
    assert_non_null(strstr(fixture->output, "unexpected argument extra;"));
}

static void test_parse__bad_configuration__is_one_line(void **state)
{
    struct fixture *fixture = *state;

    assert_result(PARSE(&plain, "x", "-c", fixture->path, "-o", "gap_max=x"),
                  EX_CONFIG);
    assert_string_equal(fixture->output,
                        "syncq-test: gap_max = x: expected bytes, as 4096, "
                        "64k, 8M or 1G\n");
    assert_result(PARSE(&plain, "x", "-c", fixture->path, "-o", "gap=1"),
                  EX_CONFIG);
    assert_result(PARSE(&plain, "x", "-c", "/no/such/file"), EX_NOINPUT);
    assert_string_equal(
        fixture->output,
        "syncq-test: /no/such/file: No such file or directory\n");
}

static void test_parse__help_and_version__are_answered(void **state)
{
    struct fixture *fixture = *state;

    assert_result(PARSE(&plain, "x", "--help"), OPTIONS_DONE);
    assert_non_null(strstr(fixture->output, "Usage: syncq-test [-e]"));
    assert_non_null(strstr(fixture->output, "\nMore.\n"));
    assert_result(PARSE(&with_verbs, "x", "--version"), OPTIONS_DONE);
    assert_memory_equal(fixture->output, "syncq ", 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_parse__overrides__win_over_the_file),
        TEST(test_parse__verb__ends_the_options),
        TEST(test_parse__usage_errors__are_one_line),
        TEST(test_parse__bad_configuration__is_one_line),
        TEST(test_parse__help_and_version__are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
