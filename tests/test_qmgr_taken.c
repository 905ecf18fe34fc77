/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <time.h>

#include "qmgr/taken.h"
#include "tests/temporary.h"

static struct taken *taken_in(const char *directory)
{
    struct files_one one = {(char *)(uintptr_t)directory, 0};
    struct files files = {&one, 1};

    return taken_new(&files);
}

static int setup(void **state)
{
    *state = temporary_make();
    return *state == NULL;
}

static int teardown(void **state)
{
    temporary_remove(*state);
    return 0;
}

static void test_has__id_and_arrival__both_count(void **state)
{
    struct taken *taken = taken_in(*state);

    taken_add(taken, "ABC123", "1000 5", 0);
    assert_true(taken_has(taken, "ABC123", "1000 5"));
    assert_false(taken_has(taken, "ABC123", "1000 6"));
    assert_false(taken_has(taken, "ABC124", "1000 5"));
    taken_free(taken);
}

static void test_new__after_a_restart__only_the_lasting_are_known(void **state)
{
    struct taken *taken = taken_in(*state);

    taken_add(taken, "LASTS1", "1000 5", 1);
    taken_add(taken, "LASTS2", "1001 5", 1);
    taken_add(taken, "GOES01", "1000 5", 0);
    taken_free(taken);
    taken = taken_in(*state);
    assert_true(taken_has(taken, "LASTS1", "1000 5"));
    assert_true(taken_has(taken, "LASTS2", "1001 5"));
    assert_false(taken_has(taken, "GOES01", "1000 5"));
    taken_free(taken);
}

static void test_new__old_and_torn_lines__are_passed_over(void **state)
{
    char path[256];
    struct taken *taken;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/" TAKEN_FILE, (char *)*state);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "%ld OLD001@1.2\n", (long)time(NULL) - 90000);
    (void)fprintf(file, "nonsense\n");
    (void)fprintf(file, "%ld GOOD01@1.2\n", (long)time(NULL));
    (void)fprintf(file, "%ld TORN01@1.2", (long)time(NULL));
    (void)fclose(file);
    taken = taken_in(*state);
    assert_false(taken_has(taken, "OLD001", "1 2"));
    assert_true(taken_has(taken, "GOOD01", "1 2"));
    assert_false(taken_has(taken, "TORN01", "1 2"));
    taken_free(taken);
}

static void test_new__no_directory__memory_serves(void **state)
{
    struct taken *taken = taken_in("/nowhere/at/all");

    (void)state;
    taken_add(taken, "ABC123", "1000 5", 1);
    assert_true(taken_has(taken, "ABC123", "1000 5"));
    taken_free(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_has__id_and_arrival__both_count,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_new__after_a_restart__only_the_lasting_are_known, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_new__old_and_torn_lines__are_passed_over, setup, teardown),
        cmocka_unit_test(test_new__no_directory__memory_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
