/* SPDX-License-Identifier: MIT */
/*
 * test_queue.c - open and close: each refusal, and what must not be refused
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <xxhash.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

static int open_result(struct fixture *fixture, enum syncq_open_mode mode)
{
    struct syncq_queue *queue = (struct syncq_queue *)1;
    int result = syncq_queue_open(fixture->queue, fixture->run, mode, &queue);

    if (result == 0)
        syncq_queue_close(queue);
    else /* outputs are as they were before the call */
        assert_ptr_equal(queue, (struct syncq_queue *)1);
    return result;
}

/* Both ways to open and the helper refuse it. */
static void assert_refused(struct fixture *fixture, int error, int code)
{
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), error);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), error);
    assert_int_equal(fixture_start_fails(fixture), code);
}

static void test_open__missing__no_queue(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_DATA_FILE)), 0);
    assert_refused(fixture, SYNCQ_ERR_NO_QUEUE, EX_NOINPUT);
    (void)strcat(fixture->queue, "/none");
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), SYNCQ_ERR_NO_QUEUE);
}

static void test_open__foreign_owner__refused(void **state)
{
    static const char *const names[] = {SYNCQ_DATA_FILE, SYNCQ_INDEX_FILE};
    struct fixture *fixture = *state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(chown(fixture_path(fixture, names[i]), 1, 1), 0);
        assert_result(open_result(fixture, SYNCQ_OPEN_READ), SYNCQ_ERR_OWNER);
        assert_int_equal(fixture_start_fails(fixture), EX_NOPERM);
        assert_int_equal(chown(fixture_path(fixture, names[i]), 0, 0), 0);
    }
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), 0);
}

static void test_open__open_to_others__refused(void **state)
{
    static const char *const names[] = {SYNCQ_DATA_FILE, SYNCQ_INDEX_FILE,
                                        SYNCQ_KEY_FILE};
    struct fixture *fixture = *state;
    char path[1024];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s",
                       fixture_path(fixture, names[i]));
        assert_int_equal(chmod(path, 0640), 0);
        assert_result(open_result(fixture, SYNCQ_OPEN_READ), SYNCQ_ERR_MODE);
        assert_int_equal(fixture_start_fails(fixture), EX_NOPERM);
        assert_int_equal(chmod(path, 0600), 0);
    }
    assert_int_equal(chmod(fixture->queue, 0755), 0);
    assert_refused(fixture, SYNCQ_ERR_MODE, EX_NOPERM);
    assert_int_equal(chmod(fixture->queue, 0700), 0);
}

static void test_open__link_instead_of_file__refused(void **state)
{
    struct fixture *fixture = *state;
    char path[1024], other[1024];

    (void)snprintf(path, sizeof path, "%s",
                   fixture_path(fixture, SYNCQ_DATA_FILE));
    (void)snprintf(other, sizeof other, "%s", fixture_path(fixture, "other"));
    assert_int_equal(link(path, other), 0);
    assert_refused(fixture, SYNCQ_ERR_MODE, EX_NOPERM);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_refused(fixture, SYNCQ_ERR_MODE, EX_NOPERM);
}

static void test_open__not_ours__magic(void **state)
{
    struct fixture *fixture = *state;

    fixture_damage(fixture, SYNCQ_DATA_FILE, 0, 8);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_PAGE_SIZE, 8);
    assert_refused(fixture, SYNCQ_ERR_MAGIC, EX_DATAERR);
}

/* Change both superblocks; sealed says whether change was before the seal. */
static void change_superblocks(struct fixture *fixture,
                               void (*before)(struct syncq_superblock *),
                               void (*after)(struct syncq_superblock *))
{
    struct syncq_queue *queue = fixture_reader(fixture);
    struct syncq_superblock superblock = queue->data.superblock;

    if (before != NULL)
        before(&superblock);
    for (unsigned i = 0; i < 2; i++) {
        superblock.generation++;
        syncq_superblock_seal(&superblock, &queue->key);
        if (after != NULL)
            after(&superblock);
        superblock.checksum = XXH3_64bits(
            &superblock, offsetof(struct syncq_superblock, checksum));
        fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                          (superblock.generation & 1) * SYNCQ_PAGE_SIZE,
                          &superblock, sizeof superblock);
    }
    syncq_queue_close(queue);
}

static void set_feature(struct syncq_superblock *superblock)
{
    superblock->features = 4;
}

static void set_version(struct syncq_superblock *superblock)
{
    superblock->version = SYNCQ_FORMAT_VERSION + 1;
}

static void set_file_size(struct syncq_superblock *superblock)
{
    superblock->file_size += SYNCQ_PAGE_SIZE;
}

static void test_open__other_version__refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *other = fixture_new();

    change_superblocks(fixture, NULL, set_version);
    assert_refused(fixture, SYNCQ_ERR_VERSION, EX_DATAERR);
    change_superblocks(other, set_feature, NULL);
    assert_refused(other, SYNCQ_ERR_VERSION, EX_DATAERR);
    fixture_free(other);
}

static void test_open__sizes_contradict__range(void **state)
{
    change_superblocks(*state, set_file_size, NULL);
    assert_refused(*state, SYNCQ_ERR_RANGE, EX_DATAERR);
}

static void test_open__wrong_key__refused_and_nothing_changed(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *before;
    struct mail mail;
    struct syncq_queue *queue;

    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 1, 5000);
    fixture_stop(fixture);
    before = fixture_image(fixture);
    fixture_damage(fixture, SYNCQ_KEY_FILE, 0, SYNCQ_KEY_SIZE);
    assert_refused(fixture, SYNCQ_ERR_KEY, EX_DATAERR);
    /* The right key again: all is there. */
    fixture_copy_file(before, fixture, SYNCQ_KEY_FILE);
    queue = fixture_reader(fixture);
    mail_check(queue, &mail);
    assert_int_equal(mail_status(queue, &mail, 0), SYNCQ_STATUS_SYNCED);
    syncq_queue_close(queue);
    fixture_free(before);
}

static void test_open__key_file__missing_or_cut(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(truncate(fixture_path(fixture, SYNCQ_KEY_FILE), 31), 0);
    assert_refused(fixture, SYNCQ_ERR_KEY_FILE, EX_DATAERR);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_KEY_FILE)), 0);
    assert_refused(fixture, SYNCQ_ERR_KEY_FILE, EX_DATAERR);
}

static void test_open__superblocks__one_is_enough(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        struct fixture *one = fixture_image(fixture);

        fixture_damage(one, SYNCQ_DATA_FILE, i * SYNCQ_PAGE_SIZE + 100, 1);
        assert_result(open_result(one, SYNCQ_OPEN_READ), 0);
        fixture_start(one);
        fixture_free(one);
    }
    fixture_damage(fixture, SYNCQ_DATA_FILE, 100, 1);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_PAGE_SIZE + 100, 1);
    assert_refused(fixture, SYNCQ_ERR_SUPERBLOCK, EX_DATAERR);
}

static void test_open__truncated__refused(void **state)
{
    struct fixture *fixture = *state;
    uint64_t size =
        SYNCQ_DATA_OFFSET + FIXTURE_SEGMENT_COUNT * FIXTURE_SEGMENT_SIZE;

    assert_int_equal(
        truncate(fixture_path(fixture, SYNCQ_DATA_FILE), (off_t)size - 1), 0);
    assert_refused(fixture, SYNCQ_ERR_TRUNCATED, EX_DATAERR);
    assert_int_equal(truncate(fixture_path(fixture, SYNCQ_DATA_FILE), 100), 0);
    assert_refused(fixture, SYNCQ_ERR_TRUNCATED, EX_DATAERR);
}

static void test_recover__hole_in_data__refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture_path(fixture, SYNCQ_DATA_FILE), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16 << 20,
                  SYNCQ_PAGE_SIZE) != 0)
        skip();
    close(fd);
    assert_result(fixture_recover(fixture, NULL, NULL), SYNCQ_ERR_HOLES);
    assert_int_equal(fixture_start_fails(fixture), EX_DATAERR);
}

static void test_open__no_index__read_refused_helper_makes_it(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), SYNCQ_ERR_INDEX);
    fixture_start(fixture);
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), 0);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), 0);
}

static void test_open__no_helper__refused(void **state)
{
    struct fixture *fixture = *state;

    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_NO_HELPER);
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), 0);
    fixture_start(fixture);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), 0);
    fixture_stop(fixture);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_NO_HELPER);
}

static void test_open__during_recovery__recovering(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *queue;

    /* Recovery holds the data file alone, ... */
    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue), 0);
    assert_result(syncq_data_lock(&queue->data, 1), 0);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_RECOVERING);
    syncq_queue_close(queue);
    /* ... and a channel is not open before it is done. */
    fixture_start(fixture);
    atomic_store(&fixture->helper.channel->state, SYNCQ_CHANNEL_STARTING);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_RECOVERING);
    atomic_store(&fixture->helper.channel->state, SYNCQ_CHANNEL_OPEN);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), 0);
}

static void test_open__latched__refused(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue_status status;
    struct syncq_queue *queue = fixture_reader(fixture);

    assert_result(syncq_latch_set(queue->directory_fd, 4711), 0);
    assert_result(syncq_queue_status(queue, &status), 0);
    assert_true(status.latched);
    assert_int_equal(status.latched_lsn, 4711);
    syncq_queue_close(queue);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_LATCHED);
    assert_result(open_result(fixture, SYNCQ_OPEN_READ), 0);
    assert_int_equal(fixture_start_fails(fixture), EX_DATAERR);
}

static void test_open__all_registrations_taken__busy(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *queues[SYNCQ_PROCESSES_MAX];
    uint32_t count = 0;
    int result = 0;

    fixture_start(fixture);
    while (count < SYNCQ_PROCESSES_MAX) {
        result = syncq_queue_open(fixture->queue, fixture->run,
                                  SYNCQ_OPEN_WRITE, &queues[count]);
        if (result != 0)
            break;
        count++;
    }
    assert_result(result, SYNCQ_ERR_BUSY);
    assert_int_equal(count, SYNCQ_PROCESSES_MAX - 1);
    syncq_queue_close(queues[--count]);
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), 0);
    while (count > 0)
        syncq_queue_close(queues[--count]);
}

static void test_open__channel_of_another_boot_or_queue__no_helper(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_channel *channel;

    fixture_start(fixture);
    channel = fixture->helper.channel;
    channel->boot_id[3] ^= 1;
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_NO_HELPER);
    channel->boot_id[3] ^= 1;
    channel->uuid[0] ^= 1;
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_NO_HELPER);
    channel->uuid[0] ^= 1;
    channel->layout++;
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), SYNCQ_ERR_NO_HELPER);
    channel->layout--;
    assert_result(open_result(fixture, SYNCQ_OPEN_WRITE), 0);
}

static void test_manager_lock__one_holder(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1, second = -1;

    assert_result(syncq_manager_lock(fixture->queue, &fd), 0);
    assert_result(syncq_manager_lock(fixture->queue, &second), SYNCQ_ERR_BUSY);
    assert_int_equal(second, -1);
    close(fd);
    assert_result(syncq_manager_lock(fixture->queue, &second), 0);
    close(second);
}

static void test_status__running__counts_what_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue_status before, after;
    struct mail mail;

    fixture_start(fixture);
    fixture_open(fixture);
    assert_true(syncq_helper_running(fixture->writer));
    assert_result(syncq_queue_usable(fixture->writer), 0);
    assert_result(syncq_queue_status(fixture->writer, &before), 0);
    assert_int_equal(before.segments_free, FIXTURE_SEGMENT_COUNT - 1);
    mail_init(&mail, 1, 10, 5, 100000);
    mail_store(fixture->writer, &mail);
    assert_result(syncq_queue_status(fixture->writer, &after), 0);
    assert_int_equal(after.entries_free, before.entries_free - 5);
    assert_in_range(before.free_size - after.free_size, 100000, 110000);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_open__missing__no_queue),
        QUEUE(test_open__foreign_owner__refused),
        QUEUE(test_open__open_to_others__refused),
        QUEUE(test_open__link_instead_of_file__refused),
        QUEUE(test_open__not_ours__magic),
        QUEUE(test_open__other_version__refused),
        QUEUE(test_open__sizes_contradict__range),
        QUEUE(test_open__wrong_key__refused_and_nothing_changed),
        QUEUE(test_open__key_file__missing_or_cut),
        QUEUE(test_open__superblocks__one_is_enough),
        QUEUE(test_open__truncated__refused),
        QUEUE(test_recover__hole_in_data__refused),
        QUEUE(test_open__no_index__read_refused_helper_makes_it),
        QUEUE(test_open__no_helper__refused),
        QUEUE(test_open__during_recovery__recovering),
        QUEUE(test_open__latched__refused),
        QUEUE(test_open__all_registrations_taken__busy),
        QUEUE(test_open__channel_of_another_boot_or_queue__no_helper),
        QUEUE(test_manager_lock__one_holder),
        QUEUE(test_status__running__counts_what_is_free),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
