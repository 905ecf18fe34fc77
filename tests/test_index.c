/* SPDX-License-Identifier: MIT */
/*
 * test_index.c - entries with two versions, checkpoints, lists
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

static struct syncq_entry_view make_view(uint32_t slot)
{
    return (struct syncq_entry_view){
        .sequence = 0x0001000000000005,
        .domain_hash = 77,
        .slot = slot,
        .arrival_s = 1700000000,
        .first_recipient = 3,
        .part = 1,
        .part_count = 2,
        .recipient_count = 64,
        .type = SYNCQ_RECORD_SMTP,
        .state = {.lsn = 4096,
                  .mask = 0x8000000000000001,
                  .last_attempt_s = 5,
                  .next_attempt_s = 6,
                  .attempts = 7,
                  .reason = 8,
                  .dsn_class = 4,
                  .dsn_subject = 31,
                  .dsn_detail = 999,
                  .status = SYNCQ_STATUS_DEFERRED}};
}

static struct syncq_queue *open_writable(struct fixture *fixture)
{
    struct syncq_queue *queue = NULL;

    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue), 0);
    assert_result(syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                   &queue->index),
                  0);
    syncq_index_rebuild_lists(&queue->index, NULL, NULL);
    return queue;
}

static void check_view(const struct syncq_entry_view *have,
                       const struct syncq_entry_view *want)
{
    assert_int_equal(have->sequence, want->sequence);
    assert_int_equal(have->domain_hash, want->domain_hash);
    assert_int_equal(have->slot, want->slot);
    assert_int_equal(have->arrival_s, want->arrival_s);
    assert_int_equal(have->first_recipient, want->first_recipient);
    assert_int_equal(have->part, want->part);
    assert_int_equal(have->part_count, want->part_count);
    assert_int_equal(have->recipient_count, want->recipient_count);
    assert_int_equal(have->type, want->type);
    assert_int_equal(have->state.lsn, want->state.lsn);
    assert_int_equal(have->state.mask, want->state.mask);
    assert_int_equal(have->state.last_attempt_s, want->state.last_attempt_s);
    assert_int_equal(have->state.next_attempt_s, want->state.next_attempt_s);
    assert_int_equal(have->state.attempts, want->state.attempts);
    assert_int_equal(have->state.reason, want->state.reason);
    assert_int_equal(have->state.dsn_class, want->state.dsn_class);
    assert_int_equal(have->state.dsn_subject, want->state.dsn_subject);
    assert_int_equal(have->state.dsn_detail, want->state.dsn_detail);
    assert_int_equal(have->state.status, want->state.status);
}

static void test_entry__written__read_back(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(17), read;

    assert_result(syncq_entry_read(queue, 17, &read), SYNCQ_ERR_BAD_ENTRY);
    syncq_index_write_identity(&queue->index, &view);
    assert_result(syncq_entry_read(queue, 17, &read), 0);
    check_view(&read, &view);
    assert_result(syncq_entry_read(queue, FIXTURE_ENTRY_COUNT, &read),
                  SYNCQ_ERR_RANGE);
    syncq_index_write_free(&queue->index, 17);
    assert_result(syncq_entry_read(queue, 17, &read), SYNCQ_ERR_BAD_ENTRY);
    syncq_queue_close(queue);
}

static void test_entry__update__newest_version_counts(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(5), read;

    syncq_index_write_identity(&queue->index, &view);
    for (uint16_t i = 0; i < 10; i++) {
        view.state.attempts = i;
        syncq_index_write_state(&queue->index, &view);
        assert_result(syncq_entry_read(queue, 5, &read), 0);
        assert_int_equal(read.state.attempts, i);
    }
    /* Both are there: the last one and the one before it. */
    assert_int_equal(queue->index.entries[5].versions[0].attempts +
                         queue->index.entries[5].versions[1].attempts,
                     9 + 8);
    syncq_queue_close(queue);
}

/* An update that is cut in the middle costs nothing: every prefix of it. */
static void test_entry__update_torn__old_state_stays(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(9), read;
    struct syncq_entry before, after;

    syncq_index_write_identity(&queue->index, &view);
    view.state.status = SYNCQ_STATUS_READY;
    syncq_index_write_state(&queue->index, &view);
    before = queue->index.entries[9];
    view.state.status = SYNCQ_STATUS_DONE;
    view.state.mask = UINT64_MAX;
    view.state.attempts = 999;
    syncq_index_write_state(&queue->index, &view);
    after = queue->index.entries[9];
    for (size_t cut = 0; cut <= sizeof after; cut++) {
        uint8_t *entry = (uint8_t *)&queue->index.entries[9];

        memcpy(entry, &before, sizeof before);
        memcpy(entry, &after, cut);
        assert_result(syncq_entry_read(queue, 9, &read), 0);
        if (memcmp(entry, &after, 80) == 0)
            assert_int_equal(read.state.status, SYNCQ_STATUS_DONE);
        else
            assert_int_equal(read.state.status, SYNCQ_STATUS_READY);
    }
    syncq_queue_close(queue);
}

static void test_entry__every_bit_of_identity_counts(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(9), read;
    uint8_t *entry = (uint8_t *)&queue->index.entries[9];

    syncq_index_write_identity(&queue->index, &view);
    for (size_t bit = 80 * 8; bit < 116 * 8; bit++) {
        entry[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_result(syncq_entry_read(queue, 9, &read), SYNCQ_ERR_BAD_ENTRY);
        entry[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_result(syncq_entry_read(queue, 9, &read), 0);
    /* Both states lost: the part is known, its state is not. */
    entry[0] ^= 1;
    entry[40] ^= 1;
    assert_result(syncq_entry_read(queue, 9, &read), SYNCQ_ERR_BAD_ENTRY);
    assert_int_equal(read.state.status, SYNCQ_STATUS_LOST);
    assert_int_equal(read.sequence, view.sequence);
    syncq_queue_close(queue);
}

/* An entry in another slot, or a state left by the slot's last user. */
static void test_entry__moved_or_stale__not_believed(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(9), read;
    struct syncq_entry_version old;

    syncq_index_write_identity(&queue->index, &view);
    queue->index.entries[10] = queue->index.entries[9];
    assert_result(syncq_entry_read(queue, 10, &read), SYNCQ_ERR_BAD_ENTRY);
    view.state.status = SYNCQ_STATUS_DONE;
    for (int i = 0; i < 5; i++)
        syncq_index_write_state(&queue->index, &view);
    old = queue->index.entries[9].versions[1];
    view = make_view(9);
    view.sequence++;
    view.state.status = SYNCQ_STATUS_NEW;
    syncq_index_write_identity(&queue->index, &view);
    queue->index.entries[9].versions[1] = old; /* its counter is higher */
    assert_result(syncq_entry_read(queue, 9, &read), 0);
    assert_int_equal(read.state.status, SYNCQ_STATUS_NEW);
    syncq_queue_close(queue);
}

static void test_entry_update__another_part_by_now__refused(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_entry_view view = make_view(9), other, read;
    struct syncq_state changed = view.state;

    changed.status = SYNCQ_STATUS_HELD;
    assert_result(syncq_entry_update(queue, &view, &changed),
                  SYNCQ_ERR_BAD_ENTRY);
    syncq_index_write_identity(&queue->index, &view);
    other = view;
    other.part = 0;
    assert_result(syncq_entry_update(queue, &other, &changed),
                  SYNCQ_ERR_BAD_ENTRY);
    other = view;
    other.sequence++;
    assert_result(syncq_entry_update(queue, &other, &changed),
                  SYNCQ_ERR_BAD_ENTRY);
    other.slot = FIXTURE_ENTRY_COUNT;
    assert_result(syncq_entry_update(queue, &other, &changed), SYNCQ_ERR_RANGE);
    assert_result(syncq_entry_update(queue, &view, &changed), 0);
    assert_int_equal(view.state.status, SYNCQ_STATUS_HELD);
    assert_result(syncq_entry_read(queue, 9, &read), 0);
    assert_int_equal(read.state.status, SYNCQ_STATUS_HELD);
    /* A part whose states are both lost may get a new one. */
    memset(queue->index.entries[9].versions, 0xff, 80);
    assert_result(syncq_entry_update(queue, &view, &changed), 0);
    assert_result(syncq_entry_read(queue, 9, &read), 0);
    syncq_queue_close(queue);
}

static void test_checkpoint__newest_valid_one(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_checkpoint checkpoint = {.number = 4, .synced_lsn = 44};
    struct syncq_checkpoint read;

    assert_result(syncq_index_read_checkpoint(&queue->index, &read),
                  SYNCQ_ERR_INDEX);
    assert_result(syncq_index_write_checkpoint(&queue->index, &checkpoint), 0);
    checkpoint = (struct syncq_checkpoint){.number = 5, .synced_lsn = 55};
    assert_result(syncq_index_write_checkpoint(&queue->index, &checkpoint), 0);
    assert_result(syncq_index_read_checkpoint(&queue->index, &read), 0);
    assert_int_equal(read.synced_lsn, 55);
    queue->index.map[2 * SYNCQ_PAGE_SIZE + 30] ^= 1; /* number 5 */
    assert_result(syncq_index_read_checkpoint(&queue->index, &read), 0);
    assert_int_equal(read.synced_lsn, 44);
    queue->index.map[SYNCQ_PAGE_SIZE + 30] ^= 1;
    assert_result(syncq_index_read_checkpoint(&queue->index, &read),
                  SYNCQ_ERR_INDEX);
    syncq_queue_close(queue);
}

static int open_index_result(struct fixture *fixture)
{
    struct syncq_queue *queue = NULL;
    int result;

    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 0, &queue), 0);
    result = syncq_index_open(queue->directory_fd, 0, queue->key.uuid,
                              &queue->index);
    syncq_queue_close(queue);
    return result;
}

static void test_index_open__damaged_header__refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *clean = fixture_new();
    off_t size =
        SYNCQ_INDEX_ENTRIES_OFFSET + FIXTURE_ENTRY_COUNT * SYNCQ_ENTRY_SIZE;

    assert_result(open_index_result(fixture), 0);
    for (uint64_t at = 0; at < sizeof(struct syncq_index_header); at++) {
        fixture_damage(fixture, SYNCQ_INDEX_FILE, at, 1);
        assert_result(open_index_result(fixture), SYNCQ_ERR_INDEX);
        fixture_copy_file(clean, fixture, SYNCQ_INDEX_FILE);
    }
    assert_int_equal(
        truncate(fixture_path(fixture, SYNCQ_INDEX_FILE), size - 1), 0);
    assert_result(open_index_result(fixture), SYNCQ_ERR_INDEX);
    assert_int_equal(truncate(fixture_path(fixture, SYNCQ_INDEX_FILE), 0), 0);
    assert_result(open_index_result(fixture), SYNCQ_ERR_INDEX);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(open_index_result(fixture), SYNCQ_ERR_NO_QUEUE);
    fixture_free(clean);
}

static void test_lists__take_and_give_back__consistent(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_index *index = &queue->index;
    uint32_t slots[1000], all[FIXTURE_ENTRY_COUNT];

    lists_check(queue);
    assert_result(syncq_index_take(index, 1000, 5, slots), 0);
    assert_int_equal(index->lists->free_count, FIXTURE_ENTRY_COUNT - 1000);
    lists_check(queue);
    for (uint32_t i = 0; i < 1000; i += 3)
        syncq_index_give_back(index, slots[i]);
    lists_check(queue);
    for (uint32_t i = 0; i < 1000; i++) {
        if (i % 3 != 0)
            syncq_index_give_back(index, slots[i]);
    }
    lists_check(queue);
    assert_int_equal(index->lists->used_head, SYNCQ_SLOT_NONE);
    assert_result(syncq_index_take(index, FIXTURE_ENTRY_COUNT, 5, all), 0);
    assert_int_equal(index->lists->free_count, 0);
    lists_check(queue);
    assert_result(syncq_index_take(index, 1, 5, slots), SYNCQ_ERR_ENTRIES_FULL);
    syncq_queue_close(queue);
}

static int owned_by_five(uint32_t slot, uint32_t lock, void *context)
{
    (void)slot;
    (void)context;
    return lock == 5;
}

static void
test_lists__links_are_nonsense__rebuilt_from_identities(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    struct syncq_index *index = &queue->index;
    struct syncq_entry_view view = make_view(0);
    uint32_t slots[20];

    assert_result(syncq_index_take(index, 20, 5, slots), 0);
    for (uint32_t i = 0; i < 20; i += 2) {
        view.slot = slots[i];
        view.sequence++;
        syncq_index_write_identity(index, &view);
    }
    index->entries[slots[1]].lock = 6; /* of a request that has ended */
    memset(&index->entries[slots[3]].sequence, 0x5a, 36); /* torn */
    index->entries[slots[3]].lock = 0;
    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        index->entries[slot].next = slot * 2654435761u;
        index->entries[slot].previous = slot * 40503u;
    }
    memset(index->lists, 0xee, sizeof *index->lists);
    syncq_index_rebuild_lists(index, owned_by_five, NULL);
    lists_check(queue);
    assert_int_equal(index->lists->used_count, 18);
    assert_int_equal(index->entries[slots[1]].lock, 0);
    assert_true(syncq_entry_identity_valid(index, slots[3]));
    syncq_index_rebuild_lists(index, NULL, NULL);
    lists_check(queue);
    assert_int_equal(index->lists->used_count, 10);
    syncq_queue_close(queue);
}

/* A link out of range, as another process may have left it. */
static void test_lists__link_out_of_range__refused(void **state)
{
    struct syncq_queue *queue = open_writable(*state);
    uint32_t slots[2];

    queue->index.lists->free_head = FIXTURE_ENTRY_COUNT;
    assert_result(syncq_index_take(&queue->index, 2, 1, slots),
                  SYNCQ_ERR_ENTRIES_FULL);
    syncq_queue_close(queue);
}

static void test_recipients_mask__limits(void **state)
{
    (void)state;
    assert_int_equal(syncq_recipients_mask(1), 1);
    assert_int_equal(syncq_recipients_mask(63), UINT64_MAX >> 1);
    assert_true(syncq_recipients_mask(64) == UINT64_MAX);
    assert_int_equal(syncq_domain_hash(""), 0);
    assert_int_not_equal(syncq_domain_hash("a.example"),
                         syncq_domain_hash("b.example"));
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_entry__written__read_back),
        QUEUE(test_entry__update__newest_version_counts),
        QUEUE(test_entry__update_torn__old_state_stays),
        QUEUE(test_entry__every_bit_of_identity_counts),
        QUEUE(test_entry__moved_or_stale__not_believed),
        QUEUE(test_entry_update__another_part_by_now__refused),
        QUEUE(test_checkpoint__newest_valid_one),
        QUEUE(test_index_open__damaged_header__refused),
        QUEUE(test_lists__take_and_give_back__consistent),
        QUEUE(test_lists__links_are_nonsense__rebuilt_from_identities),
        QUEUE(test_lists__link_out_of_range__refused),
        cmocka_unit_test(test_recipients_mask__limits),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
