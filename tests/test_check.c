/* SPDX-License-Identifier: MIT */
/*
 * test_check.c - each kind of damage is found, named and placed, and nothing
 * is changed by looking
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/check.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { COUNT = 6 };

struct seen {
    struct syncq_damage damages[8];
    unsigned damage_count, superblocks, pages, entries;
    unsigned superblock_copy;
    uint32_t page_segment, slot, part;
    uint64_t sequence, progress_done, progress_total;
    int page_end, entry_error;
};

static void see_superblock(unsigned copy, int error, void *context)
{
    struct seen *seen = context;

    assert_int_not_equal(error, 0);
    seen->superblocks++;
    seen->superblock_copy = copy;
}

static void see_page(uint32_t segment, int end, void *context)
{
    struct seen *seen = context;

    seen->pages++;
    seen->page_segment = segment;
    seen->page_end = end;
}

static void see_damage(const struct syncq_damage *damage, void *context)
{
    struct seen *seen = context;

    assert_true(seen->damage_count < 8);
    seen->damages[seen->damage_count++] = *damage;
}

static void see_entry(uint32_t slot, uint64_t sequence, uint32_t part,
                      int error, void *context)
{
    struct seen *seen = context;

    seen->entries++;
    seen->slot = slot;
    seen->sequence = sequence;
    seen->part = part;
    seen->entry_error = error;
}

static void see_progress(uint64_t done, uint64_t total, void *context)
{
    struct seen *seen = context;

    assert_true(done <= total);
    seen->progress_done = done;
    seen->progress_total = total;
}

static struct syncq_check_report check(const struct fixture *fixture,
                                       struct seen *seen)
{
    const struct syncq_check_visitor visitor = {
        see_superblock, see_page, see_damage, see_entry, see_progress, seen};
    struct syncq_check_report report;

    memset(seen, 0, sizeof *seen);
    assert_result(syncq_check(fixture->queue, fixture->run, &visitor, &report),
                  0);
    assert_int_equal(seen->progress_done, seen->progress_total);
    return report;
}

struct filled {
    struct mail mails[COUNT];
    uint64_t marks_lsn;
    uint64_t offsets[COUNT], marks_offset;
};

/* The last mail knows that the one before was durable. */
static void fill(struct fixture *fixture, struct filled *filled)
{
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        mail_store_simple(fixture->writer, &filled->mails[i], i, 3000);
        filled->offsets[i] =
            fixture_offset(fixture->writer, filled->mails[i].lsn);
        if (i == 2)
            mail_mark(fixture->writer, filled->mails, 1, SYNCQ_STATUS_DONE,
                      &filled->marks_lsn);
    }
    filled->marks_offset = fixture_offset(fixture->writer, filled->marks_lsn);
}

static void test_check__good_queue__with_and_without_helper(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct filled filled;
    struct seen seen;

    report = check(fixture, &seen); /* as it was made */
    assert_true(syncq_check_is_good(&report));
    fill(fixture, &filled);
    report = check(fixture, &seen);
    assert_true(syncq_check_is_good(&report));
    assert_true(report.online);
    assert_false(report.direct);
    assert_int_equal(report.messages, COUNT);
    fixture_stop(fixture);
    report = check(fixture, &seen);
    assert_true(syncq_check_is_good(&report));
    assert_false(report.online);
    assert_true(report.direct);
    assert_int_equal(report.messages, COUNT);
    assert_int_equal(report.entries_used, COUNT);
    assert_int_equal(report.lists_wrong, 0);
    assert_int_equal(
        seen.damage_count + seen.superblocks + seen.pages + seen.entries, 0);
}

static void test_check__each_copy_of_pages__named(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct filled filled;
    struct seen seen;

    fill(fixture, &filled);
    fixture_stop(fixture);
    for (unsigned copy = 0; copy < 2; copy++) {
        const uint64_t at = copy * SYNCQ_PAGE_SIZE + 70;

        fixture_damage(fixture, SYNCQ_DATA_FILE, at, 1);
        report = check(fixture, &seen);
        assert_false(syncq_check_is_good(&report));
        assert_int_equal(report.superblocks_damaged, 1);
        assert_int_equal(seen.superblock_copy, copy);
        fixture_damage(fixture, SYNCQ_DATA_FILE, at, 1);
    }
    for (unsigned i = 0; i < 2 * FIXTURE_SEGMENT_COUNT; i++) {
        const uint64_t at = SYNCQ_DATA_OFFSET + i / 2 * FIXTURE_SEGMENT_SIZE +
                            i % 2 * (FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE) +
                            20;

        fixture_damage(fixture, SYNCQ_DATA_FILE, at, 1);
        report = check(fixture, &seen);
        assert_false(syncq_check_is_good(&report));
        assert_int_equal(report.pages_damaged, 1);
        assert_int_equal(report.segments_unknown, 0);
        assert_int_equal(seen.page_segment, i / 2);
        assert_int_equal(seen.page_end, i % 2);
        fixture_damage(fixture, SYNCQ_DATA_FILE, at, 1);
    }
    report = check(fixture, &seen);
    assert_true(syncq_check_is_good(&report));
}

static void check_damage(const struct syncq_damage *damage, uint64_t lsn,
                         uint64_t offset, unsigned type, uint64_t sequence)
{
    assert_int_equal(damage->lsn, lsn);
    assert_int_equal(damage->offset, offset);
    assert_int_equal(damage->type, type);
    assert_int_equal(damage->sequence, sequence);
}

static void test_check__damaged_records__placed_and_named(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct filled filled;
    struct seen seen;

    fill(fixture, &filled);
    fixture_stop(fixture);
    /* A body, a header, and the body of marks. */
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[1] + 1000, 1);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.marks_offset + 130, 1);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[4] + 9, 1);
    report = check(fixture, &seen);
    assert_int_equal(report.damage_count, 3);
    assert_int_equal(seen.damage_count, 3);
    check_damage(&seen.damages[0], filled.mails[1].lsn, filled.offsets[1],
                 SYNCQ_RECORD_SMTP, filled.mails[1].sequence);
    check_damage(&seen.damages[1], filled.marks_lsn, filled.marks_offset,
                 SYNCQ_RECORD_MARKS, 0);
    /* Only the index knows what was behind a header that is gone. */
    check_damage(&seen.damages[2], filled.mails[4].lsn, filled.offsets[4],
                 SYNCQ_RECORD_SMTP, filled.mails[4].sequence);
    assert_int_equal(report.parts_lost, 2);
    assert_int_equal(seen.sequence, filled.mails[4].sequence);
    assert_int_equal(seen.entry_error, SYNCQ_ERR_BAD_RECORD);

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    report = check(fixture, &seen);
    assert_int_equal(report.index_error, SYNCQ_ERR_INDEX);
    check_damage(&seen.damages[2], filled.mails[4].lsn, filled.offsets[4], 0,
                 0);
}

static void test_check__damaged_entry_and_lists__told_apart(void **state)
{
    const uint64_t entries = SYNCQ_INDEX_ENTRIES_OFFSET;
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct filled filled;
    struct seen seen;

    fill(fixture, &filled);
    fixture_stop(fixture);
    /* Links have no checksum, and nobody believes them. */
    fixture_damage(fixture, SYNCQ_INDEX_FILE,
                   entries + offsetof(struct syncq_entry, next), 4);
    report = check(fixture, &seen);
    assert_true(report.lists_wrong > 0);
    assert_true(syncq_check_is_good(&report));
    fixture_damage(
        fixture, SYNCQ_INDEX_FILE,
        entries + 7 * SYNCQ_ENTRY_SIZE + offsetof(struct syncq_entry, kind), 1);
    report = check(fixture, &seen);
    assert_false(syncq_check_is_good(&report));
    assert_int_equal(report.entries_damaged, 1);
    assert_int_equal(seen.slot, 7);
    assert_int_equal(seen.entry_error, SYNCQ_ERR_BAD_ENTRY);
}

/* A mail that was never confirmed is no damage when it is torn. */
static void test_check__torn_tail__no_damage(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct fixture *image;
    struct filled filled;
    struct seen seen;

    fill(fixture, &filled);
    image = fixture_image(fixture); /* its checkpoint is older */
    fixture_damage(image, SYNCQ_DATA_FILE, filled.offsets[COUNT - 1] + 2000, 1);
    report = check(image, &seen);
    assert_int_equal(report.damage_count, 0);
    fixture_free(image);
}

static void test_check__latched__not_good(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_check_report report;
    struct syncq_queue *reader = fixture_reader(fixture);
    struct seen seen;

    assert_result(syncq_latch_set(reader->directory_fd, 4096), 0);
    report = check(fixture, &seen);
    assert_true(report.latched);
    assert_int_equal(report.latched_lsn, 4096);
    assert_false(syncq_check_is_good(&report));
    assert_result(syncq_latch_set_index(reader->directory_fd), 0);
    report = check(fixture, &seen);
    assert_true(report.index_latched && !report.latched);
    assert_false(syncq_check_is_good(&report));
    syncq_queue_close(reader);
}

static void test_check__key_and_superblocks__refused(void **state)
{
    const struct syncq_check_visitor visitor = {0};
    struct fixture *fixture = *state;
    struct syncq_check_report report;

    fixture_damage(fixture, SYNCQ_KEY_FILE, 0, 1);
    assert_result(syncq_check(fixture->queue, fixture->run, &visitor, &report),
                  SYNCQ_ERR_KEY);
    fixture_damage(fixture, SYNCQ_KEY_FILE, 0, 1);
    fixture_damage(fixture, SYNCQ_DATA_FILE, 20, 1);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_PAGE_SIZE + 20, 1);
    assert_result(syncq_check(fixture->queue, fixture->run, &visitor, &report),
                  SYNCQ_ERR_SUPERBLOCK);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_check__good_queue__with_and_without_helper),
        QUEUE(test_check__each_copy_of_pages__named),
        QUEUE(test_check__damaged_records__placed_and_named),
        QUEUE(test_check__damaged_entry_and_lists__told_apart),
        QUEUE(test_check__torn_tail__no_damage),
        QUEUE(test_check__latched__not_good),
        QUEUE(test_check__key_and_superblocks__refused),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
