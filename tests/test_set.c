/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/set.h"
#include "tests/temporary.h"

static const uint8_t one[SYNCQ_UUID_SIZE] = {1, 0xab},
                     two[SYNCQ_UUID_SIZE] = {2, 0xcd},
                     three[SYNCQ_UUID_SIZE] = {3};

static int setup(void **state)
{
    *state = temporary_make();
    return *state == NULL || chmod(*state, 0700) != 0;
}

static int teardown(void **state)
{
    temporary_remove(*state);
    return 0;
}

static void overwrite(const char *directory, const char *text)
{
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_SET_FILE, directory);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static void fill(struct syncq_set *set)
{
    *set = (struct syncq_set){.count = 0};
    assert_int_equal(syncq_set_put(set, one, "/disk 1/q", SYNCQ_SET_USED), 0);
    assert_int_equal(syncq_set_put(set, two, "/disk2", SYNCQ_SET_DRAINING), 0);
}

static void test_write__read_again__the_same(void **state)
{
    struct syncq_set set, copy;

    fill(&set);
    assert_int_equal(syncq_set_write(*state, &set), 0);
    assert_int_equal(syncq_set_read(*state, &copy), 0);
    assert_int_equal(copy.count, 2);
    assert_true(copy.generation == 2);
    assert_string_equal(syncq_set_find(&copy, one)->directory, "/disk 1/q");
    assert_int_equal(syncq_set_find(&copy, one)->state, SYNCQ_SET_USED);
    assert_int_equal(syncq_set_find(&copy, two)->state, SYNCQ_SET_DRAINING);
    assert_null(syncq_set_find(&copy, three));
    syncq_set_clear(&copy);
    syncq_set_remove(&set, one);
    assert_int_equal(syncq_set_write(*state, &set), 0);
    assert_int_equal(syncq_set_read(*state, &copy), 0);
    assert_int_equal(copy.count, 1);
    assert_null(syncq_set_find(&copy, one));
    syncq_set_clear(&copy);
    syncq_set_clear(&set);
}

static void test_read__no_file__is_empty(void **state)
{
    struct syncq_set set;

    assert_int_equal(syncq_set_read(*state, &set), 0);
    assert_int_equal(set.count, 0);
    assert_true(set.generation == 0);
    assert_int_equal(syncq_set_read("/nowhere/at/all", &set),
                     SYNCQ_ERR_NO_QUEUE);
}

static void test_read__not_whole__is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "nonsense\n",
        "syncq set 1 x\nend\n",
        "syncq set 1 7\n",
        "syncq set 1 7\n00000000000000000000000000000001 used /q\n",
        "syncq set 1 7\n00000000000000000000000000000001 used /q",
        "syncq set 1 7\n0000000000000000000000000000001 used /q\nend\n",
        "syncq set 1 7\n0000000000000000000000000000000g used /q\nend\n",
        "syncq set 1 7\n00000000000000000000000000000001 new /q\nend\n",
        "syncq set 1 7\n00000000000000000000000000000001 used q\nend\n",
        "syncq set 1 7\n00000000000000000000000000000001 used\nend\n",
    };
    struct syncq_set set;
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        overwrite(*state, texts[i]);
        assert_int_equal(syncq_set_read(*state, &set), SYNCQ_ERR_MAGIC);
        assert_int_equal(set.count, 0);
    }
    overwrite(*state, "syncq set 2 7\nend\n");
    assert_int_equal(syncq_set_read(*state, &set), SYNCQ_ERR_VERSION);
    overwrite(*state, "syncq set 1 7\nend\n");
    assert_int_equal(syncq_set_read(*state, &set), 0);
    assert_true(set.generation == 7);
}

static void test_put__no_change__keeps_the_generation(void **state)
{
    struct syncq_set set;

    (void)state;
    fill(&set);
    assert_int_equal(syncq_set_put(&set, one, "/disk 1/q", SYNCQ_SET_USED), 0);
    assert_true(set.generation == 2);
    assert_int_equal(syncq_set_put(&set, one, "/other", SYNCQ_SET_USED), 0);
    assert_int_equal(syncq_set_put(&set, one, "/other", SYNCQ_SET_DRAINED), 0);
    assert_true(set.generation == 4);
    assert_int_equal(set.count, 2);
    syncq_set_clear(&set);
}

static void test_put__too_many__is_refused(void **state)
{
    struct syncq_set set = {.count = 0};
    uint8_t uuid[SYNCQ_UUID_SIZE] = {0};
    unsigned i;

    (void)state;
    for (i = 0; i < SYNCQ_FILES_MAX; i++) {
        uuid[3] = (uint8_t)i;
        assert_int_equal(syncq_set_put(&set, uuid, "/q", SYNCQ_SET_USED), 0);
    }
    uuid[3] = SYNCQ_FILES_MAX;
    assert_int_equal(syncq_set_put(&set, uuid, "/q", SYNCQ_SET_USED),
                     SYNCQ_ERR_RANGE);
    syncq_set_clear(&set);
}

static void test_merge__the_newer_counts(void **state)
{
    struct syncq_set set, copy;

    (void)state;
    fill(&set);
    fill(&copy);
    syncq_set_remove(&copy, one);
    assert_true(syncq_set_merge(&set, &copy));
    assert_int_equal(copy.count, 0);
    assert_int_equal(set.count, 1);
    fill(&copy);
    assert_false(syncq_set_merge(&set, &copy));
    assert_int_equal(copy.count, 0);
    assert_int_equal(set.count, 1);
    syncq_set_clear(&set);
}

/* A crash while the file was written leaves the old one. */
static void test_write__left_over_of_a_crash__is_replaced(void **state)
{
    struct syncq_set set, copy;
    char path[512];
    FILE *file;

    fill(&set);
    assert_int_equal(syncq_set_write(*state, &set), 0);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_SET_FILE ".new",
                   (char *)*state);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("syncq se", file);
    (void)fclose(file);
    assert_int_equal(syncq_set_read(*state, &copy), 0);
    assert_int_equal(copy.count, 2);
    syncq_set_clear(&copy);
    assert_int_equal(syncq_set_write(*state, &set), 0);
    assert_int_equal(access(path, F_OK), -1);
    syncq_set_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write__read_again__the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_read__no_file__is_empty, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_read__not_whole__is_refused, setup,
                                        teardown),
        cmocka_unit_test(test_put__no_change__keeps_the_generation),
        cmocka_unit_test(test_put__too_many__is_refused),
        cmocka_unit_test(test_merge__the_newer_counts),
        cmocka_unit_test_setup_teardown(
            test_write__left_over_of_a_crash__is_replaced, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
