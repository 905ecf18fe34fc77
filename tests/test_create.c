/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "module/error.h"
#include "module/queue_internal.h"
#include "tests/cmocka_all.h"
#include "tests/temporary.h"

enum { SMALL = 32 << 20 };

static struct syncq_create_options small_options(void)
{
    return (struct syncq_create_options){.size = SMALL,
                                         .segment_size = 8 << 20,
                                         .entry_count = 1024,
                                         .allow_any_filesystem = 1};
}

static int setup(void **state)
{
    *state = temporary_make();
    return *state == NULL;
}

static int teardown(void **state)
{
    temporary_remove(*state);
    return 0;
}

static uint64_t file_size(const char *directory, const char *name,
                          struct stat *status)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(lstat(path, status), 0);
    return (uint64_t)status->st_size;
}

static void assert_empty(const char *directory)
{
    assert_int_equal(rmdir(directory), 0); /* fails when anything is left */
    assert_int_equal(mkdir(directory, 0700), 0);
}

static void test_create__small__files_as_described(void **state)
{
    static const char *const names[] = {SYNCQ_DATA_FILE, SYNCQ_INDEX_FILE,
                                        SYNCQ_KEY_FILE, SYNCQ_LATCH_FILE};
    struct syncq_create_options options = small_options();
    const char *directory = *state;
    struct syncq_queue_status queue_status;
    struct syncq_queue *queue;
    struct stat status;
    uint64_t lsn;

    assert_result(syncq_queue_create(directory, &options), 0);
    for (size_t i = 0; i < 4; i++) {
        (void)file_size(directory, names[i], &status);
        assert_int_equal(status.st_mode, S_IFREG | 0600);
        assert_int_equal(status.st_nlink, 1);
    }
    assert_int_equal(file_size(directory, SYNCQ_DATA_FILE, &status),
                     SMALL + SYNCQ_DATA_OFFSET);
    assert_int_equal(file_size(directory, SYNCQ_INDEX_FILE, &status),
                     SYNCQ_INDEX_ENTRIES_OFFSET + 1024 * SYNCQ_ENTRY_SIZE);
    assert_int_equal(file_size(directory, SYNCQ_KEY_FILE, &status), 32);
    assert_result(
        syncq_queue_open(directory, directory, SYNCQ_OPEN_READ, &queue), 0);
    assert_int_equal(lseek(queue->data.fd, 0, SEEK_HOLE),
                     SMALL + SYNCQ_DATA_OFFSET);
    assert_result(syncq_latch_read(queue->directory_fd, &lsn), 0);
    assert_result(syncq_queue_status(queue, &queue_status), 0);
    assert_int_equal(queue_status.segment_count, 4);
    assert_int_equal(queue_status.segments_free, 4);
    assert_int_equal(queue_status.entries_free, 1024);
    assert_int_equal(queue_status.latched, 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct syncq_segment_page page;

        assert_result(
            syncq_data_read_segment_page(&queue->data, &queue->key, i, &page),
            0);
        assert_int_equal(page.state, SYNCQ_SEGMENT_FREE);
    }
    syncq_queue_close(queue);
}

static void test_create__defaults__chosen_by_size(void **state)
{
    struct syncq_create_options options = {.size = 160 << 20,
                                           .allow_any_filesystem = 1};
    struct syncq_queue_status status;
    struct syncq_queue *queue;

    assert_result(syncq_queue_create(*state, &options), 0);
    assert_result(syncq_queue_open(*state, *state, SYNCQ_OPEN_READ, &queue), 0);
    assert_result(syncq_queue_status(queue, &status), 0);
    assert_int_equal(status.segment_size, 8 << 20);
    assert_int_equal(status.segment_count, 20);
    assert_int_equal(status.entry_count, (160 << 20) / 4096);
    syncq_queue_close(queue);
}

static void test_create__bad_sizes__range(void **state)
{
    static const struct syncq_create_options bad[] = {
        {.size = 0},
        {.size = (8 << 20) - 1},
        {.size = 24 << 20, .segment_size = 8 << 20},
        {.size = SMALL, .segment_size = 4 << 20},
        {.size = SMALL, .segment_size = (8 << 20) + 4096},
        {.size = UINT64_MAX, .segment_size = 8 << 20},
        {.size = UINT64_C(64) << 30, .segment_size = UINT64_C(8) << 30},
        {.size = SMALL, .segment_size = 8 << 20, .entry_count = 1023},
        {.size = SMALL,
         .segment_size = 8 << 20,
         .entry_count = SYNCQ_ENTRY_COUNT_MAX + 1},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct syncq_create_options options = bad[i];

        options.allow_any_filesystem = 1;
        assert_result(syncq_queue_create(*state, &options), SYNCQ_ERR_RANGE);
        assert_empty(*state);
    }
}

static void test_create__twice__exists_and_unchanged(void **state)
{
    struct syncq_create_options options = small_options();
    struct syncq_queue *queue;
    uint8_t uuid[SYNCQ_UUID_SIZE];

    assert_result(syncq_queue_create(*state, &options), 0);
    assert_result(syncq_queue_open(*state, *state, SYNCQ_OPEN_READ, &queue), 0);
    memcpy(uuid, queue->key.uuid, sizeof uuid);
    syncq_queue_close(queue);
    assert_result(syncq_queue_create(*state, &options), SYNCQ_ERR_EXISTS);
    assert_result(syncq_queue_open(*state, *state, SYNCQ_OPEN_READ, &queue), 0);
    assert_memory_equal(uuid, queue->key.uuid, sizeof uuid);
    syncq_queue_close(queue);
}

static void test_create__directory__must_be_private_and_there(void **state)
{
    struct syncq_create_options options = small_options();
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/none", (char *)*state);
    assert_result(syncq_queue_create(path, &options), ENOENT);
    assert_int_equal(chmod(*state, 0750), 0);
    assert_result(syncq_queue_create(*state, &options), SYNCQ_ERR_MODE);
    assert_int_equal(chmod(*state, 0700), 0);
    assert_empty(*state);
}

static void test_create__untested_filesystem__refused(void **state)
{
    struct syncq_create_options options = small_options();
    char directory[] = "/dev/shm/syncq-test-XXXXXX";
    struct statfs filesystem;

    (void)state;
    if (statfs("/dev/shm", &filesystem) != 0 ||
        filesystem.f_type != TMPFS_MAGIC || mkdtemp(directory) == NULL)
        skip();
    options.allow_any_filesystem = 0;
    assert_result(syncq_queue_create(directory, &options),
                  SYNCQ_ERR_FILESYSTEM);
    assert_int_equal(rmdir(directory), 0);
}

struct progress {
    uint64_t done, total;
    int calls;
};

static void note_progress(uint64_t done, uint64_t total, void *context)
{
    struct progress *progress = context;

    assert_true(done >= progress->done);
    assert_true(done <= total);
    *progress = (struct progress){done, total, progress->calls + 1};
}

static void test_create__progress__rises_to_the_end(void **state)
{
    struct syncq_create_options options = small_options();
    struct progress progress = {0};

    options.progress = note_progress;
    options.context = &progress;
    assert_result(syncq_queue_create(*state, &options), 0);
    assert_true(progress.calls > 2);
    assert_int_equal(progress.done, progress.total);
    assert_int_equal(progress.total, SMALL + SYNCQ_DATA_OFFSET);
}

/* Only the data file can be this large. */
static void test_create__disk_refuses__nothing_left(void **state)
{
    struct syncq_create_options options = small_options();
    struct rlimit before, limit = {8 << 20, RLIM_INFINITY};

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_result(syncq_queue_create(*state, &options), EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_empty(*state);
}

static void die_half_way(uint64_t done, uint64_t total, void *context)
{
    (void)context;
    if (done > total / 2)
        _exit(9);
}

static void test_create__process_dies__no_queue(void **state)
{
    struct syncq_create_options options = small_options();
    struct syncq_queue *queue;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        options.progress = die_half_way;
        (void)syncq_queue_create(*state, &options);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_result(syncq_queue_open(*state, *state, SYNCQ_OPEN_READ, &queue),
                  SYNCQ_ERR_NO_QUEUE);
    /* What it left is nobody's. */
    options.progress = NULL;
    assert_result(syncq_queue_create(*state, &options), 0);
    assert_result(syncq_queue_open(*state, *state, SYNCQ_OPEN_READ, &queue), 0);
    syncq_queue_close(queue);
}

/* The files of a queue whose data file is elsewhere are not taken for those of
 * a create that was cut off. */
static void test_create__data_file_missing__exists_and_unchanged(void **state)
{
    struct syncq_create_options options = small_options();
    char data[1024], moved[1024], key[1024];
    struct stat before, after;

    (void)snprintf(data, sizeof data, "%s/queue.data", (char *)*state);
    (void)snprintf(moved, sizeof moved, "%s/moved", (char *)*state);
    (void)snprintf(key, sizeof key, "%s/queue.key", (char *)*state);
    assert_result(syncq_queue_create(*state, &options), 0);
    assert_int_equal(rename(data, moved), 0);
    assert_int_equal(stat(key, &before), 0);
    assert_result(syncq_queue_create(*state, &options), SYNCQ_ERR_EXISTS);
    assert_int_equal(stat(key, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(access(data, F_OK), -1);
}

static void create_inside(uint64_t done, uint64_t total, void *context)
{
    struct syncq_create_options options = small_options();

    (void)total;
    if (done == 0)
        assert_result(syncq_queue_create(context, &options), SYNCQ_ERR_BUSY);
}

static void test_create__two_at_a_time__second_is_refused(void **state)
{
    struct syncq_create_options options = small_options();

    options.progress = create_inside;
    options.context = *state;
    assert_result(syncq_queue_create(*state, &options), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_create__small__files_as_described),
        IN_FOLDER(test_create__defaults__chosen_by_size),
        IN_FOLDER(test_create__bad_sizes__range),
        IN_FOLDER(test_create__twice__exists_and_unchanged),
        IN_FOLDER(test_create__directory__must_be_private_and_there),
        cmocka_unit_test(test_create__untested_filesystem__refused),
        IN_FOLDER(test_create__progress__rises_to_the_end),
        IN_FOLDER(test_create__disk_refuses__nothing_left),
        IN_FOLDER(test_create__process_dies__no_queue),
        IN_FOLDER(test_create__data_file_missing__exists_and_unchanged),
        IN_FOLDER(test_create__two_at_a_time__second_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
