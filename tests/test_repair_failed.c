/* SPDX-License-Identifier: MIT */
/*
 * test_repair_failed.c - `syncq check --repair` after a failed sync, on a disk
 * that cannot be read everywhere, and cut off at each of its own syncs
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/repair_queue.h"
#include "tests/sync_control.h"

/* Pages of the data file that give a read error until they are written. */
static struct {
    ino_t inode;
    uint64_t pages[8]; /* file offsets */
    size_t count;
    int stay; /* writing does not help */
} broken;

ssize_t __real_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t offset);
ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);

static int is_broken_file(int fd)
{
    struct stat status;

    return broken.count > 0 && fstat(fd, &status) == 0 &&
           status.st_ino == broken.inode;
}

ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t offset)
{
    if (is_broken_file(fd))
        for (size_t i = 0; i < broken.count; i++)
            if ((uint64_t)offset < broken.pages[i] + SYNCQ_PAGE_SIZE &&
                (uint64_t)offset + size > broken.pages[i]) {
                errno = EIO;
                return -1;
            }
    return __real_pread(fd, bytes, size, offset);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (is_broken_file(fd) && !broken.stay)
        for (size_t i = 0; i < broken.count; i++)
            if ((uint64_t)offset == broken.pages[i] && size == SYNCQ_PAGE_SIZE)
                broken.pages[i] = broken.pages[--broken.count];
    return __real_pwrite(fd, bytes, size, offset);
}

static void break_page(const struct fixture *fixture, uint64_t offset)
{
    struct stat status;

    assert_int_equal(stat(fixture_path(fixture, SYNCQ_DATA_FILE), &status), 0);
    broken.inode = status.st_ino;
    broken.pages[broken.count++] = offset & ~(SYNCQ_PAGE_SIZE - 1);
}

static int repair_teardown(void **state)
{
    memset(&broken, 0, sizeof broken);
    return fixture_teardown(state);
}

/* What the writers were told is not known for what came after the failure. */
static void test_repair__latched__index_states_kept_doubtful_held(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct syncq_queue *queue, *reader;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    /* Deliveries after the failure stand in the index only. */
    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue), 0);
    assert_result(syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                   &queue->index),
                  0);
    for (unsigned i = 4; i < 6; i++) {
        struct syncq_entry_view view;

        assert_result(
            syncq_index_read(&queue->index, filled.mails[i].slots[0], &view),
            0);
        assert_int_equal(view.sequence, filled.mails[i].sequence);
        view.state.status = SYNCQ_STATUS_DONE;
        view.state.mask = 1;
        syncq_index_write_state(&queue->index, &view);
    }
    assert_result(syncq_latch_set(queue->directory_fd, filled.mails[9].lsn), 0);
    syncq_queue_close(queue);

    (void)fixture_start_fails(fixture);
    assert_result(repair_run(fixture, NULL, &report), 0);
    assert_true(report.was_latched && report.latch_cleared);
    reader = fixture_reader(fixture);
    for (unsigned i = 0; i < REPAIR_MAILS; i++) {
        unsigned want = repair_plain_status(i);

        if (i == 4 || i == 5)
            want = SYNCQ_STATUS_DONE;
        else if (i >= 9)
            want = SYNCQ_STATUS_HELD;
        assert_int_equal(mail_status(reader, &filled.mails[i], 0), want);
        mail_check(reader, &filled.mails[i]);
    }
    syncq_queue_close(reader);
    repair_check_works(fixture);
}

/* No checkpoint since the marks, as none is made after a failure. */
static void test_repair__latched_crash__index_ahead_of_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *queue;
    struct syncq_entry_view view;
    struct fixture *image;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    image = fixture_image(fixture);
    assert_result(syncq_queue_open_files(image->queue, image->run, 1, &queue),
                  0);
    assert_result(syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                   &queue->index),
                  0);
    assert_result(
        syncq_index_read(&queue->index, filled.mails[2].slots[0], &view), 0);
    assert_int_equal(view.state.status, SYNCQ_STATUS_DEFERRED);
    view.state.status = SYNCQ_STATUS_HELD;
    syncq_index_write_state(&queue->index, &view);
    assert_result(syncq_latch_set(queue->directory_fd, filled.mails[9].lsn), 0);
    syncq_queue_close(queue);
    assert_result(repair_run(image, NULL, NULL), 0);
    queue = fixture_reader(image);
    assert_int_equal(mail_status(queue, &filled.mails[2], 0),
                     SYNCQ_STATUS_HELD);
    assert_int_equal(mail_status(queue, &filled.mails[3], 0),
                     SYNCQ_STATUS_DEFERRED);
    syncq_queue_close(queue);
    fixture_free(image);
}

/* Nobody knows what was delivered since the failure. */
static void test_repair__latched_and_index_lost__all_held(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_repair_report report;
    struct syncq_queue *reader;
    struct repair_filled filled;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    reader = fixture_reader(fixture);
    assert_result(syncq_latch_set(reader->directory_fd, filled.mails[9].lsn),
                  0);
    syncq_queue_close(reader);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(repair_run(fixture, NULL, &report), 0);
    assert_true(report.latch_cleared);
    assert_int_equal(report.recovery.parts_held, REPAIR_MAILS - 2);
    repair_check_statuses(fixture, &filled, REPAIR_MAILS, REPAIR_MAILS);
}

/* A sector of a mail is quarantined, one of a free segment is written; one
 * that cannot even be written keeps the latch. */
static void test_repair__unreadable__kept_apart(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t free_page = SYNCQ_DATA_OFFSET + 2 * FIXTURE_SEGMENT_SIZE;
    struct syncq_repair_report report;
    struct syncq_checkpoint checkpoint;
    struct syncq_queue *reader;
    struct repair_filled filled;
    struct repair_seen seen;

    repair_fill(fixture, &filled);
    fixture_stop(fixture);
    reader = fixture_reader(fixture);
    assert_result(syncq_index_read_checkpoint(&reader->index, &checkpoint), 0);
    assert_result(syncq_latch_set(reader->directory_fd, checkpoint.durable_lsn),
                  0);
    syncq_queue_close(reader);
    break_page(fixture, filled.offsets[11] + SYNCQ_PAGE_SIZE);
    break_page(fixture, free_page);
    break_page(fixture, free_page + 10 * SYNCQ_PAGE_SIZE);
    broken.stay = 1;
    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(report.zeroed_size, 0);
    assert_int_equal(report.unreadable_size, 2 * SYNCQ_PAGE_SIZE);
    assert_false(report.latch_cleared);
    assert_int_equal(seen.damage_count, 1);
    assert_int_equal(seen.damage.unreadable, SYNCQ_PAGE_SIZE);
    broken.stay = 0;
    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(report.zeroed_size, 2 * SYNCQ_PAGE_SIZE);
    assert_int_equal(report.unreadable_size, 0);
    assert_true(report.latch_cleared);
    /* The mail's own sector was not touched. */
    assert_int_equal(broken.count, 1);
    repair_check_statuses(fixture, &filled, 11, 0);
    broken.count = 0;
    assert_result(repair_run(fixture, &seen, &report), 0);
    assert_int_equal(seen.damage_count, 0);
    {
        struct syncq_queue *again = fixture_reader(fixture);

        mail_check(again, &filled.mails[11]);
        syncq_queue_close(again);
    }
}

/* Each sync of the repair fails in turn; a second repair ends the same. */
static void test_repair__interrupted_anywhere__same_set(void **state)
{
    struct fixture *fixture = *state;
    struct part_states *want, *have;
    struct fixture *image, *whole;
    struct repair_filled filled;
    uint64_t n = 0, latched_lsn;
    int result;

    repair_fill(fixture, &filled);
    image = fixture_image(fixture); /* a crash, too */
    fixture_damage(image, SYNCQ_DATA_FILE, filled.offsets[7] + 500, 1);
    fixture_damage(image, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET, 64);
    {
        struct syncq_queue *reader = fixture_reader(image);

        assert_result(
            syncq_latch_set(reader->directory_fd, filled.mails[10].lsn), 0);
        syncq_queue_close(reader);
    }
    whole = fixture_image(image);
    assert_result(repair_run(whole, NULL, NULL), 0);
    want = states_read(whole);
    fixture_free(whole);
    do {
        struct fixture *cut = fixture_image(image);
        struct syncq_queue *reader;

        sync_control_start_light(cut);
        sync_fail_all_from(++n);
        result = repair_run(cut, NULL, NULL);
        sync_control_stop();
        reader = fixture_reader(cut);
        /* The latch is the last thing to go. */
        assert_result(syncq_latch_read(reader->directory_fd, &latched_lsn),
                      result == 0 ? 0 : SYNCQ_ERR_LATCHED);
        syncq_queue_close(reader);
        assert_result(repair_run(cut, NULL, NULL), 0);
        have = states_read(cut);
        states_check_equal(have, want);
        free(have);
        fixture_free(cut);
    } while (result != 0);
    assert_in_range(n, 10, 60);
    free(want);
    fixture_free(image);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, repair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_repair__latched__index_states_kept_doubtful_held),
        QUEUE(test_repair__latched_crash__index_ahead_of_the_log),
        QUEUE(test_repair__latched_and_index_lost__all_held),
        QUEUE(test_repair__unreadable__kept_apart),
        QUEUE(test_repair__interrupted_anywhere__same_set),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
