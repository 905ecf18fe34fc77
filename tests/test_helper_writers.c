/* SPDX-License-Identifier: MIT */
/*
 * test_helper_writers.c - the helper finishes for writers that die
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"
#include "tests/writer_process.h"

static void report(int to, const void *bytes, size_t size)
{
    if (write(to, bytes, size) != (ssize_t)size)
        _exit(102);
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

/* The queue works, the log has no hole, and the lists hold together. */
static void check_queue(struct fixture *fixture, uint32_t used_count)
{
    struct mail mail;

    fixture_until(fixture, nothing_open, NULL);
    assert_int_equal(count_used(fixture->writer), used_count);
    lists_check(fixture->writer);
    mail_store_simple(fixture->writer, &mail, 99, 777);
    mail_check(fixture->writer, &mail);
    fixture_until_durable(fixture);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
}

static void reserve_only(struct syncq_queue *queue, int to, void *context)
{
    struct syncq_reservation reservation;
    uint32_t slots[3];

    (void)context;
    if (syncq_reserve(queue, SYNCQ_RESERVE_MESSAGE, 8192, 3, slots,
                      &reservation) != 0)
        _exit(103);
    report(to, &reservation, sizeof reservation);
}

static void test_writer__dies_after_reserve__void_and_slots_back(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_reservation reservation;
    struct writer_process writer;
    struct mail mail;

    writer_start(&writer, fixture, reserve_only, NULL);
    writer_read(&writer, &reservation, sizeof reservation);
    /* Others are not held up for long, and are durable above the hole. */
    mail_store_simple(fixture->writer, &mail, 1, 100);
    assert_true(mail.lsn > reservation.lsn);
    assert_true(atomic_load(&fixture->helper.channel->durable_lsn) <=
                reservation.lsn);
    writer_kill(&writer);
    check_queue(fixture, 1);
    assert_int_equal(fixture->helper.channel->statistics.voided, 1);
    mail_check(fixture->writer, &mail);
}

static void copy_without_request(struct syncq_queue *queue, int to,
                                 void *context)
{
    struct syncq_reservation reservation;
    uint32_t slots[3];
    uint8_t *map;

    (void)context;
    if (syncq_reserve(queue, SYNCQ_RESERVE_MESSAGE, 8192, 3, slots,
                      &reservation) != 0 ||
        syncq_data_map(&queue->data, reservation.segment, &map) != 0)
        _exit(103);
    for (uint16_t i = 0; i < 3; i++) {
        struct syncq_entry_view view = {
            .sequence = reservation.sequence,
            .slot = slots[i],
            .part = i,
            .part_count = 3,
            .recipient_count = 1,
            .type = SYNCQ_RECORD_SMTP,
            .state = {.lsn = reservation.lsn, .status = SYNCQ_STATUS_NEW}};

        if (i < 2) /* died before the last one */
            syncq_index_write_identity(&queue->index, &view);
    }
    memset(map + reservation.offset, 'x', 5000);
    report(to, &reservation, sizeof reservation);
}

static void test_writer__dies_while_it_copies__void_and_slots_back(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_reservation reservation;
    struct writer_process writer;

    writer_start(&writer, fixture, copy_without_request, NULL);
    writer_read(&writer, &reservation, sizeof reservation);
    writer_kill(&writer);
    check_queue(fixture, 0);
}

struct step {
    int wait, abandon, finish;
    struct mail mail;
};

static void append_and_stop(struct syncq_queue *queue, int to, void *context)
{
    struct step *step = context;
    struct syncq_ticket ticket;

    mail_init(&step->mail, 5, 6, 3, 6000);
    if (mail_append(queue, &step->mail, &ticket) != 0)
        _exit(103);
    if (step->wait && syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS) != 0)
        _exit(104);
    if (step->abandon && syncq_ticket_abandon(queue, &ticket) != 0)
        _exit(105);
    if (step->finish)
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    report(to, &step->mail, sizeof step->mail);
}

static void check_parts(struct fixture *fixture, const struct mail *mail,
                        unsigned status)
{
    for (uint32_t part = 0; part < mail->part_count; part++)
        assert_int_equal(mail_status(fixture->writer, mail, part), status);
    mail_check(fixture->writer, mail);
    for (uint32_t part = 0; part < mail->part_count; part++)
        assert_int_equal(fixture->writer->index.entries[mail->slots[part]].lock,
                         0);
}

static void test_writer__dies_after_request__synced_for_it(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct step step = {0};

    sync_hold();
    writer_start(&writer, fixture, append_and_stop, &step);
    writer_read(&writer, &step.mail, sizeof step.mail);
    sync_wait_held();
    writer_kill(&writer);
    sync_release();
    check_queue(fixture, 3);
    check_parts(fixture, &step.mail, SYNCQ_STATUS_SYNCED);
    /* Nobody sent notices: the manager sees by the counter that it has to
     * look. */
    assert_int_equal(syncq_arrivals_count(fixture->writer), 3);
}

static void test_writer__dies_after_confirm__synced_for_it(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct step step = {.wait = 1};

    writer_start(&writer, fixture, append_and_stop, &step);
    writer_read(&writer, &step.mail, sizeof step.mail);
    assert_int_equal(mail_status(fixture->writer, &step.mail, 0),
                     SYNCQ_STATUS_NEW);
    writer_kill(&writer);
    check_queue(fixture, 3);
    check_parts(fixture, &step.mail, SYNCQ_STATUS_SYNCED);
}

static void test_writer__dies_after_abandon__cancelled_for_it(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct step step = {.abandon = 1};

    sync_hold();
    writer_start(&writer, fixture, append_and_stop, &step);
    writer_read(&writer, &step.mail, sizeof step.mail);
    writer_kill(&writer);
    sync_release();
    check_queue(fixture, 3);
    check_parts(fixture, &step.mail, SYNCQ_STATUS_CANCELLED);
}

static void test_writer__dies_after_finish__as_it_said(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct step step = {.wait = 1, .finish = 1};

    writer_start(&writer, fixture, append_and_stop, &step);
    writer_read(&writer, &step.mail, sizeof step.mail);
    writer_kill(&writer);
    check_queue(fixture, 3);
    check_parts(fixture, &step.mail, SYNCQ_STATUS_SYNCED);
}

/* A confirm that its writer never saw, then a stop: it is no clean one as
 * long as the parts are not finished, and nothing is lost by it. */
static void
test_writer__dies_before_finish_and_helper_stops__synced(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report recovery;
    struct writer_process writer;
    struct step step = {.wait = 1};
    struct syncq_queue *reader;

    writer_start(&writer, fixture, append_and_stop, &step);
    writer_read(&writer, &step.mail, sizeof step.mail);
    writer_kill(&writer);
    fixture_stop(fixture);
    assert_result(fixture_recover(fixture, &recovery, NULL), 0);
    reader = fixture_reader(fixture);
    for (uint32_t part = 0; part < 3; part++)
        assert_int_equal(mail_status(reader, &step.mail, part),
                         SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
}

/* The same registration byte, another process: not its requests. */
static void test_writer__registration_reused__requests_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_reservation reservation;
    struct writer_process dead, living;

    writer_start(&dead, fixture, reserve_only, NULL);
    writer_read(&dead, &reservation, sizeof reservation);
    writer_kill(&dead);
    writer_start(&living, fixture, reserve_only, NULL);
    writer_read(&living, &reservation, sizeof reservation);
    while (fixture->helper.channel->statistics.voided == 0)
        keeper_wake(&fixture->helper);
    assert_int_equal(
        atomic_load(&fixture->helper.channel->states[reservation.request]),
        SYNCQ_REQUEST_RESERVED);
    writer_kill(&living);
    check_queue(fixture, 0);
    assert_int_equal(fixture->helper.channel->statistics.voided, 2);
}

/* The checkpoint knows the dead writer's entries, and nothing after it does:
 * that its place is void says that nothing was lost. */
static void test_writer__dies_after_checkpoint__no_false_alarm(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_reservation reservation;
    struct syncq_recovery_report recovery;
    struct writer_process writer;
    struct mail mails[2];
    struct syncq_queue *reader;
    struct fixture *cut;

    writer_start(&writer, fixture, copy_without_request, NULL);
    writer_read(&writer, &reservation, sizeof reservation);
    assert_result(checkpoint_write(&fixture->helper, 0), 0);
    writer_kill(&writer);
    fixture_until(fixture, nothing_open, NULL);
    for (unsigned i = 0; i < 2; i++) { /* the second knows of the void */
        mail_store_simple(fixture->writer, &mails[i], i + 1, 100);
        fixture_until_durable(fixture);
    }
    cut = sync_power_cut();
    assert_result(fixture_recover(cut, &recovery, NULL), 0);
    assert_int_equal(recovery.reason, SYNCQ_REPLAY_TAIL);
    assert_int_equal(recovery.parts_lost, 0);
    assert_int_equal(recovery.slots_freed, 2);
    reader = fixture_reader(cut);
    for (unsigned i = 0; i < 2; i++) {
        mail_check(reader, &mails[i]);
        assert_int_equal(mail_status(reader, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    }
    assert_int_equal(count_used(reader), 2);
    syncq_queue_close(reader);
    fixture_free(cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_writer__dies_after_reserve__void_and_slots_back),
        SYNC_CONTROLLED(test_writer__dies_while_it_copies__void_and_slots_back),
        SYNC_CONTROLLED(test_writer__dies_after_request__synced_for_it),
        SYNC_CONTROLLED(test_writer__dies_after_confirm__synced_for_it),
        SYNC_CONTROLLED(test_writer__dies_after_abandon__cancelled_for_it),
        SYNC_CONTROLLED(test_writer__dies_after_finish__as_it_said),
        SYNC_CONTROLLED(
            test_writer__dies_before_finish_and_helper_stops__synced),
        SYNC_CONTROLLED(test_writer__registration_reused__requests_told_apart),
        SYNC_CONTROLLED(test_writer__dies_after_checkpoint__no_false_alarm),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
