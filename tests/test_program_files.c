/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "module/error.h"
#include "program/files.h"
#include "tests/queue_fixture.h"
#include "tests/temporary.h"

static struct config make_config(char *usual, char *files, char *drain)
{
    struct config config = {.queue_directory = usual,
                            .queue_files = files,
                            .drain_files = drain,
                            .run_directory = (char *)(uintptr_t) "/run"};

    return config;
}

static void read_files(char *files, char *drain, struct files *read)
{
    char usual[] = "/var/my queue/";
    struct config config = make_config(usual, files, drain);
    char error[200];

    assert_int_equal(files_read(&config, read, error, sizeof(error)), 0);
}

static void test_read__nothing_listed__the_usual_directory(void **state)
{
    char empty[] = "";
    struct files files;

    (void)state;
    read_files(empty, empty, &files);
    assert_int_equal(files.count, 1);
    assert_string_equal(files.list[0].directory, "/var/my queue");
    assert_int_equal(files.list[0].drain, 0);
    files_clear(&files);
}

static void test_read__list__in_order_and_each_once(void **state)
{
    char list[] = "/b, /a/\t/b/ ,/c", drain[] = "/a /d";
    struct files files;

    (void)state;
    read_files(list, drain, &files);
    assert_int_equal(files.count, 4);
    assert_string_equal(files.list[0].directory, "/b");
    assert_int_equal(files.list[0].drain, 0);
    assert_string_equal(files.list[1].directory, "/a");
    assert_int_equal(files.list[1].drain, 1);
    assert_string_equal(files.list[2].directory, "/c");
    assert_string_equal(files.list[3].directory, "/d");
    assert_int_equal(files.list[3].drain, 1);
    assert_ptr_equal(files_find(&files, "/c//"), &files.list[2]);
    assert_null(files_find(&files, "/var/my queue"));
    files_clear(&files);
}

static void test_read__only_drain__adds_to_the_usual(void **state)
{
    char empty[] = "", drain[] = "/old";
    struct files files;

    (void)state;
    read_files(empty, drain, &files);
    assert_int_equal(files.count, 2);
    assert_int_equal(files.list[0].drain, 0);
    assert_int_equal(files.list[1].drain, 1);
    files_clear(&files);
}

static void test_read__too_many__is_an_error(void **state)
{
    char usual[] = "/q", empty[] = "", list[16 * (SYNCQ_FILES_MAX + 1)] = "";
    struct config config = make_config(usual, list, empty);
    struct files files;
    char error[200];
    unsigned i;

    (void)state;
    for (i = 0; i <= SYNCQ_FILES_MAX; i++)
        (void)snprintf(list + strlen(list), 16, "/disk%u ", i);
    assert_int_equal(files_read(&config, &files, error, sizeof(error)),
                     EX_CONFIG);
    assert_non_null(strstr(error, "64"));
}

static void test_config__usual_directory__keeps_the_run_directory(void **state)
{
    char usual[] = "/nowhere/q/", empty[] = "";
    struct config config = make_config(usual, empty, empty), one;

    (void)state;
    assert_int_equal(files_config(&config, "/nowhere/q", &one), 0);
    assert_string_equal(one.queue_directory, "/nowhere/q");
    assert_string_equal(one.run_directory, "/run");
    files_config_clear(&one);
}

static void test_config__other_directory__run_directory_by_uuid(void **state)
{
    struct fixture *fixture = *state;
    char usual[] = "/nowhere/q", empty[] = "", expected[64];
    struct config config = make_config(usual, empty, empty), one;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    char text[FILES_UUID_TEXT_SIZE];

    assert_int_equal(syncq_queue_uuid(fixture->queue, uuid), 0);
    files_uuid_text(uuid, text);
    (void)snprintf(expected, sizeof(expected), "/run/%s", text);
    assert_int_equal(files_config(&config, fixture->queue, &one), 0);
    assert_string_equal(one.queue_directory, fixture->queue);
    assert_string_equal(one.run_directory, expected);
    files_config_clear(&one);
}

static void test_config__no_queue_there__says_so(void **state)
{
    char usual[] = "/nowhere/q", empty[] = "";
    struct config config = make_config(usual, empty, empty), one;

    (void)state;
    assert_int_equal(files_config(&config, "/nowhere/else", &one),
                     SYNCQ_ERR_NO_QUEUE);
    assert_string_equal(one.queue_directory, "/nowhere/else");
    assert_string_equal(one.run_directory, "/run");
    files_config_clear(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__nothing_listed__the_usual_directory),
        cmocka_unit_test(test_read__list__in_order_and_each_once),
        cmocka_unit_test(test_read__only_drain__adds_to_the_usual),
        cmocka_unit_test(test_read__too_many__is_an_error),
        cmocka_unit_test(test_config__usual_directory__keeps_the_run_directory),
        cmocka_unit_test_setup_teardown(
            test_config__other_directory__run_directory_by_uuid, fixture_setup,
            fixture_teardown),
        cmocka_unit_test(test_config__no_queue_there__says_so),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown) != 0;
}
