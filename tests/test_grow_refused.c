/* SPDX-License-Identifier: MIT */
/*
 * test_grow_refused.c - what does not make a queue larger changes nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/grow_steps.h"

/* ---- a disk that is nearly full ---- */

int __real_fstatvfs(int fd, struct statvfs *disk);
int __wrap_fstatvfs(int fd, struct statvfs *disk);

static uint64_t disk_free; /* bytes; 0: as it is */

int __wrap_fstatvfs(int fd, struct statvfs *disk)
{
    int result = __real_fstatvfs(fd, disk);

    if (disk_free != 0) {
        disk->f_frsize = 1;
        disk->f_bavail = disk_free;
    }
    return result;
}

static uint64_t size_of(const struct fixture *fixture, const char *name)
{
    struct stat status;

    assert_int_equal(stat(fixture_path(fixture, name), &status), 0);
    return (uint64_t)status.st_size;
}

static void check_unchanged(const struct fixture *fixture)
{
    grow_check_size(fixture, FIXTURE_SEGMENT_COUNT, FIXTURE_ENTRY_COUNT);
    assert_int_equal(size_of(fixture, SYNCQ_DATA_FILE),
                     SYNCQ_DATA_OFFSET +
                         FIXTURE_SEGMENT_SIZE * FIXTURE_SEGMENT_COUNT);
    assert_int_equal(size_of(fixture, SYNCQ_INDEX_FILE),
                     SYNCQ_INDEX_ENTRIES_OFFSET +
                         UINT64_C(1) * FIXTURE_ENTRY_COUNT * SYNCQ_ENTRY_SIZE);
}

/* ---- refused ---- */

static void test_grow__not_larger__range_error(void **state)
{
    struct fixture *fixture = *state;

    assert_result(grow_run(fixture, FIXTURE_SEGMENT_COUNT, FIXTURE_ENTRY_COUNT),
                  SYNCQ_ERR_RANGE);
    assert_result(grow_run(fixture, FIXTURE_SEGMENT_COUNT - 1, GROW_ENTRIES),
                  SYNCQ_ERR_RANGE);
    assert_result(grow_run(fixture, GROW_SEGMENTS, FIXTURE_ENTRY_COUNT - 1),
                  SYNCQ_ERR_RANGE);
    assert_result(grow_run(fixture, 0, FIXTURE_ENTRY_COUNT), SYNCQ_ERR_RANGE);
    assert_result(grow_run(fixture, SYNCQ_SEGMENT_COUNT_MAX + 1, GROW_ENTRIES),
                  SYNCQ_ERR_RANGE);
    assert_result(grow_run(fixture, 0, SYNCQ_ENTRY_COUNT_MAX + 1),
                  SYNCQ_ERR_RANGE);
    check_unchanged(fixture);
}

static void test_grow__disk_too_small__says_how_much(void **state)
{
    struct fixture *fixture = *state;
    const struct syncq_grow_options options = {.size = GROW_SEGMENTS *
                                                       FIXTURE_SEGMENT_SIZE,
                                               .entry_count = GROW_ENTRIES,
                                               .allow_any_filesystem = 1};
    const uint64_t needed = 2 * FIXTURE_SEGMENT_SIZE + UINT64_C(1) *
                                                           FIXTURE_ENTRY_COUNT *
                                                           SYNCQ_ENTRY_SIZE;
    struct syncq_grow_report report;

    disk_free = needed - 1;
    assert_result(
        syncq_queue_grow(fixture->queue, fixture->run, &options, &report),
        ENOSPC);
    assert_int_equal(report.needed_size, needed);
    assert_int_equal(report.available_size, needed - 1);
    check_unchanged(fixture);
    disk_free = needed;
    assert_result(
        syncq_queue_grow(fixture->queue, fixture->run, &options, &report), 0);
    disk_free = 0;
    grow_check_size(fixture, GROW_SEGMENTS, GROW_ENTRIES);
}

static void test_grow__disk_refuses__files_as_before(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, limit = {40 << 20, RLIM_INFINITY};

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    check_unchanged(fixture);
}

static void test_grow__failed_queue__latched(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_result(syncq_latch_set(fd, 4711), 0);
    close(fd);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), SYNCQ_ERR_LATCHED);
    check_unchanged(fixture);
}

static void test_grow__failed_while_running__latched(void **state)
{
    struct fixture *fixture = *state;

    atomic_store(&fixture->helper.channel->state, SYNCQ_CHANNEL_FAILED);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), SYNCQ_ERR_LATCHED);
    atomic_store(&fixture->helper.channel->state, SYNCQ_CHANNEL_OPEN);
    check_unchanged(fixture);
}

static void test_grow__another_one_runs__busy(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), SYNCQ_ERR_BUSY);
    close(fd);
    check_unchanged(fixture);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), 0);
}

static void test_grow__no_index__refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(grow_run(fixture, GROW_SEGMENTS, 0), SYNCQ_ERR_INDEX);
}

/* ---- what stands in the channel is not believed ---- */

static int ask(struct fixture *fixture, uint32_t segment_count,
               uint32_t entry_count)
{
    struct syncq_channel *channel = fixture->writer->handle.channel;

    atomic_store(&channel->grow_segment_count, segment_count);
    atomic_store(&channel->grow_entry_count, entry_count);
    atomic_store(&channel->grow, SYNCQ_GROW_ASKED);
    syncq_channel_ring(channel);
    return grow_wait_answer(channel);
}

static void test_helper__asked_for_nonsense__refuses(void **state)
{
    struct fixture *fixture = *state;
    const char *data = fixture_path(fixture, SYNCQ_DATA_FILE);
    struct grow_mails mails = {.count = 0};

    assert_result(ask(fixture, UINT32_MAX, FIXTURE_ENTRY_COUNT),
                  SYNCQ_ERR_RANGE);
    assert_result(ask(fixture, 0, 0), SYNCQ_ERR_RANGE);
    assert_result(ask(fixture, FIXTURE_SEGMENT_COUNT, UINT32_MAX),
                  SYNCQ_ERR_RANGE);
    assert_result(ask(fixture, GROW_SEGMENTS, FIXTURE_ENTRY_COUNT),
                  SYNCQ_ERR_TRUNCATED);
    assert_result(ask(fixture, FIXTURE_SEGMENT_COUNT, GROW_ENTRIES),
                  SYNCQ_ERR_INDEX);
    /* Long enough, and nothing in it. */
    assert_int_equal(
        truncate(data, (off_t)(SYNCQ_DATA_OFFSET +
                               GROW_SEGMENTS * FIXTURE_SEGMENT_SIZE)),
        0);
    assert_result(ask(fixture, GROW_SEGMENTS, FIXTURE_ENTRY_COUNT),
                  SYNCQ_ERR_HOLES);
    grow_check_size(fixture, FIXTURE_SEGMENT_COUNT, FIXTURE_ENTRY_COUNT);
    grow_store(fixture->writer, &mails, 1, 100);
    /* Nor does an earlier grow's rest disturb the next one. */
    assert_result(grow_run(fixture, GROW_SEGMENTS, GROW_ENTRIES), 0);
    grow_store_until(fixture->writer, &mails, FIXTURE_SEGMENT_COUNT);
    grow_check_mails(fixture, &mails);
}

static void test_helper__zeros_without_pages__refuses(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *zeros = calloc(1, 2 * FIXTURE_SEGMENT_SIZE);

    assert_non_null(zeros);
    fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                      SYNCQ_DATA_OFFSET +
                          FIXTURE_SEGMENT_COUNT * FIXTURE_SEGMENT_SIZE,
                      zeros, 2 * FIXTURE_SEGMENT_SIZE);
    free(zeros);
    assert_result(ask(fixture, GROW_SEGMENTS, FIXTURE_ENTRY_COUNT),
                  SYNCQ_ERR_BAD_RECORD);
    grow_check_size(fixture, FIXTURE_SEGMENT_COUNT, FIXTURE_ENTRY_COUNT);
}

#define STOPPED(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STOPPED(test_grow__not_larger__range_error),
        STOPPED(test_grow__disk_too_small__says_how_much),
        STOPPED(test_grow__disk_refuses__files_as_before),
        STOPPED(test_grow__failed_queue__latched),
        RUNNING(test_grow__failed_while_running__latched),
        STOPPED(test_grow__another_one_runs__busy),
        STOPPED(test_grow__no_index__refused),
        RUNNING(test_helper__asked_for_nonsense__refuses),
        RUNNING(test_helper__zeros_without_pages__refuses),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
