/* SPDX-License-Identifier: MIT */
/*
 * test_grow.c - a queue becomes larger, with and without anything running
 */
#include <stdlib.h>
#include <unistd.h>

#include "module/error.h"
#include "module/fill.h"
#include "module/grow_internal.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/grow_steps.h"
#include "tests/writer_process.h"

/* ---- nothing runs ---- */

static void test_grow__stopped__new_space_is_used(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};

    fixture_start(fixture);
    fixture_open(fixture);
    grow_store_until(fixture->writer, &mails, 1);
    fixture_stop(fixture);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), 0);
    /* One entry for each 4 KiB. */
    grow_check_size(fixture, GROW_SEGMENTS,
                    (uint32_t)(GROW_SEGMENTS * FIXTURE_SEGMENT_SIZE / 4096));
    fixture_start(fixture);
    fixture_open(fixture);
    grow_store_until(fixture->writer, &mails, FIXTURE_SEGMENT_COUNT);
    grow_check_mails(fixture, &mails);
    fixture_stop(fixture);
    fixture_start(fixture);
    grow_check_mails(fixture, &mails);
}

static void test_grow__index_only__more_parts_fit(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;
    uint32_t count = 0;

    assert_result(grow_run(fixture, 0, GROW_ENTRIES), 0);
    grow_check_size(fixture, FIXTURE_SEGMENT_COUNT, GROW_ENTRIES);
    fixture_start(fixture);
    fixture_open(fixture);
    for (;;) {
        int result;

        mail_init(&mail, count, MAIL_PARTS_MAX, MAIL_PARTS_MAX, 10);
        result = mail_append(fixture->writer, &mail, &ticket);
        if (result == SYNCQ_ERR_ENTRIES_FULL)
            break;
        assert_result(result, 0);
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
        count++;
    }
    assert_int_equal(count, GROW_ENTRIES / MAIL_PARTS_MAX);
    /* All of them are found again without an index. */
    fixture_stop(fixture);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(fixture, NULL, NULL), 0);
    grow_check_size(fixture, FIXTURE_SEGMENT_COUNT, GROW_ENTRIES);
    fixture_start(fixture);
    fixture_open(fixture);
    assert_int_equal(count_status(fixture->writer, SYNCQ_STATUS_SYNCED),
                     GROW_ENTRIES);
}

static void test_grow__damaged_superblock_copy__other_one_knows(void **state)
{
    struct fixture *fixture = *state;

    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    for (uint64_t i = 0; i < 2; i++) {
        struct fixture *image = fixture_image(fixture);

        fixture_damage(image, SYNCQ_DATA_FILE, i * SYNCQ_PAGE_SIZE, 100);
        grow_check_size(image, GROW_SEGMENTS, GROW_ENTRIES);
        fixture_free(image);
    }
}

/* ---- while all runs ---- */

/* Append for ever, waiting while the queue is full; tell of each mail that was
 * confirmed. */
static void append_for_ever(struct syncq_queue *queue, int to, void *context)
{
    _Atomic uint32_t *bell = &queue->handle.channel->segment_bell;

    (void)context;
    for (unsigned seed = 1000;; seed++) {
        struct mail mail;
        struct syncq_ticket ticket;
        uint32_t rung;
        int result;

        mail_init(&mail, seed, 2, 2, 1000000);
        while (rung = atomic_load(bell),
               (result = mail_append(queue, &mail, &ticket)) ==
                   SYNCQ_ERR_SEGMENTS_FULL)
            (void)syncq_futex_wait(bell, rung, -1);
        /* The test sees by the pipe's end that this one gave up. */
        if (result != 0 ||
            syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS) != 0)
            _exit(103);
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
        if (write(to, &mail, sizeof mail) != sizeof mail)
            _exit(104);
    }
}

struct reads {
    struct writer_process *writer;
    struct grow_mails mails;
    int slot_seen, segment_seen; /* in what is new */
};

static void read_one(struct fixture *fixture, struct reads *reads)
{
    struct mail *mail = &reads->mails.mails[reads->mails.count];
    uint32_t segment;
    uint64_t base;

    assert_true(reads->mails.count < GROW_MAILS_MAX);
    writer_read(reads->writer, mail, sizeof *mail);
    reads->mails.count++;
    assert_result(
        syncq_segment_find(fixture->writer, mail->lsn, &segment, &base), 0);
    reads->segment_seen |= segment >= FIXTURE_SEGMENT_COUNT;
    for (uint32_t part = 0; part < mail->part_count; part++)
        reads->slot_seen |= mail->slots[part] >= FIXTURE_ENTRY_COUNT;
}

static int nothing_open(struct fixture *fixture, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&fixture->helper.channel->states[i]);

        if (state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF)
            return 0;
    }
    return 1;
}

static void test_grow__running__writers_go_on_into_it(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader = fixture_reader(fixture);
    struct writer_process writer;
    struct reads *reads = calloc(1, sizeof *reads);
    struct syncq_entry_view view;
    const struct mail *last;

    assert_non_null(reads);
    reads->writer = &writer;
    writer_start(&writer, fixture, append_for_ever, NULL);
    for (int i = 0; i < 3; i++)
        read_one(fixture, reads);
    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    while (!reads->segment_seen || !reads->slot_seen)
        read_one(fixture, reads);
    writer_kill(&writer);
    fixture_until(fixture, nothing_open, NULL);
    /* This process, too, and a reader from before. */
    last = &reads->mails.mails[reads->mails.count - 1];
    assert_result(syncq_entry_read(reader, last->slots[0], &view), 0);
    assert_int_equal(view.sequence, last->sequence);
    assert_int_equal(syncq_entry_count(fixture->writer), GROW_ENTRIES);
    for (uint32_t i = 0; i < reads->mails.count; i++) {
        mail_check(reader, &reads->mails.mails[i]);
        assert_int_equal(mail_status(reader, &reads->mails.mails[i], 1),
                         SYNCQ_STATUS_SYNCED);
    }
    grow_check_size(fixture, GROW_SEGMENTS, GROW_ENTRIES);
    lists_check(fixture->writer);
    fixture_until_durable(fixture);
    (void)log_check(reader, atomic_load(&fixture->helper.channel->durable_lsn));
    syncq_queue_close(reader);
    free(reads);
}

static void test_grow__running_twice__both_are_used(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};

    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), 0);
    grow_store_until(fixture->writer, &mails, FIXTURE_SEGMENT_COUNT);
    assert_result(grow_run(fixture, GROW_SEGMENTS + 3, GROW_ENTRIES * 4), 0);
    grow_store_until(fixture->writer, &mails, GROW_SEGMENTS);
    grow_check_size(fixture, GROW_SEGMENTS + 3, GROW_ENTRIES * 4);
    grow_check_mails(fixture, &mails);
    fixture_stop(fixture);
    assert_result(fixture_recover(fixture, NULL, NULL), 0);
    grow_check_mails(fixture, &mails);
}

static int segments_free(struct fixture *fixture, void *context)
{
    (void)context;
    return !atomic_load(&fixture->helper.channel->segments_exhausted);
}

static void test_grow__full__takes_mail_again(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    for (;;) {
        mail_init(&mail, 99, 1, 1, GROW_SIZE);
        result = mail_append(fixture->writer, &mail, &ticket);
        if (result != 0)
            break;
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    }
    assert_result(result, SYNCQ_ERR_SEGMENTS_FULL);
    assert_result(grow_run(fixture, FIXTURE_SEGMENT_COUNT + 1, 0), 0);
    fixture_until(fixture, segments_free, NULL);
    grow_store(fixture->writer, &mails, 1, GROW_SIZE);
    mail_check(fixture->writer, &mails.mails[0]);
}

/* A process dies with the lock, and one that has not seen the new slots yet
 * makes the lists anew. */
static void die_with_the_lock(struct syncq_queue *queue, int to, void *context)
{
    char byte = 'x';

    (void)context;
    if (syncq_reserve_lock(queue) != 0 || write(to, &byte, 1) != 1)
        _exit(103);
}

static void test_grow__lock_owner_dies__lists_whole(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};
    struct writer_process writer;
    char byte;

    assert_result(grow_run(fixture, 0, GROW_ENTRIES), 0);
    writer_start(&writer, fixture, die_with_the_lock, NULL);
    writer_read(&writer, &byte, 1);
    writer_kill(&writer);
    assert_int_equal(fixture->writer->index.entry_count, FIXTURE_ENTRY_COUNT);
    grow_store(fixture->writer, &mails, 3, 100);
    assert_int_equal(fixture->writer->index.entry_count, GROW_ENTRIES);
    grow_check_mails(fixture, &mails);
}

/* ---- the helper dies while it grows the queue ---- */

/* What is there when the helper had written the superblock, and no more. */
static void grow_superblock_only(struct fixture *fixture)
{
    const struct syncq_fill_progress progress = {NULL, NULL};
    struct syncq_superblock superblock;
    struct syncq_queue *queue;

    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue), 0);
    superblock = queue->data.superblock;
    superblock.segment_count = GROW_SEGMENTS;
    assert_result(
        syncq_fill_zeros(queue->data.fd, queue->data.file_size,
                         syncq_data_segment_offset(&queue->data, GROW_SEGMENTS),
                         &progress),
        0);
    assert_result(syncq_fill_segments(queue->data.fd, &queue->key, &superblock,
                                      FIXTURE_SEGMENT_COUNT),
                  0);
    assert_result(syncq_grow_superblock(queue, GROW_SEGMENTS, GROW_ENTRIES), 0);
    syncq_queue_close(queue);
}

/* asked: the question still stands, else nobody waits for an answer. */
static void take_over_half_grown(struct fixture *fixture, int asked)
{
    struct grow_mails mails = {.count = 0};
    struct writer_process helper;
    struct syncq_channel *channel;

    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    grow_store(fixture->writer, &mails, 2, 100);
    writer_kill(&helper);
    grow_superblock_only(fixture);
    channel = fixture->writer->handle.channel;
    atomic_store(&channel->grow_segment_count, GROW_SEGMENTS);
    atomic_store(&channel->grow_entry_count, GROW_ENTRIES);
    if (asked)
        atomic_store(&channel->grow, SYNCQ_GROW_TAKEN);
    fixture_start(fixture);
    grow_store_until(fixture->writer, &mails, FIXTURE_SEGMENT_COUNT);
    if (asked)
        assert_int_equal(grow_wait_answer(channel), 0);
    grow_check_size(fixture, GROW_SEGMENTS, GROW_ENTRIES);
    grow_check_mails(fixture, &mails);
}

static void test_grow__helper_dies_in_it__next_one_finishes(void **state)
{
    take_over_half_grown(*state, 1);
}

static void test_grow__helper_and_asker_die__next_one_finishes(void **state)
{
    take_over_half_grown(*state, 0);
}

/* Cut off before, it is completed by a start while the next one fills. */
struct start_meanwhile {
    struct fixture *fixture;
    struct mail last; /* in the slots that were added */
    uint32_t count;
};

static void start_and_store(uint64_t done, uint64_t total, void *context)
{
    struct start_meanwhile *meanwhile = context;
    struct fixture *fixture = meanwhile->fixture;

    (void)done;
    (void)total;
    if (fixture->helper_runs)
        return;
    fixture_start(fixture);
    fixture_open(fixture);
    while (meanwhile->last.slots[0] < FIXTURE_ENTRY_COUNT) {
        mail_init(&meanwhile->last, 1, MAIL_PARTS_MAX, MAIL_PARTS_MAX, 10);
        mail_store(fixture->writer, &meanwhile->last);
        meanwhile->count++;
    }
}

static void grow_while_it_starts(struct fixture *fixture)
{
    struct start_meanwhile meanwhile = {.fixture = fixture};
    const struct syncq_grow_options options = {.size = (GROW_SEGMENTS + 1) *
                                                       FIXTURE_SEGMENT_SIZE,
                                               .entry_count = GROW_ENTRIES * 2,
                                               .allow_any_filesystem = 1,
                                               .progress = start_and_store,
                                               .context = &meanwhile};
    struct syncq_grow_report report;

    grow_superblock_only(fixture);
    assert_result(
        syncq_queue_grow(fixture->queue, fixture->run, &options, &report), 0);
    grow_check_size(fixture, GROW_SEGMENTS + 1, GROW_ENTRIES * 2);
    assert_int_equal(count_status(fixture->writer, SYNCQ_STATUS_SYNCED),
                     meanwhile.count * MAIL_PARTS_MAX);
    mail_check(fixture->writer, &meanwhile.last);
    lists_check(fixture->writer);
}

static void test_grow__started_meanwhile__entries_stay(void **state)
{
    fixture_start(*state); /* leaves an index that is believed */
    fixture_stop(*state);
    grow_while_it_starts(*state);
}

static void test_grow__index_made_meanwhile__grows_too(void **state)
{
    grow_while_it_starts(*state); /* there is no checkpoint yet */
}

#define STOPPED(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STOPPED(test_grow__stopped__new_space_is_used),
        STOPPED(test_grow__index_only__more_parts_fit),
        STOPPED(test_grow__damaged_superblock_copy__other_one_knows),
        RUNNING(test_grow__running__writers_go_on_into_it),
        RUNNING(test_grow__running_twice__both_are_used),
        RUNNING(test_grow__full__takes_mail_again),
        RUNNING(test_grow__lock_owner_dies__lists_whole),
        STOPPED(test_grow__helper_dies_in_it__next_one_finishes),
        STOPPED(test_grow__helper_and_asker_die__next_one_finishes),
        STOPPED(test_grow__started_meanwhile__entries_stay),
        STOPPED(test_grow__index_made_meanwhile__grows_too),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
