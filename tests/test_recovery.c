/* SPDX-License-Identifier: MIT */
/*
 * test_recovery.c - stops, crashes and power cuts without any damage
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

static void test_recover__new_queue__empty(void **state)
{
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;

    assert_result(fixture_recover(*state, &report, &recovered), 0);
    assert_int_equal(report.records, 0);
    assert_int_equal(report.damage_count, 0);
    assert_int_equal(report.torn_size, 0);
    assert_int_equal(recovered.epoch, 1);
    assert_int_equal(recovered.head_segment, SYNCQ_SEGMENT_NONE);
}

static void test_recover__clean_stop__goes_on_at_the_head(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    struct part_states *before, *after;
    struct mail mails[3];
    uint64_t head;

    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 3; i++)
        mail_store_simple(fixture->writer, &mails[i], i, 2000);
    mail_mark(fixture->writer, mails, 1, SYNCQ_STATUS_DONE, NULL);
    head = fixture->helper.channel->head_lsn;
    fixture_stop(fixture);
    assert_int_not_equal(access(fixture->run, F_OK), -1);
    before = states_read(fixture);
    assert_result(fixture_recover(fixture, &report, &recovered), 0);
    assert_true(report.clean);
    assert_int_equal(report.reason, SYNCQ_REPLAY_TAIL);
    assert_int_equal(report.records, 0);
    assert_int_equal(recovered.head_lsn, head);
    assert_int_equal(recovered.head_segment, 0);
    after = states_read(fixture);
    states_check_equal(after, before);
    free(before);
    free(after);
}

/* What the first segment's page says, with everything stopped. */
static uint32_t first_page_state(struct fixture *fixture, uint32_t set_to)
{
    struct syncq_key key;
    struct syncq_data data;
    struct syncq_segment_page page;
    uint32_t state;
    int directory;

    assert_result(syncq_directory_open(fixture->queue, &directory), 0);
    assert_result(syncq_key_load(directory, &key), 0);
    assert_result(syncq_data_open(directory, 1, &key, &data), 0);
    assert_result(syncq_data_read_segment_page(&data, &key, 0, &page), 0);
    state = page.state;
    if (set_to != 0) {
        page.state = set_to;
        assert_result(syncq_data_write_segment_page(&data, &key, &page), 0);
    }
    syncq_data_close(&data);
    close(directory);
    return state;
}

/*
 * The helper writes that a segment is closed when it finds the time.  Full of
 * mail, and open by its page, it must not be taken for a prepared one.
 */
static void test_recover__clean_stop__left_segment_stays(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[10];
    uint32_t head = 0;

    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 10; i++)
        mail_store_simple(fixture->writer, &mails[i], i, 1 << 20);
    head = fixture->helper.channel->head_segment;
    fixture_stop(fixture);
    assert_int_not_equal(head, 0);
    assert_int_equal(first_page_state(fixture, SYNCQ_SEGMENT_OPEN),
                     SYNCQ_SEGMENT_CLOSED);
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 10; i++) {
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    }
    fixture_stop(fixture);
    assert_int_equal(first_page_state(fixture, 0), SYNCQ_SEGMENT_CLOSED);
}

/* Confirmed mails of all kinds and one that is in an msync. */
struct crash {
    struct mail mails[20];
    struct mail open; /* its msync is stopped */
    struct syncq_ticket ticket;
};

static void crash_prepare(struct fixture *fixture, struct crash *crash)
{
    fixture_start(fixture);
    fixture_open(fixture);
    sync_control_start(fixture);
    for (unsigned i = 0; i < 20; i++) {
        mail_init(&crash->mails[i], i, 1 + i % 4, 1 + i % 4, i * 1000);
        mail_store(fixture->writer, &crash->mails[i]);
    }
    mail_mark(fixture->writer, crash->mails, 5, SYNCQ_STATUS_DONE, NULL);
    mail_mark(fixture->writer, crash->mails + 5, 5, SYNCQ_STATUS_DEFERRED,
              NULL);
    mail_mark(fixture->writer, crash->mails + 10, 3, SYNCQ_STATUS_HELD, NULL);
    sync_hold();
    mail_init(&crash->open, 99, 3, 3, 50000);
    assert_result(mail_append(fixture->writer, &crash->open, &crash->ticket),
                  0);
    sync_wait_held();
}

static void crash_end(struct fixture *fixture, struct crash *crash)
{
    sync_release();
    assert_result(
        syncq_ticket_wait(fixture->writer, &crash->ticket, FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(fixture->writer, &crash->ticket, SYNCQ_STATUS_SYNCED);
    sync_control_stop();
}

static unsigned expected_status(unsigned i)
{
    if (i < 5)
        return SYNCQ_STATUS_DONE;
    if (i < 10)
        return SYNCQ_STATUS_DEFERRED;
    return i < 13 ? SYNCQ_STATUS_HELD : SYNCQ_STATUS_SYNCED;
}

static void check_confirmed(const struct fixture *image,
                            const struct crash *crash, unsigned open_status)
{
    struct syncq_queue *reader = fixture_reader(image);

    for (unsigned i = 0; i < 20; i++) {
        mail_check(reader, &crash->mails[i]);
        for (uint32_t part = 0; part < crash->mails[i].part_count; part++)
            assert_int_equal(mail_status(reader, &crash->mails[i], part),
                             expected_status(i));
    }
    for (uint32_t part = 0; part < crash->open.part_count; part++)
        assert_int_equal(mail_status(reader, &crash->open, part), open_status);
    lists_check(reader);
    (void)log_check(reader, UINT64_MAX); /* nothing was left blank */
    syncq_queue_close(reader);
}

static void test_recover__crash__confirmed_all_there(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    struct fixture *image;
    struct crash crash;

    crash_prepare(fixture, &crash);
    image = fixture_image(fixture);
    crash_end(fixture, &crash);
    assert_result(fixture_recover(image, &report, &recovered), 0);
    assert_false(report.clean);
    assert_int_equal(report.damage_count, 0);
    assert_false(report.marks_missing);
    /* The open one is whole in the page cache, so it may come. */
    check_confirmed(image, &crash, SYNCQ_STATUS_SYNCED);
    assert_int_equal(recovered.head_segment, SYNCQ_SEGMENT_NONE);
    assert_int_equal(recovered.epoch, 2);
    fixture_free(image);
}

static void test_recover__power_cut__confirmed_all_there(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct fixture *image;
    struct crash crash;

    crash_prepare(fixture, &crash);
    image = sync_power_cut();
    crash_end(fixture, &crash);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.damage_count, 0);
    check_confirmed(image, &crash, SYNCQ_STATUS_FREE);
    fixture_free(image);
}

/* Only some pages of the open one reached the disk. */
static void test_recover__torn_tail__void_without_alarm(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct crash crash;
    uint64_t offset;

    crash_prepare(fixture, &crash);
    offset = fixture_offset(fixture->writer, crash.open.lsn);
    for (unsigned page = 0; page < 12; page++) {
        struct fixture *image = fixture_image(fixture);

        fixture_damage(image, SYNCQ_DATA_FILE, offset + page * SYNCQ_PAGE_SIZE,
                       SYNCQ_PAGE_SIZE);
        assert_result(fixture_recover(image, &report, NULL), 0);
        assert_int_equal(report.damage_count, 0);
        assert_int_equal(report.slots_freed, 3);
        assert_true(report.torn_size > 50000);
        assert_false(report.marks_missing);
        check_confirmed(image, &crash, SYNCQ_STATUS_FREE);
        fixture_free(image);
    }
    crash_end(fixture, &crash);
}

static void test_recover__twice__same_set(void **state)
{
    struct fixture *fixture = *state;
    struct part_states *first, *second;
    struct fixture *image;
    struct crash crash;

    crash_prepare(fixture, &crash);
    image = fixture_image(fixture);
    crash_end(fixture, &crash);
    assert_result(fixture_recover(image, NULL, NULL), 0);
    first = states_read(image);
    for (int i = 0; i < 3; i++) {
        assert_result(fixture_recover(image, NULL, NULL), 0);
        second = states_read(image);
        states_check_equal(second, first);
        free(second);
    }
    free(first);
    fixture_free(image);
}

static void check_recovers_to(struct fixture *image,
                              const struct part_states *want)
{
    struct syncq_recovery_report report;
    struct part_states *have;

    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.damage_count, 0);
    have = states_read(image);
    states_check_equal(have, want);
    free(have);
    fixture_free(image);
}

/*
 * Recovery of this image fails at each of its syncs in turn; both what a crash
 * and what a power cut leaves then recovers to the same.
 */
static void interrupt_everywhere(struct fixture *image)
{
    struct fixture *whole = fixture_image(image);
    struct part_states *want;
    uint64_t n = 0;
    int result;

    assert_result(fixture_recover(whole, NULL, NULL), 0);
    want = states_read(whole);
    fixture_free(whole);
    do {
        struct fixture *broken = fixture_image(image);
        struct fixture *cut;

        sync_control_start(broken);
        sync_fail_from(++n);
        result = fixture_recover(broken, NULL, NULL);
        cut = sync_power_cut();
        sync_control_stop();
        check_recovers_to(fixture_image(broken), want);
        check_recovers_to(cut, want);
        fixture_free(broken);
    } while (result != 0);
    assert_in_range(n, 5, 60);
    free(want);
}

static void test_recover__interrupted_anywhere__same_set(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct crash crash;

    crash_prepare(fixture, &crash);
    image = sync_power_cut();
    crash_end(fixture, &crash);
    interrupt_everywhere(image);
    /* And when the index has to be made anew. */
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    interrupt_everywhere(image);
    fixture_free(image);
}

/*
 * After a mere crash the page cache holds a mail that the medium never got,
 * and the kernel may call its pages clean.  Once recovery has called it synced,
 * a power cut must not take it away.
 */
static void
test_recover__crash_then_power_cut__what_was_found_stays(void **state)
{
    struct fixture *fixture = *state;
    struct part_states *want;
    struct fixture *crashed, *cut;
    struct crash crash;

    crash_prepare(fixture, &crash);
    crashed = fixture_image(fixture);
    cut = sync_power_cut();
    crash_end(fixture, &crash);
    sync_control_start_with(crashed, cut);
    assert_result(fixture_recover(crashed, NULL, NULL), 0);
    cut = sync_power_cut();
    sync_control_stop();
    check_confirmed(crashed, &crash, SYNCQ_STATUS_SYNCED);
    want = states_read(crashed);
    check_recovers_to(fixture_image(cut), want);
    /* Also when nothing but the log is left. */
    assert_int_equal(unlink(fixture_path(cut, SYNCQ_INDEX_FILE)), 0);
    check_recovers_to(cut, want);
    free(want);
    fixture_free(crashed);
}

/* It has to be dirty for that: a sync of clean pages writes nothing. */
static void test_recover__crash__what_was_found_is_dirtied(void **state)
{
    enum { SIZE = 4 << 20 };
    struct fixture *fixture = *state;
    struct syncq_ticket ticket;
    struct fixture *image;
    struct mail mail;
    uint64_t before = fixture_dirtied_bytes();

    if (before == 0)
        skip();
    fixture_start(fixture);
    fixture_open(fixture);
    sync_control_start(fixture);
    sync_hold();
    mail_init(&mail, 1, 1, 1, SIZE);
    assert_result(mail_append(fixture->writer, &mail, &ticket), 0);
    sync_wait_held();
    image = fixture_image(fixture);
    sync_release();
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    sync_control_stop();
    fixture_clean_cache(image);
    before = fixture_dirtied_bytes();
    assert_result(fixture_recover(image, NULL, NULL), 0);
    assert_true(fixture_dirtied_bytes() - before >= SIZE);
    fixture_free(image);
}

static int two_checkpoints(struct fixture *fixture, void *context)
{
    return fixture->helper.channel->statistics.index_syncs >=
           *(uint64_t *)context + 2;
}

/* The checkpoint knows the entry as `new`; only the record itself tells. */
static void test_recover__new_below_the_checkpoint__by_its_record(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct fixture *crashed, *cut;
    struct crash crash;
    uint64_t syncs;

    crash_prepare(fixture, &crash);
    syncs = fixture->helper.channel->statistics.index_syncs;
    fixture->config.index_sync_interval_ms = 1;
    fixture_until(fixture, two_checkpoints, &syncs);
    assert_true(atomic_load(&fixture->helper.channel->synced_lsn) >
                crash.open.lsn);
    assert_true(atomic_load(&fixture->helper.channel->durable_lsn) <=
                crash.open.lsn);
    crashed = fixture_image(fixture);
    cut = sync_power_cut();
    crash_end(fixture, &crash);
    assert_result(fixture_recover(crashed, &report, NULL), 0);
    assert_int_equal(report.reason, SYNCQ_REPLAY_TAIL);
    check_confirmed(crashed, &crash, SYNCQ_STATUS_SYNCED);
    assert_result(fixture_recover(cut, &report, NULL), 0);
    assert_int_equal(report.reason, SYNCQ_REPLAY_TAIL);
    assert_int_equal(report.slots_freed, 3);
    check_confirmed(cut, &crash, SYNCQ_STATUS_FREE);
    fixture_free(crashed);
    fixture_free(cut);
}

static void mark_mask(struct fixture *fixture, const struct mail *mail,
                      uint32_t part, uint64_t mask, unsigned status)
{
    struct syncq_mark mark = {
        .sequence = mail->sequence,
        .part = part,
        .state = {.lsn = mail->lsn, .mask = mask, .status = (uint8_t)status}};
    struct syncq_ticket ticket;

    assert_result(syncq_marks_append(fixture->writer, &mark, 1, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

/* All recipients are finished, the reports about them are not sent. */
static void test_recover__all_finished__flushing_until_done(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader;
    struct fixture *image;
    struct mail all, some;

    fixture_start(fixture);
    fixture_open(fixture);
    mail_init(&all, 1, 6, 3, 100);
    mail_store(fixture->writer, &all);
    mail_init(&some, 2, 6, 3, 100);
    mail_store(fixture->writer, &some);
    for (uint32_t part = 0; part < 3; part++) {
        mark_mask(fixture, &all, part, 3, SYNCQ_STATUS_ACTIVE);
        mark_mask(fixture, &some, part, part == 1 ? 1 : 3, SYNCQ_STATUS_ACTIVE);
    }
    image = fixture_image(fixture);
    assert_result(fixture_recover(image, NULL, NULL), 0);
    reader = fixture_reader(image);
    assert_int_equal(mail_status(reader, &all, 0), SYNCQ_STATUS_FLUSHING);
    assert_int_equal(mail_status(reader, &all, 1), SYNCQ_STATUS_DONE);
    assert_int_equal(mail_status(reader, &all, 2), SYNCQ_STATUS_DONE);
    assert_int_equal(mail_status(reader, &some, 0), SYNCQ_STATUS_ACTIVE);
    assert_int_equal(mail_status(reader, &some, 1), SYNCQ_STATUS_ACTIVE);
    assert_int_equal(mail_status(reader, &some, 2), SYNCQ_STATUS_DONE);
    syncq_queue_close(reader);
    fixture_free(image);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_recover__new_queue__empty),
        QUEUE(test_recover__clean_stop__goes_on_at_the_head),
        QUEUE(test_recover__clean_stop__left_segment_stays),
        QUEUE(test_recover__crash__confirmed_all_there),
        QUEUE(test_recover__power_cut__confirmed_all_there),
        QUEUE(test_recover__torn_tail__void_without_alarm),
        QUEUE(test_recover__twice__same_set),
        QUEUE(test_recover__interrupted_anywhere__same_set),
        QUEUE(test_recover__crash_then_power_cut__what_was_found_stays),
        QUEUE(test_recover__crash__what_was_found_is_dirtied),
        QUEUE(test_recover__new_below_the_checkpoint__by_its_record),
        QUEUE(test_recover__all_finished__flushing_until_done),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
