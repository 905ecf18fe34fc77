/* SPDX-License-Identifier: MIT */
/*
 * test_gate.c - what the channel carries beside appends: the gate, arrivals,
 * counters
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/statistics.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

static void test_gate__new_channel__closed(void **state)
{
    struct fixture *fixture = *state;
    char text[SYNCQ_GATE_TEXT_SIZE];

    assert_false(syncq_gate_get(fixture->writer, text));
    assert_true(strlen(text) > 0);
}

static void test_gate__opened_and_closed__seen_by_others(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader = fixture_reader(fixture);
    char text[SYNCQ_GATE_TEXT_SIZE];
    char longer[SYNCQ_GATE_TEXT_SIZE * 2];

    syncq_gate_set(fixture->writer, "");
    assert_true(syncq_gate_get(reader, text));
    assert_string_equal(text, "");
    syncq_gate_set(fixture->writer, "milter_header_checks is not empty");
    assert_false(syncq_gate_get(reader, text));
    assert_string_equal(text, "milter_header_checks is not empty");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    syncq_gate_set(fixture->writer, longer);
    assert_false(syncq_gate_get(reader, text));
    assert_int_equal(strlen(text), SYNCQ_GATE_TEXT_SIZE - 1);
    syncq_gate_set(reader, ""); /* not a writer: no effect, no crash */
    assert_false(syncq_gate_get(fixture->writer, text));
    syncq_queue_close(reader);
}

static void
test_gate__manager_died_while_it_wrote__closed_without_text(void **state)
{
    struct fixture *fixture = *state;
    char text[SYNCQ_GATE_TEXT_SIZE];

    atomic_fetch_or(&fixture->helper.channel->gate_change, 1);
    memset(fixture->helper.channel->gate_text, 'y', SYNCQ_GATE_TEXT_SIZE);
    assert_false(syncq_gate_get(fixture->writer, text));
    assert_null(strchr(text, 'y'));
    syncq_gate_set(fixture->writer, "again");
    assert_false(syncq_gate_get(fixture->writer, text));
    assert_string_equal(text, "again");
}

static void test_gate__no_helper__closed(void **state)
{
    struct fixture *fixture = fixture_new();
    struct syncq_queue *reader = fixture_reader(fixture);
    char text[SYNCQ_GATE_TEXT_SIZE];

    (void)state;
    assert_false(syncq_gate_get(reader, text));
    assert_string_equal(text, "no sync helper runs");
    syncq_queue_close(reader);
    fixture_free(fixture);
}

static void test_arrivals__sent__read_and_counted(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_arrival arrivals[8];
    struct syncq_ticket ticket;
    struct mail mail;
    int fd = -1;

    assert_result(syncq_arrivals_open(fixture->writer, &fd), 0);
    assert_int_equal(syncq_arrivals_count(fixture->writer), 0);
    assert_int_equal(read(fd, arrivals, sizeof arrivals), -1);
    assert_int_equal(errno, EAGAIN);
    mail_init(&mail, 1, 7, 3, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_arrival_send(fixture->writer, &ticket);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    assert_int_equal(syncq_arrivals_count(fixture->writer), 3);
    assert_int_equal(read(fd, arrivals, sizeof arrivals),
                     3 * sizeof arrivals[0]);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(arrivals[i].sequence, mail.sequence);
        assert_int_equal(arrivals[i].slot, mail.slots[i]);
        assert_int_equal(arrivals[i].part, i);
    }
    close(fd);
}

/* Nobody reads: notices are lost, the counter is right, nobody waits. */
static void test_arrivals__fifo_full__counted(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct mail mail;

    mail_init(&mail, 1, MAIL_PARTS_MAX, MAIL_PARTS_MAX, 100);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    for (int i = 0; i < 1000; i++)
        syncq_arrival_send(fixture->writer, &ticket);
    assert_int_equal(syncq_arrivals_count(fixture->writer),
                     1000 * MAIL_PARTS_MAX);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

static void test_arrivals__not_a_fifo__refused(void **state)
{
    struct fixture *fixture = *state;
    char path[1024];
    int fd = -1;

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_ARRIVALS_FILE, fixture->run);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_result(syncq_arrivals_open(fixture->writer, &fd), SYNCQ_ERR_MODE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_result(syncq_arrivals_open(fixture->writer, &fd), ELOOP);
    assert_int_equal(fd, -1);
}

static void test_statistics__appends__counted(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_statistics statistics;
    struct syncq_queue *reader;
    struct fixture *stopped = fixture_new();
    struct mail mail;

    for (unsigned i = 0; i < 5; i++)
        mail_store_simple(fixture->writer, &mail, i, 1000);
    fixture_until_durable(fixture);
    syncq_statistics_capture(fixture->writer, 3);
    syncq_statistics_capture(fixture->writer, 8); /* no such outcome */
    assert_result(syncq_statistics_read(fixture->writer, &statistics), 0);
    assert_int_equal(statistics.appends, 5);
    assert_int_equal(statistics.batches, 5);
    assert_int_equal(statistics.append_bytes, 5 * 1280);
    assert_int_equal(statistics.captures[3], 1);
    assert_int_equal(statistics.durable_lsn, statistics.head_lsn);
    assert_true(syncq_histogram_quantile(&statistics.confirm_us, 0.5) > 0);
    reader = fixture_reader(stopped);
    assert_result(syncq_statistics_read(reader, &statistics),
                  SYNCQ_ERR_NO_HELPER);
    syncq_queue_close(reader);
    fixture_free(stopped);
}

#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_gate__new_channel__closed),
        RUNNING(test_gate__opened_and_closed__seen_by_others),
        RUNNING(test_gate__manager_died_while_it_wrote__closed_without_text),
        cmocka_unit_test(test_gate__no_helper__closed),
        RUNNING(test_arrivals__sent__read_and_counted),
        RUNNING(test_arrivals__fifo_full__counted),
        RUNNING(test_arrivals__not_a_fifo__refused),
        RUNNING(test_statistics__appends__counted),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
