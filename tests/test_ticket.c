/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

static uint32_t request_state(const struct fixture *fixture,
                              const struct syncq_ticket *ticket)
{
    return atomic_load(&fixture->helper.channel->states[ticket->request]);
}

struct expected {
    const struct syncq_ticket *ticket;
    uint32_t state;
};

static int has_state(struct fixture *fixture, void *context)
{
    const struct expected *expected = context;

    return request_state(fixture, expected->ticket) == expected->state;
}

static void await_state(struct fixture *fixture,
                        const struct syncq_ticket *ticket, uint32_t state)
{
    struct expected expected = {ticket, state};

    fixture_until(fixture, has_state, &expected);
}

/* Append a mail and return when its msync has begun and is stopped. */
static void append_and_hold(struct fixture *fixture, struct mail *mail,
                            struct syncq_ticket *ticket)
{
    sync_hold();
    mail_init(mail, 1, 3, 3, 3000);
    assert_result(mail_append(fixture->writer, mail, ticket), 0);
    sync_wait_held();
}

static void test_wait__msync_still_runs__no_confirm(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    append_and_hold(fixture, &mail, &ticket);
    assert_int_equal(request_state(fixture, &ticket), SYNCQ_REQUEST_RECEIPT);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, 0),
                  SYNCQ_ERR_TIMEOUT);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, 20),
                  SYNCQ_ERR_TIMEOUT);
    assert_false(ticket.confirmed);
    for (uint32_t part = 0; part < 3; part++)
        assert_int_equal(mail_status(fixture->writer, &mail, part),
                         SYNCQ_STATUS_NEW);
    assert_true(atomic_load(&fixture->helper.channel->durable_lsn) <= mail.lsn);
    sync_release();
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    assert_true(ticket.confirmed);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    mail_check(fixture->writer, &mail);
}

/* What is sent while an msync runs is not confirmed by that msync. */
static void test_wait__sent_during_another_sync__waits_for_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket first, second;
    struct mail mails[2];

    append_and_hold(fixture, &mails[0], &first);
    mail_init(&mails[1], 2, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mails[1], &second), 0);
    sync_pass();
    assert_result(syncq_ticket_wait(fixture->writer, &first, FIXTURE_WAIT_MS),
                  0);
    sync_wait_held();
    assert_result(syncq_ticket_wait(fixture->writer, &second, 0),
                  SYNCQ_ERR_TIMEOUT);
    sync_release();
    assert_result(syncq_ticket_wait(fixture->writer, &second, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &first, SYNCQ_STATUS_SYNCED);
    syncq_ticket_finish(fixture->writer, &second, SYNCQ_STATUS_SYNCED);
}

static void check_cancelled(struct fixture *fixture, const struct mail *mail)
{
    for (uint32_t part = 0; part < mail->part_count; part++)
        assert_int_equal(mail_status(fixture->writer, mail, part),
                         SYNCQ_STATUS_CANCELLED);
}

static void test_abandon__before_confirm__cancelled_and_slot_free(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket, copy;
    struct mail mail;

    append_and_hold(fixture, &mail, &ticket);
    copy = ticket;
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, 0),
                  SYNCQ_ERR_ABANDONED);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_CANCELLED);
    /* Its bytes are in the running sync: not to be used again before that. */
    assert_int_equal(request_state(fixture, &copy), SYNCQ_REQUEST_LEFT);
    check_cancelled(fixture, &mail);
    sync_release();
    await_state(fixture, &copy, SYNCQ_REQUEST_FREE);
    check_cancelled(fixture, &mail);
    mail_check(fixture->writer, &mail); /* no hole in the log */
}

static void test_abandon__finished_after_the_sync__cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket, copy;
    struct mail mail;

    append_and_hold(fixture, &mail, &ticket);
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket), 0);
    sync_release();
    await_state(fixture, &ticket, SYNCQ_REQUEST_FAILED);
    copy = ticket;
    /* Even when the writer asks for it: there was no confirm. */
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_int_equal(request_state(fixture, &copy), SYNCQ_REQUEST_CONFCONF);
    check_cancelled(fixture, &mail);
}

static void test_abandon__after_confirm__durable(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    mail_init(&mail, 1, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    await_state(fixture, &ticket, SYNCQ_REQUEST_CONFIRM);
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket),
                  SYNCQ_ERR_EXISTS);
    assert_true(ticket.confirmed);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_int_equal(mail_status(fixture->writer, &mail, 0),
                     SYNCQ_STATUS_SYNCED);
}

struct racer {
    struct fixture *fixture;
    unsigned number;
};

static void *race(void *context)
{
    const struct racer *racer = context;
    struct syncq_queue *queue = racer->fixture->writer;

    for (unsigned i = 0; i < 100; i++) {
        struct syncq_ticket ticket;
        struct mail mail;
        unsigned status = SYNCQ_STATUS_SYNCED;

        mail_init(&mail, racer->number * 100 + i, 2, 2, i * 13);
        assert_result(mail_append(queue, &mail, &ticket), 0);
        for (unsigned spin = 0; spin < i * racer->number * 200; spin++)
            __asm__ volatile("");
        if (syncq_ticket_abandon(queue, &ticket) == 0)
            status = SYNCQ_STATUS_CANCELLED;
        syncq_ticket_finish(queue, &ticket, status);
        assert_int_equal(mail_status(queue, &mail, 0), status);
        assert_int_equal(mail_status(queue, &mail, 1), status);
        mail_check(queue, &mail);
    }
    return NULL;
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

static void test_abandon__races_with_confirm__one_of_them_wins(void **state)
{
    struct fixture *fixture = *state;
    struct racer racers[3];
    pthread_t threads[3];

    for (unsigned i = 0; i < 3; i++) {
        racers[i] = (struct racer){fixture, i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]),
                         0);
    }
    for (unsigned i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    fixture_until(fixture, nothing_open, NULL);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn), 300);
    lists_check(fixture->writer);
}

static void test_wait__sync_failed__told_and_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    sync_fail_next(EIO);
    mail_init(&mail, 1, 2, 2, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_SYNC_FAILED);
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket), 0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    check_cancelled(fixture, &mail);
}

static void test_wait__channel_removed__detached(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;
    char path[1024];

    append_and_hold(fixture, &mail, &ticket);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE, fixture->run);
    assert_int_equal(unlink(path), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_DETACHED);
    assert_result(syncq_queue_usable(fixture->writer), SYNCQ_ERR_DETACHED);
    assert_result(syncq_ticket_abandon(fixture->writer, &ticket), 0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_CANCELLED);
    sync_release();
}

static void test_append__requests_full__changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket *tickets = calloc(SYNCQ_REQUESTS_MAX, sizeof *tickets);
    struct syncq_ticket ticket;
    struct mail mail;
    uint32_t count = 0, free_count;
    uint64_t head;
    int result = 0;

    while (count < SYNCQ_REQUESTS_MAX) {
        mail_init(&mail, count, 1, 1, 10);
        result = mail_append(fixture->writer, &mail, &tickets[count]);
        if (result != 0)
            break;
        count++;
    }
    assert_result(result, SYNCQ_ERR_REQUESTS_FULL);
    assert_true(count > SYNCQ_REQUESTS_MAX * 9 / 10);
    await_state(fixture, &tickets[count - 1], SYNCQ_REQUEST_CONFIRM);
    free_count = fixture->writer->index.lists->free_count;
    head = fixture->helper.channel->head_lsn;
    /* Sealed although the writers' slots are all taken. */
    assert_int_equal(head % SYNCQ_PAGE_SIZE, 0);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_REQUESTS_FULL);
    assert_int_equal(fixture->writer->index.lists->free_count, free_count);
    assert_int_equal(fixture->helper.channel->head_lsn, head);
    assert_result(
        syncq_ticket_wait(fixture->writer, &tickets[0], FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(fixture->writer, &tickets[0], SYNCQ_STATUS_SYNCED);
    mail_store(fixture->writer, &mail);
    for (uint32_t i = 1; i < count; i++) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &tickets[i], FIXTURE_WAIT_MS),
            0);
        syncq_ticket_finish(fixture->writer, &tickets[i], SYNCQ_STATUS_SYNCED);
    }
    assert_int_equal(count_status(fixture->writer, SYNCQ_STATUS_SYNCED),
                     count + 1);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
    lists_check(fixture->writer);
    free(tickets);
}

static void *append_one(void *context)
{
    struct fixture *fixture = context;
    struct mail mail;

    mail_store_simple(fixture->writer, &mail, 5, 500);
    return NULL;
}

/* The literal form of the patent: nobody else sends before the receipt. */
static void test_append__hold_lock_for_receipt__one_at_a_time(void **state)
{
    struct fixture *fixture = fixture_new();
    struct syncq_ticket ticket, second;
    struct mail mail;
    pthread_t threads[4];

    (void)state;
    fixture->config.hold_lock_for_receipt = 1;
    fixture_start(fixture);
    fixture_open(fixture);
    sync_control_start(fixture);
    append_and_hold(fixture, &mail, &ticket);
    assert_int_equal(request_state(fixture, &ticket), SYNCQ_REQUEST_RECEIPT);
    sync_release();
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_one, fixture),
                         0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    mail_init(&mail, 9, 1, 1, 100);
    assert_result(mail_append(fixture->writer, &mail, &second), 0);
    /* append came back, so the helper has the request */
    assert_int_not_equal(request_state(fixture, &second), SYNCQ_REQUEST_SENT);
    assert_result(syncq_ticket_wait(fixture->writer, &second, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &second, SYNCQ_STATUS_SYNCED);
    sync_control_stop();
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_wait__msync_still_runs__no_confirm),
        SYNC_CONTROLLED(test_wait__sent_during_another_sync__waits_for_its_own),
        SYNC_CONTROLLED(test_abandon__before_confirm__cancelled_and_slot_free),
        SYNC_CONTROLLED(test_abandon__finished_after_the_sync__cancelled),
        SYNC_CONTROLLED(test_abandon__after_confirm__durable),
        SYNC_CONTROLLED(test_abandon__races_with_confirm__one_of_them_wins),
        SYNC_CONTROLLED(test_wait__sync_failed__told_and_cancelled),
        SYNC_CONTROLLED(test_wait__channel_removed__detached),
        SYNC_CONTROLLED(test_append__requests_full__changes_nothing),
        cmocka_unit_test(test_append__hold_lock_for_receipt__one_at_a_time),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
