/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmgr/gate_hold.h"
#include "qmgr/gate_milters.h"
#include "tests/temporary.h"

#define QUEUE_DIRECTORY "/var/spool/postfix"
#define OURS            "unix:/var/spool/postfix/syncqmilter/sock"

static int follows(const char *list)
{
    return gate_milters_follow(list, OURS, QUEUE_DIRECTORY);
}

static void test_milters__ours_is_last__is_fine(void **state)
{
    (void)state;
    assert_false(follows(""));
    assert_false(follows("unix:syncqmilter/sock"));
    assert_false(follows("inet:localhost:8891, unix:syncqmilter/sock"));
    assert_false(follows("inet:localhost:8891 { unix:syncqmilter/sock, "
                         "default_action=accept }"));
    assert_false(follows("local:syncqmilter/sock"));
}

static void test_milters__another_after_ours__is_found(void **state)
{
    (void)state;
    assert_true(follows("unix:syncqmilter/sock, inet:localhost:8891"));
    assert_true(follows("{unix:/var/spool/postfix/syncqmilter/sock, "
                        "default_action=accept} {inet:localhost:8891}"));
}

static void test_milters__ours_is_not_there__is_fine(void **state)
{
    (void)state;
    assert_false(follows("inet:localhost:8891, inet:localhost:8892"));
}

static void test_milters__inet_socket__both_ways_to_write_it(void **state)
{
    (void)state;
    assert_true(gate_milters_follow("inet:localhost:7777 inet:localhost:1",
                                    "inet:7777@localhost", QUEUE_DIRECTORY));
    assert_false(gate_milters_follow("inet:localhost:1 inet:localhost:7777",
                                     "inet:7777@localhost", QUEUE_DIRECTORY));
}

static int can_hold(const char *text)
{
    char where[64];

    return gate_hold_find(text, where, sizeof(where));
}

static void test_hold__in_the_configuration_itself__is_found(void **state)
{
    (void)state;
    assert_true(can_hold("check_sender_access static:HOLD"));
    assert_true(can_hold("check_client_access inline:{ x.example = HOLD }"));
    assert_true(
        can_hold("check_client_access inline:{ {x.example = hold for now} }"));
    assert_true(can_hold("permit_mynetworks, check_sender_access "
                         "{ static:HOLD, default_action=DUNNO } reject"));
}

static void test_hold__similar_words__are_not_found(void **state)
{
    (void)state;
    assert_false(can_hold(""));
    assert_false(can_hold("permit_mynetworks, reject"));
    assert_false(can_hold("check_client_access inline:{ x = OK }"));
    assert_false(can_hold("check_client_access inline:{ x = REJECT HOLDING }"));
    assert_false(can_hold("check_sender_access static:REJECT"));
    assert_false(can_hold("hash:/nowhere/to/be/found"));
}

static void test_hold__in_a_table_file__is_found(void **state)
{
    char *folder = temporary_make();
    char path[256], map[300];
    FILE *file;

    (void)state;
    assert_non_null(folder);
    (void)snprintf(path, sizeof(path), "%s/access", folder);
    (void)snprintf(map, sizeof(map), "check_client_access hash:%s", path);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("# x HOLD\nhold.example OK\n", file);
    (void)fclose(file);
    assert_false(can_hold(map));
    file = fopen(path, "a");
    assert_non_null(file);
    (void)fputs("bad.example\thold suspicious\n", file);
    (void)fclose(file);
    assert_true(can_hold(map));
    temporary_remove(folder);
}

static void test_hold_in_lines__only_after_the_key(void **state)
{
    (void)state;
    assert_true(gate_hold_in_lines("/^Subject: x/ HOLD\n"));
    assert_true(gate_hold_in_lines("a OK\nb HOLD"));
    assert_false(gate_hold_in_lines("HOLD OK\n"));
    assert_false(gate_hold_in_lines("#b HOLD\n"));
    assert_false(gate_hold_in_lines(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_milters__ours_is_last__is_fine),
        cmocka_unit_test(test_milters__another_after_ours__is_found),
        cmocka_unit_test(test_milters__ours_is_not_there__is_fine),
        cmocka_unit_test(test_milters__inet_socket__both_ways_to_write_it),
        cmocka_unit_test(test_hold__in_the_configuration_itself__is_found),
        cmocka_unit_test(test_hold__similar_words__are_not_found),
        cmocka_unit_test(test_hold__in_a_table_file__is_found),
        cmocka_unit_test(test_hold_in_lines__only_after_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
