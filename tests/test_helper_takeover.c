/* SPDX-License-Identifier: MIT */
/*
 * test_helper_takeover.c - helpers that are killed, and their successors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"
#include "tests/writer_process.h"

static _Atomic uint32_t *word_of(struct fixture *fixture,
                                 const struct syncq_ticket *ticket)
{
    return &fixture->writer->handle.channel->states[ticket->request];
}

/* A helper in a process of its own has this request in an msync that never
 * comes back. */
static void await_receipt(struct fixture *fixture,
                          const struct syncq_ticket *ticket)
{
    uint64_t end_us = syncq_clock_us() + FIXTURE_WAIT_MS * 1000;

    while (atomic_load(word_of(fixture, ticket)) != SYNCQ_REQUEST_RECEIPT) {
        assert_true(syncq_clock_us() < end_us);
        (void)syncq_futex_wait(word_of(fixture, ticket),
                               atomic_load(word_of(fixture, ticket)), 1000);
    }
}

static void test_helper__killed__successor_confirms(void **state)
{
    enum { COUNT = 5 };
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct syncq_ticket tickets[COUNT];
    struct mail mails[COUNT];

    helper_process_start(&helper, fixture, 1);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        mail_init(&mails[i], i, 2, 2, i * 3000);
        assert_result(mail_append(fixture->writer, &mails[i], &tickets[i]), 0);
    }
    await_receipt(fixture, &tickets[0]);
    writer_kill(&helper);
    assert_false(syncq_helper_running(fixture->writer));
    for (unsigned i = 0; i < COUNT; i++)
        assert_result(syncq_ticket_wait(fixture->writer, &tickets[i], 0),
                      SYNCQ_ERR_TIMEOUT);
    /* One that was given up meanwhile. */
    assert_result(syncq_ticket_abandon(fixture->writer, &tickets[1]), 0);
    syncq_ticket_finish(fixture->writer, &tickets[1], SYNCQ_STATUS_CANCELLED);
    fixture_start(fixture);
    assert_true(syncq_helper_running(fixture->writer));
    for (unsigned i = 0; i < COUNT; i++) {
        if (i != 1) {
            assert_result(syncq_ticket_wait(fixture->writer, &tickets[i],
                                            FIXTURE_WAIT_MS),
                          0);
            syncq_ticket_finish(fixture->writer, &tickets[i],
                                SYNCQ_STATUS_SYNCED);
        }
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 1),
                         i == 1 ? SYNCQ_STATUS_CANCELLED : SYNCQ_STATUS_SYNCED);
    }
    mail_store_simple(fixture->writer, &mails[0], 9, 100);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
    lists_check(fixture->writer);
}

/* All that its predecessor had not answered for is in the successor's sync,
 * although the kernel may call those pages clean. */
static void test_helper__killed__pages_are_dirty_again(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct syncq_ticket ticket;
    struct fixture *cut;
    struct syncq_queue *reader;
    struct mail mail;

    helper_process_start(&helper, fixture, 1);
    fixture_open(fixture);
    mail_init(&mail, 1, 1, 1, 20000);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    await_receipt(fixture, &ticket);
    writer_kill(&helper);
    sync_control_start(fixture);
    fixture_start(fixture);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    cut = sync_power_cut();
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_result(fixture_recover(cut, NULL, NULL), 0);
    reader = fixture_reader(cut);
    mail_check(reader, &mail);
    assert_int_equal(mail_status(reader, &mail, 0), SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_free(cut);
    sync_control_stop();
}

/* The kernel calls all its pages clean, as after an msync that failed. */
static void test_helper__killed__clean_pages_are_dirtied(void **state)
{
    enum { SIZE = 4 << 20 };
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct syncq_ticket ticket;
    struct mail mail;
    uint64_t before = fixture_dirtied_bytes();

    if (before == 0)
        skip();
    fixture_clean_cache(fixture);
    helper_process_start(&helper, fixture, 1);
    fixture_open(fixture);
    mail_init(&mail, 1, 1, 1, SIZE);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    await_receipt(fixture, &ticket);
    writer_kill(&helper);
    fixture_clean_cache(fixture);
    before = fixture_dirtied_bytes();
    fixture_start(fixture);
    assert_true(fixture_dirtied_bytes() - before >= SIZE);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

/* A successor that opened the files long ago: what its predecessor did since
 * then counts, or an LSN would be given twice. */
static void test_helper__opened_before_the_last_died__reads_again(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process first;
    struct helper second = {.config = &fixture->config};
    struct syncq_superblock before, after;
    struct mail mail;
    uint64_t limit;

    helper_process_start(&first, fixture, 0);
    fixture_open(fixture);
    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &second.queue),
        0);
    before = second.queue->data.superblock;
    for (unsigned i = 0; i < 9; i++) /* into the next segment */
        mail_store_simple(fixture->writer, &mail, i, 1 << 20);
    while (fixture->writer->handle.channel->next_segment == SYNCQ_SEGMENT_NONE)
        syncq_channel_ring(fixture->writer->handle.channel);
    writer_kill(&first);
    assert_result(takeover_serve(&second), 0);
    after = second.queue->data.superblock;
    limit =
        atomic_load(
            &second.channel->segments[second.channel->next_segment].base_lsn) +
        FIXTURE_SEGMENT_SIZE;
    assert_true(before.lsn_limit < limit);
    assert_int_equal(after.lsn_limit, limit);
    syncq_queue_close(second.queue);
    free(second.pages);
}

/* What is at the place of a request is not its record: told so, and no hole
 * is left that would look like damage later. */
static void test_helper__killed__record_not_genuine__refused(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct syncq_ticket ticket;
    struct mail mail, next;
    uint8_t *map;

    helper_process_start(&helper, fixture, 1);
    fixture_open(fixture);
    mail_init(&mail, 1, 1, 1, 2000);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    await_receipt(fixture, &ticket);
    writer_kill(&helper);
    assert_result(syncq_data_map(&fixture->writer->data, 0, &map), 0);
    map[fixture_offset(fixture->writer, mail.lsn) - SYNCQ_DATA_OFFSET + 500] ^=
        1;
    fixture_start(fixture);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_SYNC_FAILED);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_int_equal(mail_status(fixture->writer, &mail, 0),
                     SYNCQ_STATUS_CANCELLED);
    mail_store_simple(fixture->writer, &next, 2, 100);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn), 1);
}

struct flow {
    struct fixture *fixture;
    struct mail mails[60];
    unsigned number;
    _Atomic unsigned done;
};

static void *flow_run(void *context)
{
    struct flow *flow = context;

    for (unsigned i = 0; i < 60; i++) {
        mail_init(&flow->mails[i], flow->number * 60 + i, 2, 2, i * 100);
        mail_store(flow->fixture->writer, &flow->mails[i]);
        atomic_fetch_add(&flow->done, 1);
    }
    return NULL;
}

static void test_helper__killed_again_and_again__nothing_lost(void **state)
{
    enum { FLOWS = 4 };
    struct fixture *fixture = *state;
    struct flow *flows = calloc(FLOWS, sizeof *flows);
    struct writer_process helper;
    pthread_t threads[FLOWS];

    assert_non_null(flows);
    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    for (unsigned i = 0; i < FLOWS; i++) {
        flows[i].fixture = fixture;
        flows[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, flow_run, &flows[i]),
                         0);
    }
    for (unsigned kill_at = 5; kill_at < 55; kill_at += 5) {
        while (atomic_load(&flows[0].done) < kill_at)
            (void)syncq_futex_wait((_Atomic uint32_t *)&flows[0].done,
                                   atomic_load(&flows[0].done), 100);
        writer_kill(&helper);
        helper_process_start(&helper, fixture, 0);
    }
    for (unsigned i = 0; i < FLOWS; i++)
        (void)pthread_join(threads[i], NULL);
    writer_kill(&helper);
    fixture_start(fixture);
    for (unsigned i = 0; i < FLOWS * 60; i++) {
        const struct mail *mail = &flows[i / 60].mails[i % 60];

        mail_check(fixture->writer, mail);
        assert_int_equal(mail_status(fixture->writer, mail, 0),
                         SYNCQ_STATUS_SYNCED);
    }
    mail_store_simple(fixture->writer, &flows[0].mails[0], 999, 10);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn),
        FLOWS * 60 + 1);
    lists_check(fixture->writer);
    free(flows);
}

static void test_helper__killed_without_writers__recovers(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct mail mail;

    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 1, 1000);
    fixture_close(fixture);
    writer_kill(&helper);
    fixture_start(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->helper.channel->epoch, 2);
    mail_check(fixture->writer, &mail);
    assert_int_equal(mail_status(fixture->writer, &mail, 0),
                     SYNCQ_STATUS_SYNCED);
}

/* Died between marking the channel and setting the latch. */
static void test_helper__died_failed__successor_latches(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct syncq_ticket ticket;
    struct mail mail;
    uint64_t lsn;

    helper_process_start(&helper, fixture, 1);
    fixture_open(fixture);
    mail_init(&mail, 1, 1, 1, 2000);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    await_receipt(fixture, &ticket);
    atomic_store(&fixture->writer->handle.channel->state, SYNCQ_CHANNEL_FAILED);
    writer_kill(&helper);
    assert_int_equal(fixture_start_fails(fixture), EX_DATAERR);
    assert_result(syncq_latch_read(fixture->writer->directory_fd, &lsn),
                  SYNCQ_ERR_LATCHED);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, 0),
                  SYNCQ_ERR_TIMEOUT);
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket), 0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_CANCELLED);
}

/* Died while it recovered: there are no writers to take over. */
static void test_helper__died_starting__successor_recovers(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;

    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    atomic_store(&fixture->writer->handle.channel->state,
                 SYNCQ_CHANNEL_STARTING);
    fixture_close(fixture);
    writer_kill(&helper);
    fixture_start(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->helper.channel->epoch, 2);
}

/* A segment page lost while writers live is known from the channel: its mail
 * is not overwritten. */
static void test_helper__killed_and_pages_lost__not_taken_for_free(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper;
    struct mail mail;

    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 1, 1000);
    writer_kill(&helper);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET, 64);
    fixture_damage(fixture, SYNCQ_DATA_FILE,
                   SYNCQ_DATA_OFFSET + FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE,
                   64);
    fixture_start(fixture);
    assert_int_not_equal(fixture->helper.pages[0].state, SYNCQ_SEGMENT_FREE);
    mail_check(fixture->writer, &mail);
    mail_store_simple(fixture->writer, &mail, 2, 1000);
    fixture_stop(fixture);
    fixture_start(fixture);
    fixture_open(fixture);
    mail_check(fixture->writer, &mail);
}

static int is_removed(struct fixture *fixture, void *context)
{
    (void)context;
    return atomic_load(&fixture->helper.removed);
}

/* Somebody cleans /run under a living helper and writer: both leave, and the
 * next helper, which had to wait for the writer, makes another channel. */
static void test_helper__channel_removed__made_anew(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[2], mail;
    struct syncq_ticket ticket;
    char path[1024];

    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mails[0], 1, 1000);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE, fixture->run);
    assert_int_equal(unlink(path), 0);
    mail_init(&mail, 2, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_DETACHED);
    fixture_until(fixture, is_removed, NULL);
    fixture_stop(fixture);
    fixture_start(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->helper.channel->epoch, 2);
    mail_check(fixture->writer, &mails[0]);
    assert_int_equal(mail_status(fixture->writer, &mails[0], 0),
                     SYNCQ_STATUS_SYNCED);
    mail_store_simple(fixture->writer, &mails[1], 3, 1000);
    assert_true(mails[1].lsn > mails[0].lsn);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn), 2);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_helper__killed__successor_confirms),
        QUEUE(test_helper__killed__pages_are_dirty_again),
        QUEUE(test_helper__killed__clean_pages_are_dirtied),
        QUEUE(test_helper__opened_before_the_last_died__reads_again),
        QUEUE(test_helper__killed__record_not_genuine__refused),
        QUEUE(test_helper__killed_again_and_again__nothing_lost),
        QUEUE(test_helper__killed_without_writers__recovers),
        QUEUE(test_helper__died_failed__successor_latches),
        QUEUE(test_helper__died_starting__successor_recovers),
        QUEUE(test_helper__killed_and_pages_lost__not_taken_for_free),
        QUEUE(test_helper__channel_removed__made_anew),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
