/* SPDX-License-Identifier: MIT */
/*
 * test_retire_laps.c - a queue that is filled and emptied again and again, and
 * what is carried on from the segments that go
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { SIZE = 1 << 20, PER_SEGMENT = 7 };

static uint32_t segment_state(const struct fixture *fixture, uint32_t segment)
{
    return atomic_load(&fixture->helper.channel->segments[segment].state);
}

static void store(struct fixture *fixture, struct mail *mails, unsigned first,
                  unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        mail_store_simple(fixture->writer, &mails[i], i, SIZE);
}

static int is_free(struct fixture *fixture, void *context)
{
    const uint32_t *segment = context;

    return segment_state(fixture, *segment) == SYNCQ_SEGMENT_FREE ||
           fixture->helper.channel->next_segment == *segment;
}

/* What the queue manager does; the segment that was retired. */
static uint32_t retire_one(struct fixture *fixture, uint32_t *carried)
{
    struct syncq_mark *marks = NULL;
    struct syncq_ticket ticket;
    uint32_t segment = 99;

    assert_result(syncq_retire_find(fixture->writer, &segment, &marks, carried),
                  0);
    if (*carried > 0) {
        assert_result(
            syncq_marks_append(fixture->writer, marks, *carried, &ticket), 0);
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    }
    free(marks);
    syncq_retire_ask(fixture->writer, segment);
    fixture_until(fixture, is_free, &segment);
    return segment;
}

static int find_result(struct fixture *fixture)
{
    struct syncq_mark *marks = NULL;
    uint32_t segment, count;
    int result = syncq_retire_find(fixture->writer, &segment, &marks, &count);

    if (result == 0)
        free(marks);
    return result;
}

/* The last word about a mail in the first segment lies in the second one. */
static void test_retire__last_words_in_it__carried_on(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_queue *reader;
    struct mail mails[3 * PER_SEGMENT];
    uint32_t carried;

    store(fixture, mails, 0, PER_SEGMENT);
    store(fixture, mails, PER_SEGMENT, 1);
    mail_mark(fixture->writer, mails, 3, SYNCQ_STATUS_DEFERRED, NULL);
    mail_mark(fixture->writer, mails + 3, 2, SYNCQ_STATUS_DONE, NULL);
    store(fixture, mails, PER_SEGMENT + 1, 2 * PER_SEGMENT - 2);
    mail_mark(fixture->writer, mails + PER_SEGMENT, PER_SEGMENT,
              SYNCQ_STATUS_DONE, NULL);
    assert_int_equal(retire_one(fixture, &carried), 1);
    assert_int_equal(carried, 5);
    image = fixture_image(fixture);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(image, NULL, NULL), 0);
    reader = fixture_reader(image);
    for (unsigned i = 0; i < PER_SEGMENT; i++)
        assert_int_equal(mail_status(reader, &mails[i], 0),
                         i < 3   ? SYNCQ_STATUS_DEFERRED
                         : i < 5 ? SYNCQ_STATUS_DONE
                                 : SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_free(image);
}

/* A full queue takes mail again as soon as a segment is free. */
static void test_retire__full_queue__goes_on_for_many_laps(void **state)
{
    struct fixture *fixture = *state;
    struct mail mails[PER_SEGMENT * FIXTURE_SEGMENT_COUNT];
    uint32_t carried;
    uint64_t lsn = 0;

    for (unsigned lap = 0; lap < 3 * FIXTURE_SEGMENT_COUNT; lap++) {
        struct syncq_ticket ticket;
        unsigned count = 0;

        for (;;) {
            int result;

            mail_init(&mails[count], lap * 100 + count, 1, 1, SIZE);
            result = mail_append(fixture->writer, &mails[count], &ticket);
            if (result != 0) {
                assert_result(result, SYNCQ_ERR_SEGMENTS_FULL);
                break;
            }
            assert_true(ticket.lsn > lsn);
            lsn = ticket.lsn;
            assert_result(
                syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                0);
            syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
            count++;
        }
        assert_in_range(count, PER_SEGMENT - 1, 3 * PER_SEGMENT);
        for (unsigned i = 0; i < count; i++)
            mail_check(fixture->writer, &mails[i]);
        mail_mark(fixture->writer, mails, count, SYNCQ_STATUS_DONE, NULL);
        while (find_result(fixture) == 0)
            (void)retire_one(fixture, &carried);
    }
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
    lists_check(fixture->writer);
}

#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_retire__last_words_in_it__carried_on),
        RUNNING(test_retire__full_queue__goes_on_for_many_laps),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
