/* SPDX-License-Identifier: MIT */
/*
 * test_helper_failure.c - a sync that fails is final
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

enum { COUNT = 4 };

struct failing {
    struct fixture *fixture;
    struct syncq_ticket tickets[COUNT];
    struct mail mails[COUNT];
    int latch_calls;
};

/* Channel first, then the latch, then the writers: none knows yet. */
static void check_order(void *context)
{
    struct failing *failing = context;
    struct syncq_channel *channel = failing->fixture->helper.channel;

    failing->latch_calls++;
    if (atomic_load(&channel->state) != SYNCQ_CHANNEL_FAILED)
        failing->latch_calls += 100;
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t state =
            atomic_load(&channel->states[failing->tickets[i].request]);

        if (state != SYNCQ_REQUEST_SENT && state != SYNCQ_REQUEST_RECEIPT)
            failing->latch_calls += 1000;
    }
}

/* COUNT mails wait, the first of them in an msync that is stopped. */
static void append_waiting(struct failing *failing, struct fixture *fixture)
{
    *failing = (struct failing){.fixture = fixture};
    sync_hold();
    for (unsigned i = 0; i < COUNT; i++) {
        mail_init(&failing->mails[i], i, 2, 2, 3000);
        assert_result(mail_append(fixture->writer, &failing->mails[i],
                                  &failing->tickets[i]),
                      0);
        if (i == 0)
            sync_wait_held();
    }
}

static void check_failed(struct failing *failing)
{
    struct fixture *fixture = failing->fixture;
    struct syncq_ticket ticket;
    struct mail mail;
    uint64_t lsn;

    for (unsigned i = 0; i < COUNT; i++) {
        assert_result(syncq_ticket_wait(fixture->writer, &failing->tickets[i],
                                        FIXTURE_WAIT_MS),
                      SYNCQ_ERR_SYNC_FAILED);
        assert_result(syncq_latch_read(fixture->writer->directory_fd, &lsn),
                      SYNCQ_ERR_LATCHED);
        syncq_ticket_finish(fixture->writer, &failing->tickets[i],
                            SYNCQ_STATUS_SYNCED);
        assert_int_equal(mail_status(fixture->writer, &failing->mails[i], 1),
                         SYNCQ_STATUS_CANCELLED);
    }
    assert_true(lsn <= failing->mails[0].lsn);
    /* And all that come later. */
    mail_init(&mail, 9, 1, 1, 10);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_LATCHED);
    assert_result(syncq_queue_usable(fixture->writer), SYNCQ_ERR_LATCHED);
    assert_int_equal(fixture->helper.channel->statistics.appends, 1);
    fixture_stop(fixture);
    assert_int_equal(fixture_start_fails(fixture), EX_DATAERR);
}

static void test_sync__fails_once__all_fail_for_ever(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader, *queue;
    struct failing failing;
    struct mail before;

    mail_store_simple(fixture->writer, &before, 77, 5000);
    append_waiting(&failing, fixture);
    sync_on_latch(check_order, &failing);
    sync_fail_next(EIO);
    sync_release();
    check_failed(&failing);
    assert_int_equal(failing.latch_calls, 1);
    assert_result(syncq_queue_open(fixture->queue, fixture->run,
                                   SYNCQ_OPEN_WRITE, &queue),
                  SYNCQ_ERR_LATCHED);
    /* What was confirmed before can be read. */
    reader = fixture_reader(fixture);
    mail_check(reader, &before);
    assert_int_equal(mail_status(reader, &before, 0), SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
}

static void truncate_data(void *context)
{
    struct fixture *fixture = context;

    (void)truncate(fixture_path(fixture, SYNCQ_DATA_FILE),
                   (off_t)(SYNCQ_DATA_OFFSET +
                           FIXTURE_SEGMENT_COUNT * FIXTURE_SEGMENT_SIZE -
                           SYNCQ_PAGE_SIZE));
}

/* msync itself succeeds. */
static void test_sync__file_truncated_meanwhile__no_confirm(void **state)
{
    struct fixture *fixture = *state;
    struct failing failing;
    struct mail before;

    mail_store_simple(fixture->writer, &before, 77, 5000);
    append_waiting(&failing, fixture);
    sync_on_latch(check_order, &failing);
    truncate_data(fixture);
    sync_release();
    check_failed(&failing);
    assert_int_equal(failing.latch_calls, 1);
}

static void test_sync__file_removed__no_confirm(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_DATA_FILE)), 0);
    mail_init(&mail, 1, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_SYNC_FAILED);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

/* The kernel reports an error once, to whoever comes first: with several
 * threads in msync, another one may have had it. */
static void test_data_sync__one_failed__every_later_one_fails(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_data *data = &fixture->helper.queue->data;

    sync_fail_next(EIO);
    assert_result(syncq_data_sync(data, 1, 0, 4096), EIO);
    assert_result(syncq_data_sync(data, 2, 0, 4096), EIO);
    assert_result(
        syncq_data_write_superblock(data, &fixture->helper.queue->key), EIO);
}

static void test_sync__fails_and_latch_missing__still_no_confirm(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_LATCH_FILE)), 0);
    sync_fail_next(EIO);
    mail_init(&mail, 1, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_SYNC_FAILED);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_LATCHED);
    fixture_stop(fixture);
    assert_int_equal(fixture_start_fails(fixture), EX_DATAERR);
}

/* Reserved before the failure, sent after it. */
static void test_sync__failed__late_request_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_reservation reservation;
    struct syncq_ticket ticket = {0};
    struct mail mail;
    uint32_t slot;

    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MESSAGE, 256, 1,
                                &slot, &reservation),
                  0);
    ticket.request = reservation.request;
    sync_fail_next(EIO);
    mail_init(&mail, 1, 1, 1, 100);
    {
        struct syncq_ticket other;

        assert_result(mail_append(fixture->writer, &mail, &other), 0);
        assert_result(
            syncq_ticket_wait(fixture->writer, &other, FIXTURE_WAIT_MS),
            SYNCQ_ERR_SYNC_FAILED);
        syncq_ticket_finish(fixture->writer, &other, SYNCQ_STATUS_CANCELLED);
    }
    atomic_store(&fixture->helper.channel->states[ticket.request],
                 SYNCQ_REQUEST_SENT);
    syncq_channel_ring(fixture->helper.channel);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_SYNC_FAILED);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_CANCELLED);
}

static int index_failed(struct fixture *fixture, void *context)
{
    uint64_t lsn;

    (void)context;
    return syncq_latch_read(fixture->writer->directory_fd, &lsn) ==
           SYNCQ_ERR_INDEX;
}

/* The log is the truth: mail goes on, and the next start reads all of it. */
static void test_index_sync__fails__mail_goes_on_and_is_replayed(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct syncq_queue *reader;
    struct mail mails[4];

    mail_store_simple(fixture->writer, &mails[0], 0, 1000);
    mail_store_simple(fixture->writer, &mails[1], 1, 1000);
    sync_fail_index();
    fixture->config.index_sync_interval_ms = 1;
    fixture_until(fixture, index_failed, NULL);
    mail_mark(fixture->writer, &mails[0], 1, SYNCQ_STATUS_DONE, NULL);
    mail_store_simple(fixture->writer, &mails[2], 2, 1000);
    assert_result(syncq_queue_usable(fixture->writer), 0);
    fixture_stop(fixture);
    sync_control_stop();
    assert_result(fixture_recover(fixture, &report, NULL), 0);
    assert_int_equal(report.reason, SYNCQ_REPLAY_INDEX_FAILED);
    reader = fixture_reader(fixture);
    assert_int_equal(mail_status(reader, &mails[0], 0), SYNCQ_STATUS_DONE);
    assert_int_equal(mail_status(reader, &mails[1], 0), SYNCQ_STATUS_SYNCED);
    assert_int_equal(mail_status(reader, &mails[2], 0), SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mails[3], 3, 1000);
    fixture_stop(fixture);
    assert_result(fixture_recover(fixture, &report, NULL), 0);
    assert_true(report.clean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_sync__fails_once__all_fail_for_ever),
        SYNC_CONTROLLED(test_sync__file_truncated_meanwhile__no_confirm),
        SYNC_CONTROLLED(test_sync__file_removed__no_confirm),
        SYNC_CONTROLLED(test_data_sync__one_failed__every_later_one_fails),
        SYNC_CONTROLLED(test_sync__fails_and_latch_missing__still_no_confirm),
        SYNC_CONTROLLED(test_sync__failed__late_request_is_told),
        SYNC_CONTROLLED(test_index_sync__fails__mail_goes_on_and_is_replayed),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
