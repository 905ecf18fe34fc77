/* SPDX-License-Identifier: MIT */
/*
 * test_numbers.c - no LSN and no sequence number is ever given twice, also
 * when what had them was never written
 */
#include <stdlib.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

/* What has been given out so far: everything below. */
struct given {
    uint64_t lsn, sequence;
};

static void note(struct given *given, uint64_t lsn, uint64_t size,
                 uint64_t sequence)
{
    assert_true(lsn >= given->lsn);
    assert_true(sequence > given->sequence);
    given->lsn = lsn + size;
    given->sequence = sequence;
}

/* Reserve, and give it back: all of it, or the slots are kept by a writer that
 * never says another word. */
static void reserve_one(struct fixture *fixture, struct given *given,
                        int cancel)
{
    struct syncq_reservation reservation;
    struct syncq_ticket ticket = {0};
    uint32_t *slots = calloc(3, sizeof *slots);

    assert_non_null(slots);
    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MESSAGE, 8192, 3,
                                slots, &reservation),
                  0);
    note(given, reservation.lsn, reservation.size, reservation.sequence);
    if (!cancel) {
        free(slots);
        return;
    }
    ticket = (struct syncq_ticket){.sequence = reservation.sequence,
                                   .lsn = reservation.lsn,
                                   .slots = slots,
                                   .slot_count = 3,
                                   .request = reservation.request};
    syncq_ticket_withdraw(fixture->writer, &ticket);
}

static void store_one(struct fixture *fixture, struct given *given,
                      unsigned seed, struct mail *mail)
{
    mail_store_simple(fixture->writer, mail, seed, 700);
    note(given, mail->lsn, 1024, mail->sequence);
}

/* After a crash of all processes, and of all but the medium's contents. */
static void go_on(struct fixture *image, struct given given,
                  const struct mail *mail)
{
    struct mail next;

    fixture_start(image);
    fixture_open(image);
    mail_check(image->writer, mail);
    reserve_one(image, &given, 1);
    store_one(image, &given, 77, &next);
    mail_check(image->writer, &next);
    fixture_until_durable(image);
    (void)log_check(image->writer,
                    atomic_load(&image->helper.channel->durable_lsn));
    fixture_free(image);
}

static void crash_after(struct fixture *fixture, int cancel)
{
    struct given given = {0};
    struct fixture *crashed, *cut;
    struct mail mail;

    store_one(fixture, &given, 1, &mail);
    sync_hold(); /* nothing more gets to the medium, voids neither */
    for (int i = 0; i < 5; i++)
        reserve_one(fixture, &given, cancel);
    crashed = fixture_image(fixture);
    cut = sync_power_cut();
    sync_release();
    sync_control_stop();
    go_on(crashed, given, &mail);
    go_on(cut, given, &mail);
}

static void test_reserve__cancelled_then_crash__not_given_again(void **state)
{
    crash_after(*state, 1);
}

static void
test_reserve__never_written_then_crash__not_given_again(void **state)
{
    crash_after(*state, 0);
}

/* And when each helper dies at once, before anything was written at all. */
static void test_reserve__crash_after_crash__not_given_again(void **state)
{
    struct fixture *fixture = *state;
    struct given given = {0};

    sync_control_stop();
    /* Each crash may close a segment, and the last one is not for mail. */
    for (unsigned i = 0; i < FIXTURE_SEGMENT_COUNT - 1; i++) {
        struct fixture *image = fixture_image(fixture);

        if (i > 0)
            fixture_free(fixture);
        fixture = image;
        fixture_start(fixture);
        fixture_open(fixture);
        reserve_one(fixture, &given, i % 2);
    }
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_reserve__cancelled_then_crash__not_given_again),
        SYNC_CONTROLLED(
            test_reserve__never_written_then_crash__not_given_again),
        SYNC_CONTROLLED(test_reserve__crash_after_crash__not_given_again),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
