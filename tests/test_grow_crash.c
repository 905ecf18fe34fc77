/* SPDX-License-Identifier: MIT */
/*
 * test_grow_crash.c - a grow is cut off at every step: the queue is the old one
 * or the new one, and every confirmed mail is in it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/grow_steps.h"
#include "tests/sync_control.h"

enum { IMAGES_MAX = 40 };

/* Whatever was left: it starts, holds the mails, takes more, and grows. */
static void check_image(struct fixture *image, const struct grow_mails *mails,
                        uint32_t *segment_count, uint32_t *entry_count)
{
    struct grow_mails all = *mails;
    struct syncq_queue_status status;

    assert_result(fixture_recover(image, NULL, NULL), 0);
    grow_check_mails(image, mails);
    fixture_start(image);
    fixture_open(image);
    assert_result(syncq_queue_status(image->writer, &status), 0);
    *segment_count = status.segment_count;
    *entry_count = status.entry_count;
    grow_store_until(image->writer, &all, status.segment_count - 2);
    if (status.segment_count == FIXTURE_SEGMENT_COUNT)
        assert_result(grow_run(image, GROW_SEGMENTS, GROW_ENTRIES), 0);
    grow_check_size(image, GROW_SEGMENTS, GROW_ENTRIES);
    grow_store_until(image->writer, &all, FIXTURE_SEGMENT_COUNT);
    grow_check_mails(image, &all);
    fixture_stop(image);
}

struct cuts {
    struct fixture *images[IMAGES_MAX];
    uint32_t count, old_count, new_count;
};

static void cut(void *context)
{
    struct cuts *cuts = context;

    if (cuts->count < IMAGES_MAX)
        cuts->images[cuts->count++] = sync_power_cut();
}

static void check_cuts(struct cuts *cuts, const struct grow_mails *mails)
{
    for (uint32_t i = 0; i < cuts->count; i++) {
        uint32_t segment_count, entry_count;

        check_image(cuts->images[i], mails, &segment_count, &entry_count);
        if (segment_count == FIXTURE_SEGMENT_COUNT) {
            assert_int_equal(entry_count, FIXTURE_ENTRY_COUNT);
            cuts->old_count++;
        } else {
            assert_int_equal(segment_count, GROW_SEGMENTS);
            assert_int_equal(entry_count, GROW_ENTRIES);
            cuts->new_count++;
        }
        fixture_free(cuts->images[i]);
    }
}

static void test_grow__power_cut_at_each_sync__old_or_new(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};
    struct cuts *cuts = calloc(1, sizeof *cuts);

    assert_non_null(cuts);
    for (uint32_t i = 0; i < 10; i++)
        grow_store(fixture->writer, &mails, 1 + i % 3, i * 1000);
    sync_before_each(cut, cuts);
    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    sync_before_each(NULL, NULL);
    cut(cuts);
    assert_true(cuts->count < IMAGES_MAX);
    sync_control_stop();
    fixture_stop(fixture);
    check_cuts(cuts, &mails);
    /* Before the data's sync, the index's and the superblock's; and after. */
    assert_true(cuts->old_count >= 3);
    assert_true(cuts->new_count >= 3);
    free(cuts);
}

/* ---- nothing runs: each of the three places is old or new ---- */

struct place {
    const char *name;
    uint64_t offset;
};

static const struct place places[] = {
    {SYNCQ_DATA_FILE, 0},
    {SYNCQ_DATA_FILE, SYNCQ_PAGE_SIZE},
    {SYNCQ_INDEX_FILE, 0},
};

static void take_back(const struct fixture *from, const struct fixture *to,
                      const struct place *place)
{
    uint8_t page[512];
    int fd = open(fixture_path(from, place->name), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, page, sizeof page, (off_t)place->offset),
                     sizeof page);
    close(fd);
    fixture_overwrite(to, place->name, place->offset, page, sizeof page);
}

/* The order is kept: the index's header only after both superblocks. */
static int can_be(unsigned old_mask)
{
    return (old_mask & 3) == 0 || (old_mask & 4) != 0;
}

static void test_grow__crash_while_stopped__old_or_new(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};
    struct fixture *before;

    fixture_start(fixture);
    fixture_open(fixture);
    grow_store(fixture->writer, &mails, 3, 5000);
    fixture_stop(fixture);
    before = fixture_image(fixture);
    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    for (unsigned old_mask = 0; old_mask < 8; old_mask++) {
        struct fixture *image;
        uint32_t segment_count, entry_count;

        if (!can_be(old_mask))
            continue;
        image = fixture_image(fixture);
        for (unsigned i = 0; i < 3; i++)
            if (old_mask >> i & 1)
                take_back(before, image, &places[i]);
        check_image(image, &mails, &segment_count, &entry_count);
        assert_int_equal(segment_count, (old_mask & 3) == 3
                                            ? FIXTURE_SEGMENT_COUNT
                                            : GROW_SEGMENTS);
        assert_int_equal(entry_count, (old_mask & 3) == 3 ? FIXTURE_ENTRY_COUNT
                                                          : GROW_ENTRIES);
        fixture_free(image);
    }
    fixture_free(before);
}

/* Only the superblock is new, and the next thing is another grow. */
static void test_grow__cut_off__next_grow_completes_it(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *before = fixture_image(fixture);
    struct grow_mails mails = {.count = 0};

    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    take_back(before, fixture, &places[2]);
    assert_result(grow_run(fixture, GROW_SEGMENTS + 1, GROW_ENTRIES * 2), 0);
    grow_check_size(fixture, GROW_SEGMENTS + 1, GROW_ENTRIES * 2);
    fixture_start(fixture);
    fixture_open(fixture);
    grow_store_until(fixture->writer, &mails, GROW_SEGMENTS - 1);
    grow_check_mails(fixture, &mails);
    fixture_free(before);
}

static void die_half_way(uint64_t done, uint64_t total, void *context)
{
    (void)context;
    if (done > total / 2)
        _exit(9);
}

static void test_grow__killed_while_it_fills__old_queue(void **state)
{
    struct fixture *fixture = *state;
    const struct syncq_grow_options options = {.size = GROW_SEGMENTS *
                                                       FIXTURE_SEGMENT_SIZE,
                                               .entry_count = GROW_ENTRIES,
                                               .allow_any_filesystem = 1,
                                               .progress = die_half_way};
    struct grow_mails mails = {.count = 0};
    struct syncq_grow_report report;
    uint32_t segment_count, entry_count;
    int status;
    pid_t pid;

    grow_store(fixture->writer, &mails, 2, 100);
    pid = fork();
    if (pid == 0) {
        (void)syncq_queue_grow(fixture->queue, fixture->run, &options, &report);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    fixture_stop(fixture);
    check_image(fixture, &mails, &segment_count, &entry_count);
    assert_int_equal(segment_count, FIXTURE_SEGMENT_COUNT);
    assert_int_equal(entry_count, FIXTURE_ENTRY_COUNT);
}

/* ---- crashes after it ---- */

static void test_grow__crash_after_use__all_there(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};
    struct fixture *images[2];

    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    grow_store(fixture->writer, &mails, MAIL_PARTS_MAX, 1000);
    grow_store_until(fixture->writer, &mails, FIXTURE_SEGMENT_COUNT);
    for (int lost = 0; lost < 2; lost++) {
        images[lost] = sync_power_cut();
        if (lost)
            assert_int_equal(
                unlink(fixture_path(images[lost], SYNCQ_INDEX_FILE)), 0);
        assert_result(fixture_recover(images[lost], NULL, NULL), 0);
        grow_check_size(images[lost], GROW_SEGMENTS, GROW_ENTRIES);
        grow_check_mails(images[lost], &mails);
        fixture_free(images[lost]);
    }
}

/* The header of the index cannot be synced: mail goes on in the old slots. */
static void test_grow__index_sync_fails__latched_and_replayed(void **state)
{
    struct fixture *fixture = *state;
    struct grow_mails mails = {.count = 0};

    sync_fail_index();
    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), EIO);
    grow_store_until(fixture->writer, &mails, 1);
    assert_int_equal(syncq_queue_usable(fixture->writer), 0);
    sync_control_stop();
    fixture_stop(fixture);
    assert_result(fixture_recover(fixture, NULL, NULL), 0);
    grow_check_size(fixture, GROW_SEGMENTS, GROW_ENTRIES);
    grow_check_mails(fixture, &mails);
}

#define STOPPED(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_grow__power_cut_at_each_sync__old_or_new),
        STOPPED(test_grow__crash_while_stopped__old_or_new),
        STOPPED(test_grow__cut_off__next_grow_completes_it),
        RUNNING(test_grow__killed_while_it_fills__old_queue),
        SYNC_CONTROLLED(test_grow__crash_after_use__all_there),
        SYNC_CONTROLLED(test_grow__index_sync_fails__latched_and_replayed),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
