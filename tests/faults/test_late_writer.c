/* SPDX-License-Identifier: MIT */
/*
 * test_late_writer.c - a writer that was stopped in the middle of its copy for
 * longer than a lap, and then goes on
 *
 * Its late pwritev(2) goes where its reservation was.  So that nothing else
 * can be there by then, a segment with an open request is never given back,
 * and no channel is made anew while a process that has the data file open for
 * writing lives.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/writer_process.h"

enum {
    SIZE = 1 << 20,
    MAILS_MAX = 64,
    LAPS = 3,
    LATE_SIZE = 64 << 10,
};

/* ---- the writer ---- */

static void report(int to, const void *bytes, size_t size)
{
    if (write(to, bytes, size) != (ssize_t)size)
        _exit(102);
}

/* Reserve, stop, and copy late. */
static void copy_late(struct syncq_queue *queue, int to, void *context)
{
    struct syncq_reservation reservation;
    uint8_t *bytes = malloc(LATE_SIZE);
    struct iovec piece = {bytes, LATE_SIZE};
    uint32_t slots[2];

    (void)context;
    if (bytes == NULL || syncq_reserve(queue, SYNCQ_RESERVE_MESSAGE, LATE_SIZE,
                                       2, slots, &reservation) != 0)
        _exit(103);
    memset(bytes, 'x', LATE_SIZE);
    report(to, &reservation, sizeof reservation);
    (void)raise(SIGSTOP);
    if (syncq_data_write(&queue->data, reservation.segment, reservation.offset,
                         &piece, 1) != 0)
        _exit(104);
    report(to, "c", 1);
}

static void start_late(struct fixture *fixture, struct writer_process *writer,
                       struct syncq_reservation *reservation)
{
    int status;

    writer_start(writer, fixture, copy_late, NULL);
    writer_read(writer, reservation, sizeof *reservation);
    assert_int_equal(waitpid(writer->pid, &status, WUNTRACED), writer->pid);
    assert_true(WIFSTOPPED(status));
}

static void go_on(struct writer_process *writer)
{
    char byte;

    assert_int_equal(kill(writer->pid, SIGCONT), 0);
    writer_read(writer, &byte, 1);
}

/* ---- the others ---- */

/* Mail until the queue is full. */
static uint32_t fill(struct fixture *fixture, struct mail *mails, unsigned seed)
{
    for (uint32_t count = 0; count < MAILS_MAX; count++) {
        struct syncq_ticket ticket;
        int result;

        mail_init(&mails[count], seed + count, 1, 1, SIZE);
        result = mail_append(fixture->writer, &mails[count], &ticket);
        if (result == SYNCQ_ERR_SEGMENTS_FULL)
            return count;
        assert_result(result, 0);
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    }
    fail_msg("the queue never gets full");
    return 0;
}

struct wanted {
    uint32_t segment;
};

static int is_free(struct fixture *fixture, void *context)
{
    const struct wanted *wanted = context;
    struct syncq_channel *channel = fixture->writer->handle.channel;

    syncq_channel_ring(channel);
    return atomic_load(&channel->segments[wanted->segment].state) ==
               SYNCQ_SEGMENT_FREE ||
           channel->next_segment == wanted->segment;
}

/* Give back all that can be; how many segments. */
static unsigned retire_all(struct fixture *fixture)
{
    struct wanted wanted;
    struct syncq_mark *marks;
    uint32_t count;
    unsigned retired = 0;

    while (syncq_retire_find(fixture->writer, &wanted.segment, &marks,
                             &count) == 0) {
        struct syncq_ticket ticket;

        if (count > 0) {
            assert_result(
                syncq_marks_append(fixture->writer, marks, count, &ticket), 0);
            assert_result(
                syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                0);
            syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
        }
        free(marks);
        syncq_retire_ask(fixture->writer, wanted.segment);
        fixture_until(fixture, is_free, &wanted);
        retired++;
    }
    return retired;
}

static int is_answered(struct fixture *fixture, void *context)
{
    const struct wanted *wanted = context;

    return !atomic_load(
        &fixture->helper.channel->segments[wanted->segment].ask);
}

/* More than a lap: the queue gets full, all is done, and again. */
static void lap(struct fixture *fixture, unsigned number,
                const struct syncq_reservation *reservation)
{
    struct syncq_channel *channel = fixture->writer->handle.channel;
    const struct syncq_channel_segment *segment =
        &channel->segments[reservation->segment];
    uint64_t base = reservation->lsn - reservation->offset;
    struct mail mails[MAILS_MAX];
    uint32_t count = fill(fixture, mails, number * MAILS_MAX);

    assert_int_not_equal(count, 0);
    for (uint32_t i = 0; i < count; i++)
        mail_check(fixture->writer, &mails[i]);
    mail_mark(fixture->writer, mails, count, SYNCQ_STATUS_DONE, NULL);
    assert_int_not_equal(retire_all(fixture), 0);
    /* Even when somebody asks for it. */
    syncq_retire_ask(fixture->writer, reservation->segment);
    fixture_until(fixture, is_answered, &(struct wanted){reservation->segment});
    assert_int_equal(atomic_load(&segment->base_lsn), base);
    assert_int_not_equal(atomic_load(&segment->state), SYNCQ_SEGMENT_FREE);
}

/* What is there is whole, and the log has no hole. */
static int is_settled(struct fixture *fixture, void *context)
{
    struct syncq_channel *channel = fixture->writer->handle.channel;

    (void)context;
    return atomic_load(&channel->durable_lsn) == channel->head_lsn;
}

static void check_all(struct fixture *fixture, const struct mail *mails,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    }
    fixture_until(fixture, is_settled, NULL);
    (void)log_check(fixture->writer,
                    atomic_load(&fixture->writer->handle.channel->durable_lsn));
    lists_check(fixture->writer);
}

static void test_writer__stopped_for_laps__hurts_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct syncq_reservation reservation;
    struct mail mails[MAILS_MAX];
    uint32_t count;

    start_late(fixture, &writer, &reservation);
    for (unsigned i = 0; i < LAPS; i++)
        lap(fixture, i, &reservation);
    count = fill(fixture, mails, LAPS * MAILS_MAX);
    go_on(&writer);
    for (uint32_t i = 0; i < count; i++)
        mail_check(fixture->writer, &mails[i]);
    writer_kill(&writer);
    check_all(fixture, mails, count);
}

/* The helper dies meanwhile; its successor knows of the reservation. */
static void test_writer__stopped_over_a_takeover__hurts_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer, helper;
    struct syncq_reservation reservation;
    struct mail mails[MAILS_MAX];
    uint32_t count;

    helper_process_start(&helper, fixture, 0);
    fixture_open(fixture);
    start_late(fixture, &writer, &reservation);
    writer_kill(&helper);
    fixture_start(fixture);
    for (unsigned i = 0; i < LAPS; i++)
        lap(fixture, i, &reservation);
    count = fill(fixture, mails, LAPS * MAILS_MAX);
    go_on(&writer);
    writer_kill(&writer);
    check_all(fixture, mails, count);
}

/* The channel is removed meanwhile.  No helper makes another one, and nobody
 * recovers the queue, as long as the writer lives. */
static void
test_writer__stopped_and_channel_removed__nobody_starts(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process helper, writer;
    struct syncq_reservation reservation;
    struct mail mail;
    char path[600];

    /* All in processes of their own: a lock is inherited over fork. */
    helper_process_start(&helper, fixture, 0);
    start_late(fixture, &writer, &reservation);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE, fixture->run);
    assert_int_equal(unlink(path), 0);
    writer_kill(&helper);
    assert_result(fixture_recover(fixture, NULL, NULL), SYNCQ_ERR_BUSY);
    go_on(&writer);
    assert_result(fixture_recover(fixture, NULL, NULL), SYNCQ_ERR_BUSY);
    writer_kill(&writer);
    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 2, 1000);
    assert_true(mail.lsn > reservation.lsn);
    check_all(fixture, &mail, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_writer__stopped_for_laps__hurts_nobody, fixture_setup_running,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_writer__stopped_over_a_takeover__hurts_nobody, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_writer__stopped_and_channel_removed__nobody_starts,
            fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
