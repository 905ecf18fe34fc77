/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "module/index_format.h"
#include "qmgr/message.h"

#define MANY 5000 /* more than the first size of the table */

static void test_add__many__each_is_found_by_both_keys(void **state)
{
    struct message_table table = {0};
    char id[32];
    uint64_t i;

    (void)state;
    for (i = 1; i <= MANY; i++) {
        struct message *message = message_add_queue(&table, 0, i << 40, 1);

        (void)snprintf(id, sizeof(id), "ID%llu", (unsigned long long)i);
        message_set_id(&table, message, id);
    }
    for (i = 1; i <= MANY; i++) {
        struct message *message = message_find_sequence(&table, 0, i << 40);

        (void)snprintf(id, sizeof(id), "ID%llu", (unsigned long long)i);
        assert_non_null(message);
        assert_string_equal(message->queue_id, id);
        assert_ptr_equal(message_find_id(&table, id), message);
    }
    assert_null(message_find_sequence(&table, 0, MANY + 1));
    assert_null(message_find_id(&table, "nobody"));
    message_table_clear(&table);
}

static void test_add__new_message__no_part_has_been_seen(void **state)
{
    struct message_table table = {0};
    struct message *one = message_add_queue(&table, 0, 1, 1);
    struct message *three = message_add_queue(&table, 0, 2, 3);

    (void)state;
    assert_int_equal(one->stage, MESSAGE_PARTIAL);
    assert_int_equal(message_slots(one)[0], SYNCQ_SLOT_NONE);
    assert_int_equal(message_slots(three)[2], SYNCQ_SLOT_NONE);
    message_table_clear(&table);
}

static void test_find_id__same_id_twice__both_are_found(void **state)
{
    struct message_table table = {0};
    struct message *queue = message_add_queue(&table, 0, 7, 1);
    struct message *file = message_add_file(&table, "SAME01");
    struct message *first, *second;

    (void)state;
    message_set_id(&table, queue, "SAME01");
    first = message_find_id(&table, "SAME01");
    second = message_next_id(first);
    assert_true((first == queue && second == file) ||
                (first == file && second == queue));
    assert_null(message_next_id(second));
    message_remove(&table, file);
    assert_ptr_equal(message_find_id(&table, "SAME01"), queue);
    assert_null(message_next_id(queue));
    message_table_clear(&table);
}

static void test_remove__message__is_forgotten(void **state)
{
    struct message_table table = {0};
    struct message *message = message_add_queue(&table, 0, 7, 2);

    (void)state;
    message_set_id(&table, message, "GONE01");
    message_remove(&table, message);
    assert_null(message_find_sequence(&table, 0, 7));
    assert_null(message_find_id(&table, "GONE01"));
    assert_int_equal(table.id_count, 0);
    assert_int_equal(table.sequence_count, 0);
    message_table_clear(&table);
}

struct visit {
    struct message_table *table;
    unsigned count;
};

static void remove_each(struct message *message, void *context)
{
    struct visit *visit = context;

    visit->count++;
    message_remove(visit->table, message);
}

static void test_visit__visitor_removes__all_are_visited(void **state)
{
    struct message_table table = {0};
    struct visit visit = {.table = &table};
    uint64_t i;

    (void)state;
    for (i = 1; i <= MANY; i++)
        (void)message_add_queue(&table, 0, i, 1);
    (void)message_add_file(&table, "FILE01");
    message_visit_queue(&table, remove_each, &visit);
    assert_int_equal(visit.count, MANY);
    assert_non_null(message_find_id(&table, "FILE01"));
    message_table_clear(&table);
}

static void test_find_sequence__same_in_two_files__each_is_found(void **state)
{
    struct message_table table = {0};
    struct message *first = message_add_queue(&table, 0, 7, 1);
    struct message *second = message_add_queue(&table, 63, 7, 1);

    (void)state;
    assert_ptr_equal(message_find_sequence(&table, 0, 7), first);
    assert_ptr_equal(message_find_sequence(&table, 63, 7), second);
    assert_null(message_find_sequence(&table, 1, 7));
    message_remove(&table, first);
    assert_null(message_find_sequence(&table, 0, 7));
    assert_ptr_equal(message_find_sequence(&table, 63, 7), second);
    message_table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__many__each_is_found_by_both_keys),
        cmocka_unit_test(test_add__new_message__no_part_has_been_seen),
        cmocka_unit_test(test_find_id__same_id_twice__both_are_found),
        cmocka_unit_test(test_find_sequence__same_in_two_files__each_is_found),
        cmocka_unit_test(test_remove__message__is_forgotten),
        cmocka_unit_test(test_visit__visitor_removes__all_are_visited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
