/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/index.h"
#include "module/listing.h"
#include "module/queue_internal.h"
#include "tests/temporary.h"

/* A queue whose index is written by hand: nothing runs. */
struct fixture {
    char *directory;
    struct syncq_queue *writer, *queue;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const struct syncq_create_options options = {
        .size = SYNCQ_SEGMENT_SIZE_MIN * SYNCQ_SEGMENT_COUNT_MIN,
        .entry_count = SYNCQ_ENTRY_COUNT_MIN,
        .allow_any_filesystem = 1,
    };

    if (!fixture)
        return 1;
    *state = fixture;
    fixture->directory = temporary_make();
    if (!fixture->directory ||
        syncq_queue_create(fixture->directory, &options) ||
        syncq_queue_open_files(fixture->directory, fixture->directory, 1,
                               &fixture->writer) ||
        syncq_index_open(fixture->writer->directory_fd, 1,
                         fixture->writer->key.uuid, &fixture->writer->index) ||
        syncq_queue_open(fixture->directory, fixture->directory,
                         SYNCQ_OPEN_READ, &fixture->queue))
        return 1;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    syncq_queue_close(fixture->queue);
    syncq_queue_close(fixture->writer);
    temporary_remove(fixture->directory);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, uint32_t slot, uint64_t sequence,
                uint32_t arrival_s, uint16_t part, unsigned status,
                const char *domain)
{
    struct syncq_entry_view view = {
        .sequence = sequence,
        .domain_hash = syncq_domain_hash(domain),
        .slot = slot,
        .arrival_s = arrival_s,
        .first_recipient = 3u * part,
        .part = part,
        .part_count = 9,
        .recipient_count = 3,
        .state = {.status = (uint8_t)status, .lsn = 77},
    };

    syncq_index_write_identity(&fixture->writer->index, &view);
}

/* The listing as text: "SEQUENCE:PARTS" of each message. */
static const char *listed(struct fixture *fixture, uint32_t statuses,
                          const char *domain)
{
    static char text[1024];
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    size_t used = 0;
    uint32_t i;

    assert_result(syncq_listing_new(fixture->queue, statuses,
                                    syncq_domain_hash(domain), &listing),
                  0);
    text[0] = 0;
    while (!syncq_listing_next(listing, &message)) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "%s%u:", used ? " " : "",
                                 (unsigned)message.sequence);
        for (i = 0; i < message.entry_count; i++) {
            assert_int_equal(message.entries[i].sequence, message.sequence);
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%u",
                                     message.entries[i].part);
        }
    }
    assert_result(syncq_listing_next(listing, &message), SYNCQ_ERR_RANGE);
    syncq_listing_free(listing);
    return text;
}

static void test_listing__empty_queue__has_nothing(void **state)
{
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, ""), "");
}

static void test_listing__slots_in_any_order__sorts_by_arrival(void **state)
{
    put(*state, 9, 1, 300, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 1, 2, 100, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 5, 3, 200, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 2, 4, 200, 0, SYNCQ_STATUS_READY, "a");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, ""),
                        "2:0 3:0 4:0 1:0");
}

static void test_listing__scattered_parts__are_one_message(void **state)
{
    put(*state, 8, 1, 100, 0, SYNCQ_STATUS_ACTIVE, "a");
    put(*state, 0, 2, 100, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 3, 1, 100, 2, SYNCQ_STATUS_DEFERRED, "c");
    put(*state, 1, 1, 100, 1, SYNCQ_STATUS_DEFERRED, "b");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, ""), "1:012 2:0");
}

static void test_listing__statuses__select_whole_messages(void **state)
{
    put(*state, 0, 1, 1, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 1, 1, 1, 1, SYNCQ_STATUS_HELD, "b");
    put(*state, 2, 2, 2, 0, SYNCQ_STATUS_HELD, "a");
    put(*state, 3, 3, 3, 0, SYNCQ_STATUS_NEW, "a");
    put(*state, 4, 4, 4, 0, SYNCQ_STATUS_DONE, "a");
    put(*state, 5, 5, 5, 0, SYNCQ_STATUS_CANCELLED, "a");
    put(*state, 6, 6, 6, 0, SYNCQ_STATUS_LOST, "a");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, ""), "1:01 2:0");
    assert_string_equal(
        listed(*state, SYNCQ_STATUS_BIT(SYNCQ_STATUS_READY), ""), "1:01");
    assert_string_equal(listed(*state, SYNCQ_STATUS_BIT(SYNCQ_STATUS_DONE), ""),
                        "4:0");
    assert_string_equal(listed(*state, ~0u, ""), "1:01 2:0 3:0 4:0 5:0 6:0");
}

static void test_listing__finished_part__is_not_shown(void **state)
{
    put(*state, 0, 1, 1, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 1, 1, 1, 1, SYNCQ_STATUS_DONE, "b");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, ""), "1:0");
}

static void test_listing__domain__needs_a_part_in_that_status(void **state)
{
    put(*state, 0, 1, 1, 0, SYNCQ_STATUS_READY, "a");
    put(*state, 1, 1, 1, 1, SYNCQ_STATUS_HELD, "b");
    put(*state, 2, 2, 2, 0, SYNCQ_STATUS_READY, "b");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, "a"), "1:01");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, "b"), "1:01 2:0");
    assert_string_equal(
        listed(*state, SYNCQ_STATUS_BIT(SYNCQ_STATUS_HELD), "a"), "");
    assert_string_equal(listed(*state, SYNCQ_STATUSES_QUEUED, "c"), "");
}

static void test_listing__slot_reused_meanwhile__is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;

    put(fixture, 0, 1, 1, 0, SYNCQ_STATUS_READY, "a");
    put(fixture, 1, 2, 2, 0, SYNCQ_STATUS_READY, "a");
    put(fixture, 2, 3, 3, 0, SYNCQ_STATUS_READY, "a");
    assert_result(
        syncq_listing_new(fixture->queue, SYNCQ_STATUSES_QUEUED, 0, &listing),
        0);
    syncq_index_write_free(&fixture->writer->index, 0);
    put(fixture, 1, 9, 9, 0, SYNCQ_STATUS_READY, "a");
    put(fixture, 2, 3, 3, 0, SYNCQ_STATUS_HELD, "a");
    assert_result(syncq_listing_next(listing, &message), 0);
    assert_int_equal(message.sequence, 3);
    assert_int_equal(message.statuses, SYNCQ_STATUS_BIT(SYNCQ_STATUS_HELD));
    assert_result(syncq_listing_next(listing, &message), SYNCQ_ERR_RANGE);
    syncq_listing_free(listing);
}

static void test_listed_read__no_record__is_bad_record_or_gone(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    struct syncq_record record;

    put(fixture, 0, 1, 1, 0, SYNCQ_STATUS_READY, "a");
    assert_result(
        syncq_listing_new(fixture->queue, SYNCQ_STATUSES_QUEUED, 0, &listing),
        0);
    assert_result(syncq_listing_next(listing, &message), 0);
    assert_result(syncq_listed_read(fixture->queue, &message, &record),
                  SYNCQ_ERR_BAD_RECORD);
    syncq_index_write_free(&fixture->writer->index, 0);
    assert_result(syncq_listed_read(fixture->queue, &message, &record),
                  SYNCQ_ERR_BAD_ENTRY);
    syncq_listing_free(listing);
}

/* ---- recipients and names; no queue is needed ---- */

static void test_recipient_left__mask_and_status__decide(void **state)
{
    struct syncq_recipient recipients[] = {
        {.address = "0"}, {.address = "1"}, {.address = "2"}};
    const struct syncq_envelope envelope = {.recipients = recipients,
                                            .recipient_count = 3};
    struct syncq_entry_view entry = {
        .first_recipient = 1,
        .recipient_count = 2,
        .state = {.status = SYNCQ_STATUS_DEFERRED, .mask = 1},
    };

    (void)state;
    assert_int_equal(syncq_entry_left_count(&entry), 1);
    assert_null(syncq_entry_recipient_left(&entry, &envelope, 0));
    assert_ptr_equal(syncq_entry_recipient_left(&entry, &envelope, 1),
                     &recipients[2]);
    assert_null(syncq_entry_recipient_left(&entry, &envelope, 2));
    entry.state.mask = 0;
    assert_int_equal(syncq_entry_left_count(&entry), 2);
    assert_ptr_equal(syncq_entry_recipient_left(&entry, &envelope, 0),
                     &recipients[1]);
    entry.state.status = SYNCQ_STATUS_DONE;
    assert_int_equal(syncq_entry_left_count(&entry), 0);
    assert_null(syncq_entry_recipient_left(&entry, &envelope, 1));
}

static void test_recipient_left__entry_beyond_envelope__is_null(void **state)
{
    const struct syncq_envelope envelope = {0};
    const struct syncq_entry_view entry = {
        .first_recipient = UINT32_MAX,
        .recipient_count = 64,
        .state = {.status = SYNCQ_STATUS_READY},
    };

    (void)state;
    assert_null(syncq_entry_recipient_left(&entry, &envelope, 0));
    assert_null(syncq_entry_recipient_left(&entry, &envelope, 63));
    assert_int_equal(syncq_entry_left_count(&entry), 64);
}

static void test_name__attributes__come_before_the_index(void **state)
{
    const struct syncq_listed message = {
        .sequence = UINT64_C(5) << SYNCQ_SEQUENCE_COUNTER_BITS | 12,
        .arrival_s = 99};
    struct syncq_record record = {.content_size = 10};
    struct syncq_listed_name name;

    (void)state;
    assert_result(syncq_envelope_init(&record.envelope), 0);
    syncq_listed_name(&message, &record, &name);
    assert_string_equal(name.id, "5.12");
    assert_int_equal(name.arrival_s, 99);
    assert_int_equal(name.size, 10);
    assert_true(syncq_listed_is(&message, &record, "5.12"));
    assert_false(syncq_listed_is(&message, &record, "4gWm"));
    assert_false(syncq_listed_is(&message, &record, ""));

    assert_result(
        syncq_envelope_set_attribute_text(&record.envelope, "queue_id", "4gWm"),
        0);
    assert_result(syncq_envelope_set_attribute_text(&record.envelope, "arrival",
                                                    "1234 567"),
                  0);
    assert_result(
        syncq_envelope_set_attribute_text(&record.envelope, "size", "4711"), 0);
    syncq_listed_name(&message, &record, &name);
    assert_string_equal(name.id, "4gWm");
    assert_int_equal(name.arrival_s, 1234);
    assert_int_equal(name.size, 4711);
    assert_true(syncq_listed_is(&message, &record, "5.12"));
    assert_true(syncq_listed_is(&message, &record, "4gWm"));
    assert_false(syncq_listed_is(&message, &record, "4gW"));
    syncq_envelope_clear(&record.envelope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listing__empty_queue__has_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__slots_in_any_order__sorts_by_arrival, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__scattered_parts__are_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__statuses__select_whole_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__finished_part__is_not_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__domain__needs_a_part_in_that_status, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_listing__slot_reused_meanwhile__is_left_out, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_listed_read__no_record__is_bad_record_or_gone, set_up,
            tear_down),
        cmocka_unit_test(test_recipient_left__mask_and_status__decide),
        cmocka_unit_test(test_recipient_left__entry_beyond_envelope__is_null),
        cmocka_unit_test(test_name__attributes__come_before_the_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
