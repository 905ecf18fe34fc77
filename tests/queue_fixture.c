/* SPDX-License-Identifier: MIT */
#include "tests/queue_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/temporary.h"

static struct fixture *template; /* copied for each test */

struct fixture *fixture_bare(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char error[256];

    assert_non_null(fixture);
    fixture->directory = temporary_make();
    assert_non_null(fixture->directory);
    (void)snprintf(fixture->queue, sizeof fixture->queue, "%s/queue",
                   fixture->directory);
    (void)snprintf(fixture->run, sizeof fixture->run, "%s/run",
                   fixture->directory);
    assert_int_equal(mkdir(fixture->queue, 0700), 0);
    assert_int_equal(mkdir(fixture->run, 0700), 0);
    assert_int_equal(
        config_read("/dev/null", &fixture->config, error, sizeof error), 0);
    free(fixture->config.queue_directory);
    free(fixture->config.run_directory);
    fixture->config.queue_directory = strdup(fixture->queue);
    fixture->config.run_directory = strdup(fixture->run);
    fixture->config.allow_any_filesystem = 1;
    return fixture;
}

int fixture_group_setup(void **state)
{
    const struct syncq_create_options options = {
        .size = FIXTURE_SEGMENT_SIZE * FIXTURE_SEGMENT_COUNT,
        .segment_size = FIXTURE_SEGMENT_SIZE,
        .entry_count = FIXTURE_ENTRY_COUNT,
        .allow_any_filesystem = 1,
    };

    (void)state;
    template = fixture_bare();
    assert_result(syncq_queue_create(template->queue, &options), 0);
    return 0;
}

int fixture_group_teardown(void **state)
{
    (void)state;
    fixture_free(template);
    template = NULL;
    return 0;
}

struct fixture *fixture_new(void)
{
    return fixture_image(template);
}

void fixture_free(struct fixture *fixture)
{
    if (fixture == NULL)
        return;
    fixture_stop(fixture);
    config_clear(&fixture->config);
    temporary_remove(fixture->directory);
    free(fixture);
}

int fixture_setup(void **state)
{
    *state = fixture_new();
    return 0;
}

int fixture_setup_running(void **state)
{
    struct fixture *fixture = fixture_new();

    fixture_start(fixture);
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void *run_batches(void *context)
{
    struct fixture *fixture = context;

    batch_run(&fixture->helper);
    return NULL;
}

int fixture_try_start(struct fixture *fixture)
{
    int code;

    memset(&fixture->helper, 0, sizeof fixture->helper);
    code = helper_open(&fixture->helper, &fixture->config);
    if (code != 0)
        return code;
    assert_int_equal(
        pthread_create(&fixture->thread, NULL, run_batches, fixture), 0);
    fixture->helper_runs = 1;
    return 0;
}

void fixture_start(struct fixture *fixture)
{
    assert_int_equal(fixture_try_start(fixture), 0);
}

int fixture_start_fails(struct fixture *fixture)
{
    int code = fixture_try_start(fixture);

    assert_int_not_equal(code, 0);
    return code;
}

void fixture_open(struct fixture *fixture)
{
    assert_result(syncq_queue_open(fixture->queue, fixture->run,
                                   SYNCQ_OPEN_WRITE, &fixture->writer),
                  0);
}

void fixture_close(struct fixture *fixture)
{
    syncq_queue_close(fixture->writer);
    fixture->writer = NULL;
}

void fixture_stop(struct fixture *fixture)
{
    fixture_close(fixture);
    if (!fixture->helper_runs)
        return;
    atomic_store(&fixture->helper.stop, 1);
    syncq_channel_ring(fixture->helper.channel);
    (void)pthread_join(fixture->thread, NULL);
    helper_close(&fixture->helper);
    memset(&fixture->helper, 0, sizeof fixture->helper);
    fixture->helper_runs = 0;
}

const char *fixture_path(const struct fixture *fixture, const char *name)
{
    static __thread char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", fixture->queue, name);
    return path;
}

void fixture_copy_path(const char *from, const struct fixture *to,
                       const char *name)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(fixture_path(to, name),
                   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t count;

    assert_true(in >= 0 && out >= 0);
    while ((count = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) > 0)
        ;
    assert_int_equal(count, 0);
    close(in);
    close(out);
}

void fixture_copy_file(const struct fixture *from, const struct fixture *to,
                       const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s", fixture_path(from, name));
    fixture_copy_path(path, to, name);
}

struct fixture *fixture_image(const struct fixture *fixture)
{
    static const char *const names[] = {SYNCQ_KEY_FILE, SYNCQ_LATCH_FILE,
                                        SYNCQ_INDEX_FILE, SYNCQ_DATA_FILE};
    struct fixture *image = fixture_bare();

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (access(fixture_path(fixture, names[i]), F_OK) == 0)
            fixture_copy_file(fixture, image, names[i]);
    return image;
}

int fixture_recover(struct fixture *fixture,
                    struct syncq_recovery_report *report,
                    struct syncq_recovered *recovered)
{
    struct syncq_recovered unused;
    struct syncq_recovery_report unread;
    struct syncq_queue *queue;
    int result =
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue);

    if (result != 0)
        return result;
    /* Where the control of syncs looks for the maps. */
    fixture->helper.queue = queue;
    result = syncq_data_lock(&queue->data, 1);
    if (result == 0)
        result = syncq_recover(queue, report == NULL ? &unread : report,
                               recovered == NULL ? &unused : recovered);
    fixture->helper.queue = NULL;
    syncq_queue_close(queue);
    return result;
}

void fixture_overwrite(const struct fixture *fixture, const char *name,
                       uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(fixture_path(fixture, name), O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
}

void fixture_damage(const struct fixture *fixture, const char *name,
                    uint64_t offset, size_t size)
{
    uint8_t *bytes = malloc(size);
    int fd = open(fixture_path(fixture, name), O_RDONLY | O_CLOEXEC);

    assert_true(bytes != NULL && fd >= 0);
    assert_int_equal(pread(fd, bytes, size, (off_t)offset), size);
    close(fd);
    for (size_t i = 0; i < size; i++)
        bytes[i] ^= 0xa5;
    fixture_overwrite(fixture, name, offset, bytes, size);
    free(bytes);
}

uint64_t fixture_offset(struct syncq_queue *queue, uint64_t lsn)
{
    uint64_t base;
    uint32_t segment;

    assert_result(syncq_segment_find(queue, lsn, &segment, &base), 0);
    return syncq_data_segment_offset(&queue->data, segment) + (lsn - base);
}

struct syncq_queue *fixture_reader(const struct fixture *fixture)
{
    struct syncq_queue *queue = NULL;

    assert_result(
        syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_READ, &queue),
        0);
    return queue;
}

void fixture_until(struct fixture *fixture,
                   int (*done)(struct fixture *fixture, void *context),
                   void *context)
{
    uint64_t end_us = syncq_clock_us() + FIXTURE_WAIT_MS * 1000;
    _Atomic uint32_t never = 0;

    while (!done(fixture, context)) {
        assert_true(syncq_clock_us() < end_us);
        keeper_wake(&fixture->helper);
        (void)syncq_futex_wait(&never, 0, 1000);
    }
}

static int is_durable(struct fixture *fixture, void *context)
{
    struct syncq_channel *channel = fixture->helper.channel;

    (void)context;
    return atomic_load(&channel->durable_lsn) == channel->head_lsn;
}

void fixture_until_durable(struct fixture *fixture)
{
    fixture_until(fixture, is_durable, NULL);
}

uint64_t fixture_dirtied_bytes(void)
{
    char line[128];
    uint64_t bytes = 0;
    FILE *file = fopen("/proc/self/io", "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "write_bytes: %" SCNu64, &bytes) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return bytes;
}

void fixture_clean_cache(const struct fixture *fixture)
{
    int fd = open(fixture_path(fixture, SYNCQ_DATA_FILE), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}
