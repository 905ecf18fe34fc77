/* SPDX-License-Identifier: MIT */
/*
 * test_recovery_index.c - the index is lost, damaged, old or of another queue
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { COUNT = 40, PARTS = 2 };

static unsigned expected_status(unsigned i)
{
    static const unsigned statuses[] = {
        SYNCQ_STATUS_DONE, SYNCQ_STATUS_DEFERRED, SYNCQ_STATUS_SYNCED,
        SYNCQ_STATUS_CANCELLED};

    return statuses[i % 4];
}

/* Mails with all kinds of last words; helper and writer are running. */
static void prepare(struct fixture *fixture, struct mail mails[COUNT])
{
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        mail_init(&mails[i], i, 4, PARTS, i * 500);
        mail_store(fixture->writer, &mails[i]);
        if (expected_status(i) != SYNCQ_STATUS_SYNCED)
            mail_mark(fixture->writer, &mails[i], 1, expected_status(i), NULL);
    }
}

static void check_below(const struct fixture *fixture,
                        const struct mail mails[COUNT], uint64_t durable_lsn)
{
    struct syncq_queue *reader = fixture_reader(fixture);

    for (unsigned i = 0; i < COUNT; i++) {
        mail_check(reader, &mails[i]);
        for (uint32_t part = 0; part < PARTS; part++)
            assert_int_equal(mail_status(reader, &mails[i], part),
                             expected_status(i));
    }
    assert_int_equal(count_used(reader), COUNT * PARTS);
    lists_check(reader);
    (void)log_check(reader, durable_lsn);
    syncq_queue_close(reader);
}

/* After any recovery but that of a clean stop, nothing is left blank. */
static void check_all(const struct fixture *fixture,
                      const struct mail mails[COUNT])
{
    check_below(fixture, mails, UINT64_MAX);
}

static void recover_for(struct fixture *image, enum syncq_replay_reason reason)
{
    struct syncq_recovery_report report;

    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.reason, reason);
    assert_int_equal(report.damage_count, 0);
    assert_int_equal(report.parts_held, 0);
    assert_int_equal(report.parts_lost, 0);
}

/* Spoil the index of two images, one after a crash and one after a clean
 * stop, and find everything all the same. */
static void spoil(struct fixture *fixture, void (*how)(struct fixture *image),
                  enum syncq_replay_reason reason)
{
    struct mail mails[COUNT];
    struct fixture *crashed, *stopped;

    prepare(fixture, mails);
    crashed = fixture_image(fixture);
    fixture_stop(fixture);
    stopped = fixture_image(fixture);
    how(crashed);
    how(stopped);
    recover_for(crashed, reason);
    check_all(crashed, mails);
    recover_for(stopped, reason);
    check_all(stopped, mails);
    /* And the helper goes on with it. */
    fixture_start(stopped);
    fixture_open(stopped);
    mail_store_simple(stopped->writer, &mails[0], 777, 100);
    mail_check(stopped->writer, &mails[0]);
    fixture_free(crashed);
    fixture_free(stopped);
}

static void delete_index(struct fixture *image)
{
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
}

static void test_index__deleted__all_found(void **state)
{
    spoil(*state, delete_index, SYNCQ_REPLAY_NO_INDEX);
}

static void empty_index(struct fixture *image)
{
    assert_int_equal(truncate(fixture_path(image, SYNCQ_INDEX_FILE), 0), 0);
}

static void test_index__zero_length__all_found(void **state)
{
    spoil(*state, empty_index, SYNCQ_REPLAY_NO_INDEX);
}

static void cut_index(struct fixture *image)
{
    assert_int_equal(truncate(fixture_path(image, SYNCQ_INDEX_FILE), 100000),
                     0);
}

static void test_index__truncated__all_found(void **state)
{
    spoil(*state, cut_index, SYNCQ_REPLAY_NO_INDEX);
}

static void ones_index(struct fixture *image)
{
    uint8_t ones[SYNCQ_PAGE_SIZE];

    memset(ones, 0xff, sizeof ones);
    for (uint64_t page = 0; page < 20; page++)
        fixture_overwrite(image, SYNCQ_INDEX_FILE, page * sizeof ones, ones,
                          sizeof ones);
}

static void test_index__all_ones__all_found(void **state)
{
    spoil(*state, ones_index, SYNCQ_REPLAY_NO_INDEX);
}

static void zero_entry_page(struct fixture *image)
{
    static const uint8_t zeros[SYNCQ_PAGE_SIZE];

    fixture_overwrite(image, SYNCQ_INDEX_FILE, SYNCQ_INDEX_ENTRIES_OFFSET,
                      zeros, sizeof zeros);
}

static void test_index__entry_page_zeroed__all_found(void **state)
{
    spoil(*state, zero_entry_page, SYNCQ_REPLAY_BAD_ENTRY);
}

static void other_queues_index(struct fixture *image)
{
    const struct syncq_create_options options = {
        .size = FIXTURE_SEGMENT_SIZE * FIXTURE_SEGMENT_COUNT,
        .segment_size = FIXTURE_SEGMENT_SIZE,
        .entry_count = FIXTURE_ENTRY_COUNT,
        .allow_any_filesystem = 1,
    };
    static struct fixture *other;

    if (other == NULL) {
        other = fixture_new();
        for (size_t i = 0; i < 4; i++) {
            static const char *const names[] = {
                SYNCQ_DATA_FILE, SYNCQ_INDEX_FILE, SYNCQ_KEY_FILE,
                SYNCQ_LATCH_FILE};

            assert_int_equal(unlink(fixture_path(other, names[i])), 0);
        }
        assert_result(syncq_queue_create(other->queue, &options), 0);
        fixture_copy_file(other, image, SYNCQ_INDEX_FILE);
        return;
    }
    fixture_copy_file(other, image, SYNCQ_INDEX_FILE);
    fixture_free(other);
    other = NULL;
}

static void test_index__of_another_queue__all_found(void **state)
{
    spoil(*state, other_queues_index, SYNCQ_REPLAY_NO_INDEX);
}

static void spoil_checkpoints(struct fixture *image)
{
    fixture_damage(image, SYNCQ_INDEX_FILE, SYNCQ_PAGE_SIZE + 40, 1);
    fixture_damage(image, SYNCQ_INDEX_FILE, 2 * SYNCQ_PAGE_SIZE + 40, 1);
}

static void test_index__both_checkpoints_torn__all_found(void **state)
{
    spoil(*state, spoil_checkpoints, SYNCQ_REPLAY_NO_CHECKPOINT);
}

static void spoil_versions(struct fixture *image)
{
    /* Both states of the third entry. */
    uint64_t at = SYNCQ_INDEX_ENTRIES_OFFSET + 2 * SYNCQ_ENTRY_SIZE;

    fixture_damage(image, SYNCQ_INDEX_FILE, at + 8, 1);
    fixture_damage(image, SYNCQ_INDEX_FILE, at + 48, 1);
}

static void test_index__both_states_of_an_entry_torn__all_found(void **state)
{
    spoil(*state, spoil_versions, SYNCQ_REPLAY_BAD_ENTRY);
}

/* A bit of the newest state of one entry: what is left is whole and old. */
static void spoil_newest(struct fixture *image)
{
    struct syncq_queue *reader = fixture_reader(image);
    const struct syncq_entry *entry = &reader->index.entries[0];
    uint64_t newest = entry->versions[1].counter > entry->versions[0].counter;

    assert_int_equal(entry->versions[newest].status, SYNCQ_STATUS_DONE);
    syncq_queue_close(reader);
    fixture_damage(image, SYNCQ_INDEX_FILE,
                   SYNCQ_INDEX_ENTRIES_OFFSET + newest * 40 + 8, 1);
}

static void test_index__newest_state_damaged__done_stays_done(void **state)
{
    spoil(*state, spoil_newest, SYNCQ_REPLAY_BAD_ENTRY);
}

/* One torn checkpoint: the other one, with a longer replay, or all of it. */
static void test_index__one_checkpoint_torn__all_found(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovered recovered;
    struct mail mails[COUNT];

    prepare(fixture, mails);
    for (uint64_t page = 1; page <= 2; page++) {
        struct fixture *image = fixture_image(fixture);

        fixture_damage(image, SYNCQ_INDEX_FILE, page * SYNCQ_PAGE_SIZE + 20, 1);
        assert_result(fixture_recover(image, NULL, NULL), 0);
        check_all(image, mails);
        fixture_free(image);
    }
    fixture_stop(fixture);
    for (uint64_t page = 1; page <= 2; page++) {
        struct fixture *image = fixture_image(fixture);

        fixture_damage(image, SYNCQ_INDEX_FILE, page * SYNCQ_PAGE_SIZE + 20, 1);
        assert_result(fixture_recover(image, NULL, &recovered), 0);
        check_below(image, mails, recovered.head_lsn);
        fixture_free(image);
    }
}

/* The newest state of each entry is torn: the older one is not what the entry
 * said last, and the marks below the checkpoint tell. */
static void test_index__newest_states_torn__marks_tell(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct mail mails[COUNT];

    prepare(fixture, mails);
    image = fixture_image(fixture);
    for (unsigned i = 0; i < COUNT; i++)
        for (uint32_t part = 0; part < PARTS; part++) {
            uint32_t slot = mails[i].slots[part];
            const struct syncq_entry *entry =
                &fixture->writer->index.entries[slot];
            uint64_t newest =
                entry->versions[1].counter > entry->versions[0].counter;

            fixture_damage(image, SYNCQ_INDEX_FILE,
                           SYNCQ_INDEX_ENTRIES_OFFSET +
                               slot * SYNCQ_ENTRY_SIZE + newest * 40 + 36,
                           4);
        }
    recover_for(image, SYNCQ_REPLAY_BAD_ENTRY);
    check_all(image, mails);
    fixture_free(image);
}

/* Yesterday's index, from a clean stop or out of a running queue. */
static void test_index__of_yesterday__all_found(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *running, *stopped, *image;
    struct mail mails[COUNT];

    prepare(fixture, mails);
    /* It says something else about each of them. */
    for (unsigned i = 0; i < COUNT; i++)
        if (expected_status(i) == SYNCQ_STATUS_DEFERRED)
            mail_mark(fixture->writer, &mails[i], 1, SYNCQ_STATUS_HELD, NULL);
    running = fixture_image(fixture);
    fixture_stop(fixture);
    stopped = fixture_image(fixture);
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++)
        if (expected_status(i) == SYNCQ_STATUS_DEFERRED)
            mail_mark(fixture->writer, &mails[i], 1, SYNCQ_STATUS_DEFERRED,
                      NULL);
    for (int clean = 0; clean < 2; clean++) {
        if (clean)
            fixture_stop(fixture);
        image = fixture_image(fixture);
        fixture_copy_file(running, image, SYNCQ_INDEX_FILE);
        recover_for(image, SYNCQ_REPLAY_OLD_INDEX);
        check_all(image, mails);
        fixture_free(image);
        image = fixture_image(fixture);
        fixture_copy_file(stopped, image, SYNCQ_INDEX_FILE);
        recover_for(image, SYNCQ_REPLAY_OLD_INDEX);
        check_all(image, mails);
        fixture_free(image);
    }
    fixture_free(running);
    fixture_free(stopped);
}

static int checkpoints_reached(struct fixture *fixture, void *context)
{
    return fixture->helper.channel->statistics.index_syncs >=
           *(uint64_t *)context;
}

static void await_checkpoints(struct fixture *fixture, uint64_t more)
{
    uint64_t wanted = fixture->helper.channel->statistics.index_syncs + more;

    fixture->config.index_sync_interval_ms = 1;
    fixture_until(fixture, checkpoints_reached, &wanted);
    fixture->config.index_sync_interval_ms = 1000000;
}

/* Only a record's header knows of the later checkpoint, no superblock. */
static void test_index__of_an_hour_ago__told_by_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *earlier, *image;
    struct mail mails[COUNT];

    prepare(fixture, mails);
    earlier = fixture_image(fixture);
    await_checkpoints(fixture, 3);
    mail_mark(fixture->writer, &mails[2], 1, SYNCQ_STATUS_SYNCED, NULL);
    image = fixture_image(fixture);
    fixture_copy_file(earlier, image, SYNCQ_INDEX_FILE);
    recover_for(image, SYNCQ_REPLAY_OLD_INDEX);
    check_all(image, mails);
    fixture_free(image);
    fixture_free(earlier);
}

/* No record came after the later checkpoint: the superblock tells. */
static void
test_index__before_the_clean_stop__told_by_the_superblock(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *earlier;
    struct mail mails[COUNT];

    prepare(fixture, mails);
    earlier = fixture_image(fixture);
    fixture_stop(fixture);
    fixture_copy_file(earlier, fixture, SYNCQ_INDEX_FILE);
    recover_for(fixture, SYNCQ_REPLAY_OLD_INDEX);
    check_all(fixture, mails);
    fixture_free(earlier);
}

static void test_index__lost_with_a_thousand_mails__the_other_half(void **state)
{
    enum { MANY = 1000 };
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_queue *reader;
    struct syncq_ticket *tickets = calloc(MANY, sizeof *tickets);
    struct mail *mails = calloc(MANY, sizeof *mails);
    struct mail *done = calloc(MANY / 2, sizeof *done);

    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < MANY; i++) {
        mail_init(&mails[i], i, 1, 1, 200 + i);
        assert_result(mail_append(fixture->writer, &mails[i], &tickets[i]), 0);
        if (i % 2 == 0)
            done[i / 2] = mails[i];
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &tickets[i], FIXTURE_WAIT_MS),
            0);
        syncq_ticket_finish(fixture->writer, &tickets[i], SYNCQ_STATUS_SYNCED);
    }
    for (unsigned i = 0; i < MANY / 2; i += 100)
        mail_mark(fixture->writer, done + i, 100, SYNCQ_STATUS_DONE, NULL);
    fixture_stop(fixture);
    image = fixture_image(fixture);
    delete_index(image);
    recover_for(image, SYNCQ_REPLAY_NO_INDEX);
    reader = fixture_reader(image);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(mail_status(reader, &mails[i], 0),
                         i % 2 == 0 ? SYNCQ_STATUS_DONE : SYNCQ_STATUS_SYNCED);
    assert_int_equal(count_status(reader, SYNCQ_STATUS_SYNCED), MANY / 2);
    assert_int_equal(count_used(reader), MANY);
    syncq_queue_close(reader);
    fixture_free(image);
    free(tickets);
    free(mails);
    free(done);
}

static int two_checkpoints(struct fixture *fixture, void *context)
{
    return fixture->helper.channel->statistics.index_syncs >=
           *(uint64_t *)context + 2;
}

/* Bytes that this process has read from files so far. */
static uint64_t bytes_read(void)
{
    char line[128];
    uint64_t bytes = 0;
    FILE *file = fopen("/proc/self/io", "re");

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "rchar: %" SCNu64, &bytes) == 1)
            break;
    (void)fclose(file);
    return bytes;
}

/* What lies below the checkpoint is not read again, by the kernel's count. */
static void test_index__good__only_the_end_is_read(void **state)
{
    enum { LARGE = 1 << 20, LARGE_COUNT = 12, SLACK = 64 << 10 };
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct fixture *image, *lost;
    struct mail mail;
    uint64_t syncs, before;

    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < LARGE_COUNT; i++)
        mail_store_simple(fixture->writer, &mail, i, LARGE);
    syncs = fixture->helper.channel->statistics.index_syncs;
    fixture->config.index_sync_interval_ms = 1;
    fixture_until(fixture, two_checkpoints, &syncs);
    mail_store_simple(fixture->writer, &mail, 99, 1000);
    image = fixture_image(fixture);
    lost = fixture_image(fixture);
    delete_index(lost);

    before = bytes_read();
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.reason, SYNCQ_REPLAY_TAIL);
    /* The one that was written to, and the one prepared behind it. */
    assert_int_equal(report.segments_used, 3);
    assert_int_equal(report.segments_scanned, 2);
    assert_true(report.scanned_size <
                3 * FIXTURE_SEGMENT_SIZE - (uint64_t)LARGE * LARGE_COUNT);
    assert_true(bytes_read() - before < report.scanned_size + SLACK);

    before = bytes_read();
    assert_result(fixture_recover(lost, &report, NULL), 0);
    assert_true(report.scanned_size > (uint64_t)LARGE * LARGE_COUNT);
    assert_true(bytes_read() - before >= (uint64_t)LARGE * LARGE_COUNT);
    fixture_free(image);
    fixture_free(lost);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_index__deleted__all_found),
        QUEUE(test_index__zero_length__all_found),
        QUEUE(test_index__truncated__all_found),
        QUEUE(test_index__all_ones__all_found),
        QUEUE(test_index__entry_page_zeroed__all_found),
        QUEUE(test_index__of_another_queue__all_found),
        QUEUE(test_index__both_checkpoints_torn__all_found),
        QUEUE(test_index__both_states_of_an_entry_torn__all_found),
        QUEUE(test_index__newest_state_damaged__done_stays_done),
        QUEUE(test_index__one_checkpoint_torn__all_found),
        QUEUE(test_index__newest_states_torn__marks_tell),
        QUEUE(test_index__of_yesterday__all_found),
        QUEUE(test_index__of_an_hour_ago__told_by_the_log),
        QUEUE(test_index__before_the_clean_stop__told_by_the_superblock),
        QUEUE(test_index__good__only_the_end_is_read),
        QUEUE(test_index__lost_with_a_thousand_mails__the_other_half),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
