/* SPDX-License-Identifier: MIT */
/*
 * test_retire.c - segments without live mail are given back, and what they
 * knew about other mail is carried on
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/index_format.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { BIG_SIZE = 1 << 20, MAILS_MAX = 64 };

/* One big mail after the other until only the last segment is left. */
static uint32_t fill(struct fixture *fixture, struct mail *mails)
{
    uint32_t count = 0;

    for (; count < MAILS_MAX; count++) {
        struct syncq_ticket ticket;
        int result;

        mail_init(&mails[count], count, 1, 1, BIG_SIZE);
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

static uint32_t segment_of(struct fixture *fixture, uint64_t lsn)
{
    uint64_t base;
    uint32_t segment;

    assert_result(syncq_segment_find(fixture->writer, lsn, &segment, &base), 0);
    return segment;
}

static int segment_is_free(struct fixture *fixture, void *context)
{
    const struct syncq_channel *channel = fixture->helper.channel;
    const uint32_t *segment = context;

    return atomic_load(&channel->segments[*segment].state) ==
               SYNCQ_SEGMENT_FREE &&
           !channel->next_is_last; /* the last thing to be done */
}

static void carry_on(struct fixture *fixture, const struct syncq_mark *marks,
                     uint32_t count)
{
    struct syncq_ticket ticket;

    if (count == 0)
        return;
    assert_result(syncq_marks_append(fixture->writer, marks, count, &ticket),
                  0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

static void retire(struct fixture *fixture, uint32_t expected)
{
    struct syncq_mark *marks;
    uint32_t segment, count;

    assert_result(syncq_retire_find(fixture->writer, &segment, &marks, &count),
                  0);
    assert_int_equal(segment, expected);
    carry_on(fixture, marks, count);
    free(marks);
    syncq_retire_ask(fixture->writer, segment);
    fixture_until(fixture, segment_is_free, &segment);
}

static void test_retire__live_mail_everywhere__nothing_found(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[MAILS_MAX];
    struct syncq_mark *marks;
    uint32_t segment, count;

    (void)fill(fixture, mails);
    assert_result(syncq_retire_find(fixture->writer, &segment, &marks, &count),
                  SYNCQ_ERR_SEGMENTS_FULL);
}

static void test_retire__oldest_is_done__space_for_new_mail(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[MAILS_MAX], more;
    uint32_t count = fill(fixture, mails), done = 0, first, used;

    first = segment_of(fixture, mails[0].lsn);
    while (segment_of(fixture, mails[done].lsn) == first)
        done++;
    mail_mark(fixture->writer, mails, done, SYNCQ_STATUS_DONE, NULL);
    used = count_used(fixture->writer);
    retire(fixture, first);
    assert_int_equal(count_used(fixture->writer), used - done);
    mail_store_simple(fixture->writer, &more, 99, BIG_SIZE);
    mail_check(fixture->writer, &more);
    for (uint32_t i = done; i < count; i++)
        mail_check(fixture->writer, &mails[i]);
}

/*
 * Marks about mail of a later segment lie in a segment that goes.  After a
 * loss of the index that mail must still be known as done.
 */
static void test_retire__marks_about_others__carried_on(void **state)
{
    struct fixture *fixture = *state, *image;
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    struct mail first, mails[MAILS_MAX];
    struct syncq_queue *reader;
    uint32_t count, from, done = 1, marked;

    mail_store_simple(fixture->writer, &first, 500, 1000);
    from = segment_of(fixture, first.lsn);
    count = fill(fixture, mails);
    while (segment_of(fixture, mails[done - 1].lsn) == from)
        done++;
    /* mails[done - 1] is the first of the second segment; its marks and those
     * of the first segment's mails lie in the last one. */
    mail_mark(fixture->writer, &first, 1, SYNCQ_STATUS_DONE, NULL);
    mail_mark(fixture->writer, mails, done, SYNCQ_STATUS_DONE, NULL);
    retire(fixture, from);
    marked = count_status(fixture->writer, SYNCQ_STATUS_DONE);
    assert_int_equal(marked, 1);

    image = fixture_image(fixture);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(image, &report, &recovered), 0);
    assert_int_equal(report.damage_count, 0);
    reader = fixture_reader(image);
    for (uint32_t i = 0; i + 1 < done; i++)
        assert_int_equal(mail_status(reader, &mails[i], 0), SYNCQ_STATUS_FREE);
    assert_int_equal(mail_status(reader, &mails[done - 1], 0),
                     SYNCQ_STATUS_DONE);
    for (uint32_t i = done; i < count; i++)
        assert_int_equal(mail_status(reader, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_free(image);
}

/* The marks record itself is in the segment that is retired. */
static void test_retire__marks_inside__the_state_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[MAILS_MAX];
    struct syncq_mark *marks;
    struct mail later;
    uint32_t count, segment, mark_count, done = 0, first;
    uint64_t marks_lsn;

    mail_store_simple(fixture->writer, &later, 700, 1000);
    mail_mark(fixture->writer, &later, 1, SYNCQ_STATUS_DEFERRED, &marks_lsn);
    count = fill(fixture, mails);
    (void)count;
    first = segment_of(fixture, later.lsn);
    assert_int_equal(segment_of(fixture, marks_lsn), first);
    while (segment_of(fixture, mails[done].lsn) == first)
        done++;
    mail_mark(fixture->writer, mails, done, SYNCQ_STATUS_DONE, NULL);
    /* The deferred mail keeps its segment. */
    assert_result(
        syncq_retire_find(fixture->writer, &segment, &marks, &mark_count),
        SYNCQ_ERR_SEGMENTS_FULL);
    mail_mark(fixture->writer, &later, 1, SYNCQ_STATUS_CANCELLED, NULL);
    retire(fixture, first);
    assert_int_equal(mail_status(fixture->writer, &later, 0),
                     SYNCQ_STATUS_FREE);
}

static void test_retire__asked_with_live_mail__helper_refuses(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[MAILS_MAX];
    uint32_t count = fill(fixture, mails);
    uint32_t first = segment_of(fixture, mails[0].lsn);

    syncq_retire_ask(fixture->writer, first);
    fixture_stop(fixture); /* the keeper has looked by then */
    fixture_start(fixture);
    fixture_open(fixture);
    assert_int_equal(count_status(fixture->writer, SYNCQ_STATUS_SYNCED), count);
    mail_check(fixture->writer, &mails[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_retire__live_mail_everywhere__nothing_found,
            fixture_setup_running, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_retire__oldest_is_done__space_for_new_mail,
            fixture_setup_running, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_retire__marks_about_others__carried_on, fixture_setup_running,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_retire__marks_inside__the_state_is_found,
            fixture_setup_running, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            test_retire__asked_with_live_mail__helper_refuses,
            fixture_setup_running, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown) != 0;
}
