/* SPDX-License-Identifier: MIT */
/*
 * test_recovery_damage.c - bytes that were confirmed are damaged
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { COUNT = 12 };

struct damage_case {
    struct mail mails[COUNT];
    uint64_t marks_lsn[3];
    uint64_t offsets[COUNT], marks_offset[3];
};

/* Twelve mails; after the fourth, eighth and twelfth one, two of the last four
 * are marked done. */
static void prepare(struct fixture *fixture, struct damage_case *damage)
{
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        mail_store_simple(fixture->writer, &damage->mails[i], i,
                          1000 + i * 700);
        damage->offsets[i] =
            fixture_offset(fixture->writer, damage->mails[i].lsn);
        if (i % 4 != 3)
            continue;
        mail_mark(fixture->writer, &damage->mails[i - 3], 2, SYNCQ_STATUS_DONE,
                  &damage->marks_lsn[i / 4]);
        damage->marks_offset[i / 4] =
            fixture_offset(fixture->writer, damage->marks_lsn[i / 4]);
    }
}

static unsigned plain_status(unsigned i)
{
    return i % 4 < 2 ? SYNCQ_STATUS_DONE : SYNCQ_STATUS_SYNCED;
}

static struct fixture *image_without_index(struct fixture *fixture)
{
    struct fixture *image = fixture_image(fixture);

    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    return image;
}

static void test_damage__confirmed_mail__reported_with_its_range(void **state)
{
    static const uint64_t places[] = {0, 5, 8, 100, 127, 128, 300, 1000};
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct damage_case damage;

    prepare(fixture, &damage);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct fixture *image = image_without_index(fixture);
        struct syncq_queue *reader;

        fixture_damage(image, SYNCQ_DATA_FILE, damage.offsets[6] + places[i],
                       1);
        assert_result(fixture_recover(image, &report, NULL), 0);
        assert_int_equal(report.damage_count, 1);
        assert_int_equal(report.damages[0].lsn, damage.mails[6].lsn);
        assert_int_equal(report.damages[0].offset, damage.offsets[6]);
        assert_int_equal(report.damages[0].size, report.damage_size);
        /* The record, and not what is behind it. */
        assert_in_range(report.damage_size, 5200, 5200 + 512);
        /* Marks are there on both sides, and all links lead to them. */
        assert_false(report.marks_missing);
        reader = fixture_reader(image);
        for (unsigned mail = 0; mail < COUNT; mail++) {
            assert_int_equal(mail_status(reader, &damage.mails[mail], 0),
                             mail == 6 ? SYNCQ_STATUS_FREE
                                       : plain_status(mail));
            if (mail != 6)
                mail_check(reader, &damage.mails[mail]);
        }
        syncq_queue_close(reader);
        /* It stays, and is reported again by whoever reads it all. */
        assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
        assert_result(fixture_recover(image, &report, NULL), 0);
        assert_int_equal(report.damage_count, 1);
        fixture_free(image);
    }
}

static void check_held(const struct fixture *image,
                       const struct damage_case *damage, unsigned below,
                       int known)
{
    struct syncq_queue *reader = fixture_reader(image);

    for (unsigned i = 0; i < COUNT; i++) {
        unsigned status = mail_status(reader, &damage->mails[i], 0);

        mail_check(reader, &damage->mails[i]);
        if (i >= below)
            assert_int_equal(status, plain_status(i));
        else if (known && plain_status(i) == SYNCQ_STATUS_DONE && i / 4 != 1)
            assert_int_equal(status, SYNCQ_STATUS_DONE);
        else
            assert_int_equal(status, SYNCQ_STATUS_HELD);
    }
    syncq_queue_close(reader);
}

/* Nobody knows which of the older ones were delivered: on hold, all of them,
 * but those of which another mark says so. */
static void test_damage__marks_in_the_middle__older_parts_held(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_recovery_report report;
    struct part_states *first, *second;
    struct damage_case damage;

    prepare(fixture, &damage);
    image = image_without_index(fixture);
    fixture_damage(image, SYNCQ_DATA_FILE, damage.marks_offset[1] + 130, 1);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_true(report.marks_missing);
    assert_int_equal(report.damage_count, 1);
    assert_int_equal(report.damages[0].lsn, damage.marks_lsn[1]);
    assert_int_equal(report.parts_held, 6);
    check_held(image, &damage, 8, 1);
    first = states_read(image);
    assert_result(fixture_recover(image, &report, NULL), 0);
    second = states_read(image);
    states_check_equal(second, first);
    free(first);
    free(second);
    fixture_free(image);
}

static void test_damage__last_marks__older_parts_held(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_recovery_report report;
    struct damage_case damage;
    struct mail more[2];
    struct syncq_queue *reader;

    prepare(fixture, &damage);
    /* So that the log knows that it was durable. */
    mail_store_simple(fixture->writer, &more[0], 100, 10);
    mail_store_simple(fixture->writer, &more[1], 101, 10);
    image = image_without_index(fixture);
    fixture_damage(image, SYNCQ_DATA_FILE, damage.marks_offset[2], 64);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_true(report.marks_missing);
    assert_int_equal(report.parts_held, 2 + 2 + 4);
    reader = fixture_reader(image);
    assert_int_equal(mail_status(reader, &damage.mails[0], 0),
                     SYNCQ_STATUS_DONE);
    assert_int_equal(mail_status(reader, &damage.mails[8], 0),
                     SYNCQ_STATUS_HELD);
    assert_int_equal(mail_status(reader, &more[0], 0), SYNCQ_STATUS_SYNCED);
    assert_int_equal(mail_status(reader, &more[1], 0), SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_free(image);
}

static int one_more_checkpoint(struct fixture *fixture, void *context)
{
    return fixture->helper.channel->statistics.index_syncs >=
           *(uint64_t *)context + 2;
}

/* With a good index whose checkpoint is older: the entry says that there was
 * a mail. */
static void test_damage__above_the_checkpoint__lost(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_recovery_report report;
    struct syncq_queue *reader;
    struct damage_case damage;
    uint64_t syncs = 0;

    prepare(fixture, &damage);
    image = fixture_image(fixture); /* checkpoint from the start */
    fixture_damage(image, SYNCQ_DATA_FILE, damage.offsets[6] + 500, 1);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.reason, SYNCQ_REPLAY_TAIL);
    assert_int_equal(report.damage_count, 1);
    assert_int_equal(report.parts_lost, 1);
    reader = fixture_reader(image);
    assert_int_equal(mail_status(reader, &damage.mails[6], 0),
                     SYNCQ_STATUS_LOST);
    assert_int_equal(mail_status(reader, &damage.mails[7], 0),
                     SYNCQ_STATUS_SYNCED);
    syncq_queue_close(reader);
    fixture_free(image);
    /* Below a checkpoint it is not looked at: the reader finds it. */
    fixture->config.index_sync_interval_ms = 1;
    fixture_until(fixture, one_more_checkpoint, &syncs);
    image = fixture_image(fixture);
    fixture_damage(image, SYNCQ_DATA_FILE, damage.offsets[6] + 500, 1);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.damage_count, 0);
    reader = fixture_reader(image);
    {
        struct syncq_record record;

        assert_result(
            syncq_record_read(reader, damage.mails[6].lsn, 0, &record),
            SYNCQ_ERR_BAD_RECORD);
    }
    syncq_queue_close(reader);
    fixture_free(image);
}

/* A confirmed mail and, right behind it, one that was never copied: only the
 * first is damage. */
static void test_damage__beside_a_torn_place__told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_recovery_report report;
    struct syncq_reservation never;
    struct damage_case damage;
    struct mail above[2];
    uint32_t slot;

    prepare(fixture, &damage);
    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MESSAGE, 4096, 1,
                                &slot, &never),
                  0);
    /* The first one is confirmed above it, the second one knows of that. */
    mail_store_simple(fixture->writer, &above[0], 100, 10);
    mail_store_simple(fixture->writer, &above[1], 101, 10);
    image = image_without_index(fixture);
    fixture_damage(image, SYNCQ_DATA_FILE, damage.marks_offset[2],
                   never.lsn - damage.marks_lsn[2]);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.damage_count, 1);
    assert_int_equal(report.damages[0].lsn, damage.marks_lsn[2]);
    assert_int_equal(report.damage_size, never.lsn - damage.marks_lsn[2]);
    assert_true(report.torn_size >= 4096);
    assert_true(report.marks_missing);
    fixture_free(image);
    atomic_store(&fixture->helper.channel->states[never.request],
                 SYNCQ_REQUEST_WITHDRAWN);
}

static void test_damage__segment_pages__one_or_both(void **state)
{
    const uint64_t first = SYNCQ_DATA_OFFSET;
    const uint64_t last = first + FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE;
    struct fixture *fixture = *state;
    struct damage_case damage;
    struct mail more;

    prepare(fixture, &damage);
    fixture_stop(fixture);
    for (unsigned which = 1; which < 4; which++)
        for (int with_index = 0; with_index < 2; with_index++) {
            struct fixture *image = fixture_image(fixture);
            struct syncq_recovery_report report;
            struct syncq_queue *reader;

            if (which & 1)
                fixture_damage(image, SYNCQ_DATA_FILE, first, 64);
            if (which & 2)
                fixture_damage(image, SYNCQ_DATA_FILE, last, 64);
            if (!with_index)
                assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)),
                                 0);
            assert_result(fixture_recover(image, &report, NULL), 0);
            assert_int_equal(report.damage_count, 0);
            reader = fixture_reader(image);
            for (unsigned i = 0; i < COUNT; i++) {
                unsigned status = plain_status(i);

                /* Nothing says that the segment was not retired long ago. */
                if (which == 3 && !with_index && status == SYNCQ_STATUS_SYNCED)
                    status = SYNCQ_STATUS_HELD;
                mail_check(reader, &damage.mails[i]);
                assert_int_equal(mail_status(reader, &damage.mails[i], 0),
                                 status);
            }
            syncq_queue_close(reader);
            /* The helper does not take the segment for a free one. */
            fixture_start(image);
            fixture_open(image);
            mail_store_simple(image->writer, &more, 9, 100);
            for (unsigned i = 0; i < COUNT; i++)
                mail_check(image->writer, &damage.mails[i]);
            fixture_free(image);
        }
}

/* Spoil the superblock copy that counts. */
static void spoil_newest(struct fixture *fixture)
{
    struct syncq_queue *reader = fixture_reader(fixture);
    uint64_t newest = reader->data.superblock.generation & 1;

    syncq_queue_close(reader);
    fixture_damage(fixture, SYNCQ_DATA_FILE, newest * SYNCQ_PAGE_SIZE + 64, 8);
}

/* The newest copy is lost again and again: no LSN and no sequence number is
 * ever given twice. */
static void test_damage__superblock_copies__nothing_given_twice(void **state)
{
    enum { ROUNDS = 6 };
    struct fixture *fixture = *state;
    struct mail mails[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct fixture *image;

        fixture_start(fixture);
        fixture_open(fixture);
        mail_store_simple(fixture->writer, &mails[i], i, 1000);
        for (unsigned before = 0; before < i; before++) {
            assert_true(mails[before].lsn < mails[i].lsn);
            assert_true(mails[before].sequence < mails[i].sequence);
            mail_check(fixture->writer, &mails[before]);
        }
        if (i % 3 == 0) { /* a crash, else a clean stop */
            image = fixture_image(fixture);
            fixture_free(fixture);
            *state = fixture = image;
        } else {
            fixture_stop(fixture);
        }
        spoil_newest(fixture);
    }
    assert_result(fixture_recover(fixture, NULL, NULL), 0);
}

/* The epoch of one recovery is not given again by the next one. */
static void test_damage__superblock_after_recovery__epoch_stays(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovered recovered;
    uint64_t epoch = 0;

    for (unsigned i = 0; i < 4; i++) {
        assert_result(fixture_recover(fixture, NULL, &recovered), 0);
        assert_true(recovered.epoch > epoch);
        epoch = recovered.epoch;
        spoil_newest(fixture);
    }
}

/* A superblock that knows less than the segments do: no LSN of theirs is
 * given again. */
static void test_damage__superblock_behind__limit_by_the_segments(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovered recovered;
    struct syncq_superblock superblock;
    struct damage_case damage;
    struct syncq_queue *reader;
    uint64_t limit;

    prepare(fixture, &damage);
    fixture_stop(fixture);
    reader = fixture_reader(fixture);
    superblock = reader->data.superblock;
    limit = superblock.lsn_limit;
    superblock.lsn_limit = FIXTURE_SEGMENT_SIZE; /* as it was made */
    for (int i = 0; i < 2; i++) {
        superblock.generation++;
        syncq_superblock_seal(&superblock, &reader->key);
        fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                          (superblock.generation & 1) * SYNCQ_PAGE_SIZE,
                          &superblock, sizeof superblock);
    }
    syncq_queue_close(reader);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(fixture, NULL, &recovered), 0);
    assert_true(recovered.head_lsn >= limit);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_damage__confirmed_mail__reported_with_its_range),
        QUEUE(test_damage__marks_in_the_middle__older_parts_held),
        QUEUE(test_damage__last_marks__older_parts_held),
        QUEUE(test_damage__above_the_checkpoint__lost),
        QUEUE(test_damage__beside_a_torn_place__told_apart),
        QUEUE(test_damage__segment_pages__one_or_both),
        QUEUE(test_damage__superblock_copies__nothing_given_twice),
        QUEUE(test_damage__superblock_after_recovery__epoch_stays),
        QUEUE(test_damage__superblock_behind__limit_by_the_segments),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
