/* SPDX-License-Identifier: MIT */
/*
 * test_helper.c - batches and their caps, segments, start and stop
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

enum { COUNT = 12 };

/*
 * Send one mail whose msync is stopped, then `count` more, which gather
 * meanwhile; let go and return how many batches the gathered ones took.
 */
static uint64_t batches_of(struct fixture *fixture, unsigned count, size_t size)
{
    struct syncq_statistics *statistics = &fixture->helper.channel->statistics;
    struct syncq_ticket tickets[COUNT + 1];
    struct mail mails[COUNT + 1];
    uint64_t batches;

    sync_hold();
    for (unsigned i = 0; i <= count; i++) {
        mail_init(&mails[i], i, 1, 1, size);
        assert_result(mail_append(fixture->writer, &mails[i], &tickets[i]), 0);
        if (i == 0)
            sync_wait_held();
    }
    batches = statistics->batches;
    sync_release();
    for (unsigned i = 0; i <= count; i++) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &tickets[i], FIXTURE_WAIT_MS),
            0);
        syncq_ticket_finish(fixture->writer, &tickets[i], SYNCQ_STATUS_SYNCED);
        mail_check(fixture->writer, &mails[i]);
    }
    return statistics->batches - batches - 1;
}

static void test_batch__defaults__all_that_gathered_in_one(void **state)
{
    assert_int_equal(batches_of(*state, COUNT, 2000), 1);
}

static void test_batch__requests_max__cuts(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.batch_requests_max = 4;
    /* The seal is a request, too. */
    assert_in_range(batches_of(fixture, COUNT, 2000), 3, 4);
}

static void test_batch__bytes_max__cuts(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.batch_bytes_max = 3 * 2560;
    assert_in_range(batches_of(fixture, COUNT, 2200), 4, 5);
    /* A record larger than the cap goes alone. */
    fixture->config.batch_bytes_max = 1;
    assert_in_range(batches_of(fixture, 3, 2200), 3, 6);
}

/* A large void: only its header is to be synced. */
static void reserve_void(struct fixture *fixture, uint64_t size)
{
    struct syncq_channel *channel = fixture->helper.channel;
    struct syncq_reservation reservation;

    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MARKS, size, 0,
                                NULL, &reservation),
                  0);
    atomic_store(&channel->states[reservation.request],
                 SYNCQ_REQUEST_WITHDRAWN);
}

static void test_batch__gap_max__far_request_waits(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket tickets[3];
    struct mail mails[3];
    uint64_t batches;

    fixture->config.gap_max = 100000;
    sync_hold();
    mail_init(&mails[0], 0, 1, 1, 1000);
    mail_init(&mails[1], 1, 1, 1, 1000);
    mail_init(&mails[2], 2, 1, 1, 1000);
    assert_result(mail_append(fixture->writer, &mails[0], &tickets[0]), 0);
    sync_wait_held();
    assert_result(mail_append(fixture->writer, &mails[1], &tickets[1]), 0);
    reserve_void(fixture, 200 << 10);
    assert_result(mail_append(fixture->writer, &mails[2], &tickets[2]), 0);
    batches = fixture->helper.channel->statistics.batches;
    sync_release();
    for (unsigned i = 0; i < 3; i++) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &tickets[i], FIXTURE_WAIT_MS),
            0);
        syncq_ticket_finish(fixture->writer, &tickets[i], SYNCQ_STATUS_SYNCED);
    }
    assert_int_equal(fixture->helper.channel->statistics.batches - batches, 3);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
}

/* Fill until the head is in another segment; how many mails that took. */
static unsigned fill_segment(struct fixture *fixture, struct mail *mails,
                             size_t size)
{
    struct syncq_channel *channel = fixture->helper.channel;
    uint32_t segment = channel->head_segment;
    unsigned count = 0;

    while (channel->head_segment == segment) {
        mail_store_simple(fixture->writer, &mails[count], count, size);
        count++;
    }
    return count;
}

static int is_closed(struct fixture *fixture, void *context)
{
    struct syncq_segment_page page;

    assert_result(syncq_data_read_segment_page(&fixture->writer->data,
                                               &fixture->writer->key,
                                               *(uint32_t *)context, &page),
                  0);
    return page.state == SYNCQ_SEGMENT_CLOSED &&
           page.end_lsn ==
               page.base_lsn + FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE;
}

static void test_segment__full__next_one_and_tail_void(void **state)
{
    struct fixture *fixture = *state;
    uint32_t first = fixture->helper.channel->head_segment;
    struct mail mails[64];
    unsigned count = fill_segment(fixture, mails, 300000);

    for (unsigned i = 0; i < count; i++)
        mail_check(fixture->writer, &mails[i]);
    assert_true(mails[count - 1].lsn > mails[count - 2].lsn);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn),
        count);
    fixture_until(fixture, is_closed, &first);
}

/* Mails until there is no room; the number of those that fitted. */
static unsigned fill_queue(struct fixture *fixture, size_t size,
                           struct mail *mails, int error)
{
    unsigned count = 0;

    for (;; count++) {
        struct syncq_ticket ticket;
        int result;

        mail_init(&mails[count], count, 1, 1, size);
        result = mail_append(fixture->writer, &mails[count], &ticket);
        if (result != 0) {
            assert_result(result, error);
            return count;
        }
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    }
}

static void test_append__segments_full__the_last_is_left_to_marks(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[64];
    struct mail more;
    struct syncq_ticket ticket;
    uint32_t free_count, segment;
    uint64_t marks_lsn, small = 0;
    unsigned count =
        fill_queue(fixture, 1 << 20, mails, SYNCQ_ERR_SEGMENTS_FULL);

    assert_int_equal(count, 7 * (FIXTURE_SEGMENT_COUNT - 1));
    free_count = fixture->writer->index.lists->free_count;
    mail_init(&more, 1, 3, 3, 1 << 20);
    assert_result(mail_append(fixture->writer, &more, &ticket),
                  SYNCQ_ERR_SEGMENTS_FULL);
    assert_int_equal(fixture->writer->index.lists->free_count, free_count);
    /* What still fits in the third one fits. */
    while (mail_init(&more, 1, 1, 1, 60000),
           mail_append(fixture->writer, &more, &ticket) == 0) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
        small++;
    }
    assert_in_range(small, 1, 20);
    /* Marks go on; a mail that would fit behind them does not. */
    segment = fixture->helper.channel->head_segment;
    while (fixture->helper.channel->head_segment == segment)
        mail_mark(fixture->writer, mails, count, SYNCQ_STATUS_HELD, &marks_lsn);
    assert_result(mail_append(fixture->writer, &more, &ticket),
                  SYNCQ_ERR_SEGMENTS_FULL);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
}

static void test_append__entries_full__all_slots_or_none(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_index_lists *lists = fixture->writer->index.lists;
    struct syncq_ticket ticket;
    struct mail mail;
    uint64_t head;

    while (lists->free_count > MAIL_PARTS_MAX) {
        mail_init(&mail, 1, MAIL_PARTS_MAX, MAIL_PARTS_MAX, 10);
        mail_store(fixture->writer, &mail);
    }
    while (lists->free_count > 3)
        mail_store_simple(fixture->writer, &mail, 2, 10);
    head = fixture->helper.channel->head_lsn;
    mail_init(&mail, 3, 4, 4, 10);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_ENTRIES_FULL);
    assert_int_equal(lists->free_count, 3);
    assert_int_equal(fixture->helper.channel->head_lsn, head);
    mail_init(&mail, 3, 3, 3, 10);
    mail_store(fixture->writer, &mail);
    assert_int_equal(lists->free_count, 0);
    lists_check(fixture->writer);
}

static void test_helper__second__refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second = *fixture;
    struct mail mail;

    assert_int_equal(fixture_start_fails(&second), EX_TEMPFAIL);
    mail_store_simple(fixture->writer, &mail, 1, 100);
    /* Also when no writer is there. */
    fixture_close(fixture);
    assert_int_equal(fixture_start_fails(&second), EX_TEMPFAIL);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 1, 100);
}

static void test_helper__clean_stops__segment_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[6], filling[64];

    for (unsigned i = 0; i < 6; i++) {
        mail_store_simple(fixture->writer, &mails[i], i, 5000);
        fixture_stop(fixture);
        fixture_start(fixture);
        fixture_open(fixture);
        assert_int_equal(fixture->helper.channel->head_segment, 0);
        assert_int_equal(fixture->helper.channel->epoch, i + 2);
    }
    for (unsigned i = 0; i < 6; i++) {
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
        assert_int_equal(SYNCQ_SEQUENCE_EPOCH(mails[i].sequence), i + 1);
    }
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn), 6);
    lists_check(fixture->writer);
    /* A prepared segment is not lost with each stop: the queue fills as if
     * there had been none. */
    assert_int_equal(
        fill_queue(fixture, 1 << 20, filling, SYNCQ_ERR_SEGMENTS_FULL),
        7 * (FIXTURE_SEGMENT_COUNT - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_batch__defaults__all_that_gathered_in_one),
        SYNC_CONTROLLED(test_batch__requests_max__cuts),
        SYNC_CONTROLLED(test_batch__bytes_max__cuts),
        SYNC_CONTROLLED(test_batch__gap_max__far_request_waits),
        SYNC_CONTROLLED(test_segment__full__next_one_and_tail_void),
        SYNC_CONTROLLED(test_append__segments_full__the_last_is_left_to_marks),
        SYNC_CONTROLLED(test_append__entries_full__all_slots_or_none),
        SYNC_CONTROLLED(test_helper__second__refused),
        SYNC_CONTROLLED(test_helper__clean_stops__segment_goes_on),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
