/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/groups.h"
#include "module/limits.h"
#include "tests/temporary.h"

static int make_groups(void **state)
{
    struct syncq_groups *groups = NULL;
    int result = syncq_groups_new(1000, &groups);

    *state = groups;
    return result;
}

static int make_large_groups(void **state)
{
    struct syncq_groups *groups = NULL;
    int result = syncq_groups_new(200000, &groups);

    *state = groups;
    return result;
}

static int free_groups(void **state)
{
    syncq_groups_free(*state);
    return 0;
}

/* What a walk has seen, one line a pair; it ends after lines_max of them. */
struct seen {
    char text[2000];
    int lines, lines_max;
};

static int note(const char *domain, uint32_t next_attempt_s, uint32_t slot,
                void *context)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof(seen->text) - used, "%s %u %u\n", domain,
             next_attempt_s, slot);
    return ++seen->lines == seen->lines_max;
}

static void assert_walk(struct syncq_groups *groups, const char *domain,
                        int lines_max, const char *expected)
{
    struct seen seen = {.lines_max = lines_max};

    assert_result(syncq_groups_walk(groups, domain, note, &seen), 0);
    assert_string_equal(seen.text, expected);
}

static void assert_count(struct syncq_groups *groups, const char *domain,
                         uint32_t expected, uint32_t expected_earliest_s)
{
    uint32_t count = 77, earliest_s = 77;

    assert_result(syncq_groups_count(groups, domain, &count, &earliest_s), 0);
    assert_int_equal(count, expected);
    assert_int_equal(earliest_s, expected_earliest_s);
}

static void add_some(struct syncq_groups *groups)
{
    assert_result(syncq_groups_add(groups, "b.example", 300, 1), 0);
    assert_result(syncq_groups_add(groups, "a.example", 200, 2), 0);
    assert_result(syncq_groups_add(groups, "b.example", 70000, 3), 0);
    assert_result(syncq_groups_add(groups, "b.example", 5, 4), 0);
    assert_result(syncq_groups_add(groups, "", 9, 5), 0);
    assert_result(syncq_groups_add(groups, "b.example", 5, 0x01000000), 0);
    assert_result(syncq_groups_add(groups, "b.example.org", 1, 6), 0);
}

static void test_walk__one_domain__earliest_first(void **state)
{
    add_some(*state);
    assert_walk(*state, "b.example", -1,
                "b.example 5 4\nb.example 5 16777216\nb.example 300 1\n"
                "b.example 70000 3\n");
    assert_walk(*state, "", -1, " 9 5\n");
}

static void test_walk__all_domains__in_order(void **state)
{
    add_some(*state);
    assert_walk(*state, NULL, -1,
                " 9 5\na.example 200 2\n"
                "b.example 5 4\nb.example 5 16777216\nb.example 300 1\n"
                "b.example 70000 3\nb.example.org 1 6\n");
}

static void test_walk__visitor_says_stop__ends_there(void **state)
{
    add_some(*state);
    assert_walk(*state, NULL, 2, " 9 5\na.example 200 2\n");
    assert_walk(*state, "b.example", 1, "b.example 5 4\n");
}

static void test_walk__nothing_there__no_visit(void **state)
{
    assert_walk(*state, NULL, -1, "");
    assert_walk(*state, "b.example", -1, "");
    add_some(*state);
    assert_walk(*state, "b.exampl", -1, "");
    assert_walk(*state, "c", -1, "");
}

static void test_count__some_pairs__number_and_earliest(void **state)
{
    add_some(*state);
    assert_count(*state, "b.example", 4, 5);
    assert_count(*state, "a.example", 1, 200);
    assert_count(*state, "", 1, 9);
}

static void test_count__unknown_domain__is_zero(void **state)
{
    assert_count(*state, "a.example", 0, 0);
    add_some(*state);
    assert_count(*state, "A.example", 0, 0);
}

static void test_add__twice__is_there_once(void **state)
{
    assert_result(syncq_groups_add(*state, "a", 1, 2), 0);
    assert_result(syncq_groups_add(*state, "a", 1, 2), 0);
    assert_count(*state, "a", 1, 1);
}

static void test_remove__one_pair__others_stay(void **state)
{
    add_some(*state);
    assert_result(syncq_groups_remove(*state, "b.example", 5, 4), 0);
    assert_walk(*state, "b.example", -1,
                "b.example 5 16777216\nb.example 300 1\nb.example 70000 3\n");
    assert_result(syncq_groups_remove(*state, "a.example", 200, 2), 0);
    assert_count(*state, "a.example", 0, 0);
}

static void test_remove__not_there__changes_nothing(void **state)
{
    add_some(*state);
    assert_result(syncq_groups_remove(*state, "b.example", 5, 5), 0);
    assert_result(syncq_groups_remove(*state, "b.example", 6, 4), 0);
    assert_result(syncq_groups_remove(*state, "none", 5, 4), 0);
    assert_count(*state, "b.example", 4, 5);
}

static void test_numbers__largest__sort_as_numbers(void **state)
{
    assert_result(syncq_groups_add(*state, "a", UINT32_MAX, 0), 0);
    assert_result(syncq_groups_add(*state, "a", 0x7fffffff, UINT32_MAX), 0);
    assert_result(syncq_groups_add(*state, "a", 0x80000000, 255), 0);
    assert_result(syncq_groups_add(*state, "a", 0x80000000, 256), 0);
    assert_result(syncq_groups_add(*state, "a", 0, 7), 0);
    assert_walk(*state, "a", -1,
                "a 0 7\na 2147483647 4294967295\na 2147483648 255\n"
                "a 2147483648 256\na 4294967295 0\n");
}

static void test_domain__as_long_as_an_address__works(void **state)
{
    char *domain = calloc(1, SYNCQ_TEXT_SIZE_MAX + 1);

    assert_non_null(domain);
    memset(domain, 'x', SYNCQ_TEXT_SIZE_MAX);
    assert_result(syncq_groups_add(*state, domain, 1, 2), 0);
    assert_result(syncq_groups_add(*state, domain, 3, 4), 0);
    assert_count(*state, domain, 2, 1);
    domain[SYNCQ_TEXT_SIZE_MAX - 1] = 'y';
    assert_count(*state, domain, 0, 0);
    domain[SYNCQ_TEXT_SIZE_MAX - 1] = 'x';
    assert_result(syncq_groups_remove(*state, domain, 1, 2), 0);
    assert_count(*state, domain, 1, 3);
    free(domain);
}

/* Count what a walk sees and that it never goes backwards. */
struct order {
    uint32_t count, last_s, last_slot;
    int wrong;
};

static int check_order(const char *domain, uint32_t next_attempt_s,
                       uint32_t slot, void *context)
{
    struct order *order = context;

    (void)domain;
    if (order->count++ &&
        (next_attempt_s < order->last_s ||
         (next_attempt_s == order->last_s && slot <= order->last_slot)))
        order->wrong = 1;
    order->last_s = next_attempt_s;
    order->last_slot = slot;
    return 0;
}

/* Times without order, the same for the same number. */
static uint32_t time_of(uint32_t i)
{
    return i * UINT32_C(2654435761) >> 12;
}

static void test_one_domain__hundred_thousand_pairs__all_in_order(void **state)
{
    struct syncq_groups *groups = *state;
    struct order order = {0};
    uint32_t i, earliest_s = UINT32_MAX;

    for (i = 0; i < 100000; i++) {
        assert_result(syncq_groups_add(groups, "big", time_of(i), i), 0);
        assert_result(syncq_groups_add(groups, "other", 1, i), 0);
        if (i % 2 == 0 && time_of(i) < earliest_s)
            earliest_s = time_of(i);
    }
    assert_result(syncq_groups_walk(groups, "big", check_order, &order), 0);
    assert_int_equal(order.count, 100000);
    assert_false(order.wrong);
    for (i = 1; i < 100000; i += 2)
        assert_result(syncq_groups_remove(groups, "big", time_of(i), i), 0);
    order = (struct order){0};
    assert_result(syncq_groups_walk(groups, "big", check_order, &order), 0);
    assert_int_equal(order.count, 50000);
    assert_false(order.wrong);
    assert_count(groups, "big", 50000, earliest_s);
    assert_count(groups, "other", 100000, 1);
}

/* Add long domains until the memory planned for has run out. */
static int fill(struct syncq_groups *groups)
{
    char domain[1001];
    uint32_t i;
    int result = 0;

    memset(domain, 'x', sizeof(domain) - 1);
    domain[sizeof(domain) - 1] = 0;
    for (i = 0; i < 1000000 && !result; i++) {
        snprintf(domain, 16, "%010u", i);
        domain[10] = 'x';
        result = syncq_groups_add(groups, domain, i, i);
    }
    return result;
}

static void test_memory__used_up__everything_fails_from_then_on(void **state)
{
    struct seen seen = {0};
    uint32_t count = 5, earliest_s = 6;

    assert_result(fill(*state), SYNCQ_ERR_GROUPS);
    assert_result(syncq_groups_add(*state, "a", 1, 1), SYNCQ_ERR_GROUPS);
    assert_result(syncq_groups_remove(*state, "a", 1, 1), SYNCQ_ERR_GROUPS);
    assert_result(syncq_groups_walk(*state, NULL, note, &seen),
                  SYNCQ_ERR_GROUPS);
    assert_int_equal(seen.lines, 0);
    assert_result(syncq_groups_count(*state, "a", &count, &earliest_s),
                  SYNCQ_ERR_GROUPS);
    assert_int_equal(count, 5);
    assert_int_equal(earliest_s, 6);
}

static void test_memory__used_up__nothing_on_standard_error(void **state)
{
    char *folder = temporary_make(), path[300];
    int saved = dup(STDERR_FILENO), fd, result;
    off_t size;

    assert_non_null(folder);
    snprintf(path, sizeof(path), "%s/stderr", folder);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0 && saved >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    result = fill(*state);
    (void)dup2(saved, STDERR_FILENO);
    size = lseek(fd, 0, SEEK_END);
    close(saved);
    close(fd);
    temporary_remove(folder);
    assert_result(result, SYNCQ_ERR_GROUPS);
    assert_int_equal(size, 0);
}

/* A DB_CONFIG that somebody left in the working directory must not count. */
static void test_new__db_config_lies_about__is_ignored(void **state)
{
    char *folder = temporary_make(), path[300];
    struct syncq_groups *groups = NULL;
    int before = open(".", O_RDONLY | O_DIRECTORY), result;
    FILE *file;

    (void)state;
    assert_non_null(folder);
    snprintf(path, sizeof(path), "%s/DB_CONFIG", folder);
    file = fopen(path, "w");
    assert_true(file && before >= 0);
    fputs("this is no configuration\n", file);
    fclose(file);
    assert_int_equal(chdir(folder), 0);
    result = syncq_groups_new(1, &groups);
    assert_int_equal(fchdir(before), 0);
    close(before);
    temporary_remove(folder);
    assert_result(result, 0);
    assert_result(syncq_groups_add(groups, "a", 1, 1), 0);
    syncq_groups_free(groups);
}

static void test_free__null__is_fine(void **state)
{
    (void)state;
    syncq_groups_free(NULL);
}

#define GROUPS_TEST(test)                                                      \
    cmocka_unit_test_setup_teardown(test, make_groups, free_groups)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GROUPS_TEST(test_walk__one_domain__earliest_first),
        GROUPS_TEST(test_walk__all_domains__in_order),
        GROUPS_TEST(test_walk__visitor_says_stop__ends_there),
        GROUPS_TEST(test_walk__nothing_there__no_visit),
        GROUPS_TEST(test_count__some_pairs__number_and_earliest),
        GROUPS_TEST(test_count__unknown_domain__is_zero),
        GROUPS_TEST(test_add__twice__is_there_once),
        GROUPS_TEST(test_remove__one_pair__others_stay),
        GROUPS_TEST(test_remove__not_there__changes_nothing),
        GROUPS_TEST(test_numbers__largest__sort_as_numbers),
        GROUPS_TEST(test_domain__as_long_as_an_address__works),
        cmocka_unit_test_setup_teardown(
            test_one_domain__hundred_thousand_pairs__all_in_order,
            make_large_groups, free_groups),
        GROUPS_TEST(test_memory__used_up__everything_fails_from_then_on),
        GROUPS_TEST(test_memory__used_up__nothing_on_standard_error),
        cmocka_unit_test(test_new__db_config_lies_about__is_ignored),
        cmocka_unit_test(test_free__null__is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
