/* SPDX-License-Identifier: MIT */
/*
 * test_repair.c - `syncq check --repair` of a damaged queue: what it keeps,
 * holds, gives up and writes anew
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/repair_queue.h"

static void test_repair__good_queue__same_states(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    assert_result(repair_run(fixture, NULL, &report), 0);
    assert_true(syncq_check_is_good(&report.found));
    assert_true(report.found.direct);
    assert_true(report.latch_cleared);
    assert_int_equal(report.recovery.parts_held, 0);
    assert_int_equal(report.recovery.reason, SYNCQ_REPLAY_REPAIR);
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, 0);
    repair_check_good(fixture);
    repair_check_works(fixture);
}

static void test_repair__in_use__refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;

    fixture_start(fixture);
    assert_result(repair_run(fixture, NULL, NULL), SYNCQ_ERR_BUSY);
    fixture_stop(fixture);
    assert_result(syncq_manager_lock(fixture->queue, &fd), 0);
    assert_result(repair_run(fixture, NULL, NULL), SYNCQ_ERR_BUSY);
    close(fd);
    assert_result(repair_run(fixture, NULL, NULL), 0);
}

static void test_repair__wrong_key__refused_and_unchanged(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *before;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    before = fixture_image(fixture);
    fixture_damage(fixture, SYNCQ_KEY_FILE, 5, 1);
    assert_result(repair_run(fixture, NULL, NULL), SYNCQ_ERR_KEY);
    fixture_damage(fixture, SYNCQ_KEY_FILE, 5, 1); /* and back */
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, 0);
    fixture_free(before);
}

/* The mail is given up, said so, and not said again. */
static void test_repair__damaged_mail__quarantined(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct syncq_check_report checked;
    struct syncq_damage_summary summary;
    struct syncq_queue *reader;
    struct repair_filled filled;
    struct repair_seen seen;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[7] + 500, 1);
    repair_check(fixture, &seen, &checked);
    assert_false(syncq_check_is_good(&checked));
    assert_int_equal(seen.damage_count, 1);
    assert_int_equal(seen.damage.lsn, filled.mails[7].lsn);
    assert_int_equal(seen.damage.offset, filled.offsets[7]);
    assert_int_equal(seen.damage.type, SYNCQ_RECORD_SMTP);
    assert_int_equal(seen.damage.sequence, filled.mails[7].sequence);

    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(seen.lost_count, 1);
    assert_int_equal(seen.lost[0], filled.mails[7].sequence);
    assert_int_equal(report.recovery.damage_count, 1);
    assert_int_equal(report.recovery.parts_lost, 1);
    /* Its header says that no marks record was there. */
    assert_int_equal(report.recovery.parts_held, 0);
    repair_check_statuses(fixture, &filled, 7, 0);

    repair_check(fixture, &seen, &checked);
    assert_true(syncq_check_is_good(&checked));
    assert_int_equal(checked.repaired_count, 1);
    assert_int_equal(seen.damage.state, SYNCQ_DAMAGE_REPAIRED);
    reader = fixture_reader(fixture);
    assert_result(syncq_damage_summary(reader, &summary), 0);
    assert_int_equal(summary.found_count, 0);
    assert_int_equal(summary.repaired_count, 1);
    syncq_queue_close(reader);
    repair_check_works(fixture);
    /* Even when everything is read again. */
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    {
        struct syncq_recovery_report again;

        assert_result(fixture_recover(fixture, &again, NULL), 0);
        assert_int_equal(again.damage_count, 1);
        assert_int_equal(again.damage_known, 1);
    }
}

/* Recovery tells of it until a repair. */
static void test_recover__damage__on_the_list_until_repaired(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_recovery_report report;
    struct syncq_damage_summary summary;
    struct syncq_queue *reader;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[7] + 500, 1);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    for (int i = 0; i < 2; i++) { /* the second one reads nothing of it */
        assert_result(fixture_recover(fixture, &report, NULL), 0);
        assert_int_equal(report.damage_count, i == 0);
        reader = fixture_reader(fixture);
        assert_result(syncq_damage_summary(reader, &summary), 0);
        assert_int_equal(summary.found_count, 1);
        assert_true(summary.found_size >= 1000 + 7 * 700);
        syncq_queue_close(reader);
    }
    assert_result(repair_run(fixture, NULL, NULL), 0);
    reader = fixture_reader(fixture);
    assert_result(syncq_damage_summary(reader, &summary), 0);
    assert_int_equal(summary.found_count, 0);
    assert_int_equal(summary.repaired_count, 1);
    syncq_queue_close(reader);
    /* The bytes come back: so does the mail, and nothing is damaged. */
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[7] + 500, 1);
    assert_result(repair_run(fixture, NULL, NULL), 0);
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, 0);
    reader = fixture_reader(fixture);
    assert_result(syncq_damage_summary(reader, &summary), 0);
    assert_int_equal(summary.repaired_count, 0);
    syncq_queue_close(reader);
}

/* The old index knew the marks: nothing is held.  Without it all is, until it
 * is released, whatever is lost then. */
static void damaged_marks(struct fixture *fixture, int lose_list)
{
    struct fixture *image;
    struct syncq_repair_report report;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.marks_offset, 256);
    image = fixture_image(fixture);
    assert_result(repair_run(fixture, NULL, &report), 0);
    assert_int_equal(report.recovery.parts_held, 0);
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, 0);

    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(repair_run(image, NULL, &report), 0);
    assert_int_equal(report.recovery.parts_held, 4);
    repair_check_statuses(image, &filled, REPAIR_MAILS, 6);
    /* Released, they stay so when it is all read once more. */
    fixture_start(image);
    fixture_open(image);
    mail_mark(image->writer, filled.mails + 2, 3, SYNCQ_STATUS_READY, NULL);
    fixture_stop(image);
    if (lose_list)
        assert_int_equal(unlink(fixture_path(image, SYNCQ_DAMAGE_FILE)), 0);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    {
        struct syncq_recovery_report again;
        struct syncq_queue *reader;

        assert_result(fixture_recover(image, &again, NULL), 0);
        assert_int_equal(again.parts_held, 1);
        reader = fixture_reader(image);
        assert_int_equal(mail_status(reader, &filled.mails[3], 0),
                         SYNCQ_STATUS_READY);
        assert_int_equal(mail_status(reader, &filled.mails[5], 0),
                         SYNCQ_STATUS_HELD);
        assert_int_equal(mail_status(reader, &filled.mails[6], 0),
                         SYNCQ_STATUS_SYNCED);
        syncq_queue_close(reader);
    }
    fixture_free(image);
}

static void test_repair__damaged_marks__held_only_without_index(void **state)
{
    damaged_marks(*state, 0);
}

static void test_repair__damaged_marks_and_list_lost__the_same(void **state)
{
    damaged_marks(*state, 1);
}

/* The log's last readable word about it is an older one. */
static void test_repair__damaged_last_word__the_index_tells(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader;
    struct repair_filled filled;
    uint64_t lsn, offset;

    repair_fill(fixture, &filled);
    mail_mark(fixture->writer, filled.mails + 6, 1, SYNCQ_STATUS_DEFERRED,
              NULL);
    mail_mark(fixture->writer, filled.mails + 6, 1, SYNCQ_STATUS_READY, &lsn);
    offset = fixture_offset(fixture->writer, lsn);
    fixture_stop(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE, offset, 128);
    assert_result(repair_run(fixture, NULL, NULL), 0);
    reader = fixture_reader(fixture);
    assert_int_equal(mail_status(reader, &filled.mails[6], 0),
                     SYNCQ_STATUS_READY);
    syncq_queue_close(reader);
}

static void test_repair__pages_and_superblock__written_anew(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct repair_filled filled;
    struct repair_seen seen;
    const uint64_t last = FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE, 8, 1); /* a superblock */
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET, 64);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET + last, 64);
    /* One of a free segment. */
    fixture_damage(fixture, SYNCQ_DATA_FILE,
                   SYNCQ_DATA_OFFSET + 3 * FIXTURE_SEGMENT_SIZE + last, 64);
    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(seen.superblocks, 1);
    assert_int_equal(seen.pages, 3);
    assert_int_equal(report.found.segments_unknown, 1);
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, 0);
    repair_check_good(fixture);
    repair_check_works(fixture);
}

static void test_repair__whole_segment_wiped__said(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct syncq_recovery_report recovered;
    struct fixture *image;
    struct repair_filled filled;
    struct repair_seen seen;
    void *zeros = calloc(1, FIXTURE_SEGMENT_SIZE);

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    assert_non_null(zeros);
    fixture_overwrite(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET, zeros,
                      FIXTURE_SEGMENT_SIZE);
    free(zeros);
    image = fixture_image(fixture);
    assert_result(fixture_recover(image, &recovered, NULL), 0);
    assert_int_equal(recovered.segments_unknown, 1);
    assert_int_equal(recovered.parts_lost, REPAIR_MAILS - 2);
    fixture_free(image);
    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(seen.lost_count, REPAIR_MAILS - 2);
    repair_check_good(fixture);
}

static void test_repair__holes__filled(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report checked;
    struct syncq_repair_report report;
    char path[1024];
    uint64_t size =
        SYNCQ_DATA_OFFSET + FIXTURE_SEGMENT_COUNT * FIXTURE_SEGMENT_SIZE;
    struct repair_seen seen;

    /* Cut the last segment's end off and make it long again. */
    (void)snprintf(path, sizeof path, "%s",
                   fixture_path(fixture, SYNCQ_DATA_FILE));
    assert_int_equal(truncate(path, (off_t)(size - (1 << 20))), 0);
    assert_int_equal(truncate(path, (off_t)size), 0);
    repair_check(fixture, &seen, &checked);
    assert_true(checked.has_holes);
    assert_int_equal(checked.hole_offset, size - (1 << 20));
    assert_result(fixture_recover(fixture, NULL, NULL), SYNCQ_ERR_HOLES);
    assert_result(repair_run(fixture, NULL, &report), 0);
    repair_check_good(fixture);
    repair_check_works(fixture);
}

/* A segment with repaired damage can be given back; what its lost marks said
 * is carried on, though no readable record names it. */
static void test_repair__then_retire__lost_marks_carried(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_mark *marks = NULL;
    struct mail mails[2];
    uint64_t marks_lsn, offset;
    uint32_t segment = UINT32_MAX, count = 0;

    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 2; i++)
        mail_store_simple(fixture->writer, &mails[i], i, 1000);
    image = fixture_image(fixture);
    fixture_start(image); /* after a crash another segment is opened */
    fixture_open(image);
    mail_mark(image->writer, &mails[0], 1, SYNCQ_STATUS_DONE, NULL);
    mail_mark(image->writer, &mails[1], 1, SYNCQ_STATUS_DEFERRED, &marks_lsn);
    offset = fixture_offset(image->writer, marks_lsn);
    fixture_stop(image);
    fixture_damage(image, SYNCQ_DATA_FILE, offset, 128);
    fixture_start(image);
    fixture_open(image);
    assert_result(syncq_retire_find(image->writer, &segment, &marks, &count),
                  SYNCQ_ERR_SEGMENTS_FULL);
    fixture_stop(image);
    assert_result(repair_run(image, NULL, NULL), 0);
    fixture_start(image);
    fixture_open(image);
    assert_result(syncq_retire_find(image->writer, &segment, &marks, &count),
                  0);
    assert_int_equal(segment, 1);
    assert_int_equal(count, 2);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(marks[i].state.status,
                         marks[i].sequence == mails[0].sequence
                             ? SYNCQ_STATUS_DONE
                             : SYNCQ_STATUS_DEFERRED);
    free(marks);
    fixture_free(image);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_repair__good_queue__same_states),
        QUEUE(test_repair__in_use__refused),
        QUEUE(test_repair__wrong_key__refused_and_unchanged),
        QUEUE(test_repair__damaged_mail__quarantined),
        QUEUE(test_recover__damage__on_the_list_until_repaired),
        QUEUE(test_repair__damaged_marks__held_only_without_index),
        QUEUE(test_repair__damaged_marks_and_list_lost__the_same),
        QUEUE(test_repair__damaged_last_word__the_index_tells),
        QUEUE(test_repair__pages_and_superblock__written_anew),
        QUEUE(test_repair__whole_segment_wiped__said),
        QUEUE(test_repair__holes__filled),
        QUEUE(test_repair__then_retire__lost_marks_carried),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
