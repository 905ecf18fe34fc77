/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/temporary.h"
#include "module/channel.h"

static const uint8_t uuid[SYNCQ_UUID_SIZE] = {1, 2, 3};
static const uint8_t other_uuid[SYNCQ_UUID_SIZE] = {1, 2, 4};

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

static const char *channel_path(const char *directory)
{
    static char path[1024];

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE, directory);
    return path;
}

static void test_channel__none__no_helper(void **state)
{
    struct syncq_channel_handle handle;
    char missing[1024];

    assert_result(syncq_channel_attach(*state, 1, uuid, &handle),
                  SYNCQ_ERR_NO_HELPER);
    assert_null(handle.channel);
    assert_int_equal(handle.fd, -1);
    assert_result(syncq_channel_usable(&handle), SYNCQ_ERR_NO_HELPER);
    (void)snprintf(missing, sizeof missing, "%s/none", (char *)*state);
    assert_result(syncq_channel_attach(missing, 1, uuid, &handle),
                  SYNCQ_ERR_NO_HELPER);
    assert_result(syncq_channel_create(missing, uuid, &handle),
                  SYNCQ_ERR_RUN_DIRECTORY);
    assert_int_equal(handle.fd, -1);
    syncq_channel_detach(&handle);
}

static void test_channel__created__attached_by_its_queue_only(void **state)
{
    struct syncq_channel_handle helper, writer;
    struct stat status;

    assert_result(syncq_channel_create(*state, uuid, &helper), 0);
    assert_int_equal(stat(channel_path(*state), &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    /* All of it has its blocks: no SIGBUS on a full run directory. */
    assert_true((uint64_t)status.st_blocks * 512 >=
                sizeof(struct syncq_channel));
    assert_result(syncq_channel_attach(*state, 1, other_uuid, &writer),
                  SYNCQ_ERR_NO_HELPER);
    assert_result(syncq_channel_attach(*state, 1, uuid, &writer), 0);
    assert_result(syncq_channel_usable(&writer), SYNCQ_ERR_RECOVERING);
    atomic_store(&helper.channel->state, SYNCQ_CHANNEL_OPEN);
    assert_result(syncq_channel_usable(&writer), 0);
    atomic_store(&helper.channel->state, SYNCQ_CHANNEL_FAILED);
    assert_result(syncq_channel_usable(&writer), SYNCQ_ERR_LATCHED);
    atomic_store(&helper.channel->state, SYNCQ_CHANNEL_CLOSED);
    assert_result(syncq_channel_usable(&writer), SYNCQ_ERR_DETACHED);
    syncq_channel_detach(&writer);
    syncq_channel_detach(&helper);
}

static void test_channel__replaced__old_one_detached(void **state)
{
    struct syncq_channel_handle old, writer, new;

    assert_result(syncq_channel_create(*state, uuid, &old), 0);
    atomic_store(&old.channel->state, SYNCQ_CHANNEL_OPEN);
    assert_result(syncq_channel_attach(*state, 1, uuid, &writer), 0);
    assert_result(syncq_channel_create(*state, uuid, &new), 0);
    assert_result(syncq_channel_usable(&writer), SYNCQ_ERR_DETACHED);
    assert_result(syncq_channel_usable(&new), SYNCQ_ERR_RECOVERING);
    syncq_channel_detach(&writer);
    syncq_channel_detach(&old);
    syncq_channel_detach(&new);
}

static void test_channel__files__must_be_private(void **state)
{
    struct syncq_channel_handle helper, writer;

    assert_result(syncq_channel_create(*state, uuid, &helper), 0);
    assert_int_equal(chmod(channel_path(*state), 0660), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &writer),
                  SYNCQ_ERR_MODE);
    assert_int_equal(chmod(channel_path(*state), 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(channel_path(*state), 1, 1), 0);
        assert_result(syncq_channel_attach(*state, 1, uuid, &writer),
                      SYNCQ_ERR_OWNER);
        assert_int_equal(chown(channel_path(*state), 0, 0), 0);
    }
    assert_int_equal(truncate(channel_path(*state), 4096), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &writer),
                  SYNCQ_ERR_NO_HELPER);
    assert_int_equal(chmod(*state, 0711), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &writer),
                  SYNCQ_ERR_MODE);
    assert_int_equal(chmod(*state, 0700), 0);
    syncq_channel_detach(&helper);
}

static void test_register__helper__one_at_a_time(void **state)
{
    struct syncq_channel_handle helper, second;

    assert_result(syncq_channel_create(*state, uuid, &helper), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &second), 0);
    assert_true(syncq_channel_helper_alive(&second));
    assert_result(syncq_channel_register_helper(&second), SYNCQ_ERR_BUSY);
    syncq_channel_detach(&helper);
    assert_false(syncq_channel_helper_alive(&second));
    assert_result(syncq_channel_register_helper(&second), 0);
    syncq_channel_detach(&second);
}

static void test_register__writers__told_apart_and_known_alive(void **state)
{
    struct syncq_channel_handle helper, first, second, again;
    uint32_t dead;

    assert_result(syncq_channel_create(*state, uuid, &helper), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &first), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &second), 0);
    assert_result(syncq_channel_attach(*state, 1, uuid, &again), 0);
    assert_result(syncq_channel_register(&first), 0);
    assert_result(syncq_channel_register(&second), 0);
    assert_int_not_equal(first.owner, second.owner);
    assert_true(syncq_channel_owner_alive(&helper, first.owner));
    assert_true(syncq_channel_owner_alive(&first, first.owner));
    assert_true(syncq_channel_owner_alive(&first, second.owner));
    dead = first.owner;
    syncq_channel_detach(&first);
    assert_false(syncq_channel_owner_alive(&helper, dead));
    /* The byte is used again: the old owner stays dead. */
    assert_result(syncq_channel_register(&again), 0);
    assert_int_equal(again.owner & 0xff, dead & 0xff);
    assert_int_not_equal(again.owner, dead);
    assert_true(syncq_channel_owner_alive(&helper, again.owner));
    assert_false(syncq_channel_owner_alive(&helper, dead));
    /* Nonsense is nobody. */
    assert_false(syncq_channel_owner_alive(&helper, 0));
    assert_false(syncq_channel_owner_alive(&helper, 255));
    assert_false(syncq_channel_owner_alive(&helper, UINT32_MAX));
    syncq_channel_detach(&second);
    syncq_channel_detach(&again);
    syncq_channel_detach(&helper);
}

static void test_futex__value_changed__returns_at_once(void **state)
{
    _Atomic uint32_t word = 5;
    uint64_t start = syncq_clock_us();

    (void)state;
    assert_int_equal(syncq_futex_wait(&word, 4, -1), EAGAIN);
    assert_int_equal(syncq_futex_wait(&word, 5, 1000), ETIMEDOUT);
    assert_true(syncq_clock_us() >= start + 1000);
    syncq_futex_wake(&word);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_channel__none__no_helper),
        IN_FOLDER(test_channel__created__attached_by_its_queue_only),
        IN_FOLDER(test_channel__replaced__old_one_detached),
        IN_FOLDER(test_channel__files__must_be_private),
        IN_FOLDER(test_register__helper__one_at_a_time),
        IN_FOLDER(test_register__writers__told_apart_and_known_alive),
        cmocka_unit_test(test_futex__value_changed__returns_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
