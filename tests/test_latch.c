/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/queue_internal.h"
#include "tests/cmocka_all.h"
#include "tests/temporary.h"

struct latch {
    char *directory;
    int fd;
};

static struct latch latch;

static int setup(void **state)
{
    (void)state;
    latch.directory = temporary_make();
    latch.fd = open(latch.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return latch.fd < 0 || syncq_latch_create(latch.fd) != 0;
}

static int teardown(void **state)
{
    (void)state;
    close(latch.fd);
    temporary_remove(latch.directory);
    return 0;
}

static void test_latch__new__not_set(void **state)
{
    uint64_t lsn = 1;

    (void)state;
    assert_result(syncq_latch_read(latch.fd, &lsn), 0);
    assert_int_equal(lsn, 0);
    assert_result(syncq_latch_create(latch.fd), EEXIST);
}

static void test_latch__set__keeps_the_lsn_until_cleared(void **state)
{
    uint64_t lsn;

    (void)state;
    assert_result(syncq_latch_set(latch.fd, UINT64_MAX), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    assert_int_equal(lsn, UINT64_MAX);
    assert_result(syncq_latch_set(latch.fd, 7), 0); /* a shorter text */
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    assert_int_equal(lsn, 7);
    assert_result(syncq_latch_clear(latch.fd), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), 0);
}

static void test_latch__index__is_another_kind(void **state)
{
    uint64_t lsn;

    (void)state;
    assert_result(syncq_latch_set_index(latch.fd), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_INDEX);
    assert_result(syncq_latch_set(latch.fd, 9), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
}

/* In doubt it is set. */
static void test_latch__unreadable__set(void **state)
{
    uint64_t lsn;
    int fd = openat(latch.fd, SYNCQ_LATCH_FILE, O_RDWR | O_CLOEXEC);

    (void)state;
    assert_int_equal(pwrite(fd, "G", 1, 0), 1);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    assert_result(syncq_latch_clear(latch.fd), 0);
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    assert_result(syncq_latch_clear(latch.fd), 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    close(fd);
    assert_int_equal(unlinkat(latch.fd, SYNCQ_LATCH_FILE, 0), 0);
    assert_result(syncq_latch_read(latch.fd, &lsn), SYNCQ_ERR_LATCHED);
    assert_result(syncq_latch_set(latch.fd, 1), ENOENT);
}

#define LATCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATCH(test_latch__new__not_set),
        LATCH(test_latch__set__keeps_the_lsn_until_cleared),
        LATCH(test_latch__index__is_another_kind),
        LATCH(test_latch__unreadable__set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
