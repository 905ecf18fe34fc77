/* SPDX-License-Identifier: MIT */
/*
 * test_medium.c - what may be on a disk after a crash, and tasks that take
 * turns
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module/queue_internal.h"
#include "tests/cmocka_all.h"
#include "tests/faults/medium.h"
#include "tests/faults/schedule.h"
#include "tests/temporary.h"

enum { SIZE = 16384 };

struct bench {
    char *directory;
    int directory_fd, fd;
    uint8_t *map;
    int points;
};

static void count_point(void *context)
{
    struct bench *bench = context;

    bench->points++;
}

static int setup(void **state)
{
    static struct bench bench;
    static const uint8_t zeros[SIZE];
    struct chance chance;

    bench = (struct bench){.directory = temporary_make()};
    bench.directory_fd =
        open(bench.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bench.fd = openat(bench.directory_fd, SYNCQ_DATA_FILE,
                      O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(bench.directory_fd >= 0 && bench.fd >= 0);
    assert_int_equal(pwrite(bench.fd, zeros, SIZE, 0), SIZE);
    medium_begin(bench.directory, count_point, &bench);
    chance_init(&chance, 1, 1);
    schedule_begin(&chance);
    bench.map =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bench.fd, 0);
    assert_ptr_not_equal(bench.map, MAP_FAILED);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    munmap(bench->map, SIZE);
    schedule_end();
    medium_end();
    close(bench->fd);
    close(bench->directory_fd);
    temporary_remove(bench->directory);
    return 0;
}

static size_t unit_count(enum medium_mode mode)
{
    size_t count;
    struct medium_unit *units = medium_units(mode, &count);

    medium_units_free(units, count);
    return count;
}

static void test_medium__stored__old_or_new(void **state)
{
    struct bench *bench = *state;
    struct medium_unit *units;
    size_t count;

    memset(bench->map + 1000, 1, 100); /* over a sector's end */
    medium_point();
    memset(bench->map + 1000, 2, 10);
    medium_point();
    assert_int_equal(bench->points, 2);
    units = medium_units(MEDIUM_BY_SECTOR, &count);
    assert_int_equal(count, 2);
    assert_int_equal(units[0].offset, 512);
    assert_int_equal(units[0].version_count, 3);
    assert_int_equal(units[0].versions[0][488], 0);
    assert_int_equal(units[0].versions[1][488], 1);
    assert_int_equal(units[0].versions[2][488], 2);
    assert_int_equal(units[1].offset, 1024);
    assert_int_equal(units[1].version_count, 2);
    medium_units_free(units, count);
}

static void test_medium__synced__one_version(void **state)
{
    struct bench *bench = *state;
    uint64_t size;

    memset(bench->map, 1, 512);
    memset(bench->map + 4096, 1, 512);
    assert_int_equal(msync(bench->map, 4096, MS_SYNC), 0);
    assert_int_equal(unit_count(MEDIUM_BY_SECTOR), 1);
    assert_int_equal(medium_base(0, &size)[0], 1);
    assert_int_equal(medium_base(0, &size)[4096], 0);
    assert_int_equal(fsync(bench->fd), 0);
    assert_int_equal(unit_count(MEDIUM_BY_SECTOR), 0);
}

static void test_medium__page_lost__takes_what_was_durable(void **state)
{
    struct bench *bench = *state;
    struct medium_unit *units;
    size_t count;

    bench->map[0] = 1;
    assert_int_equal(fsync(bench->fd), 0);
    bench->map[2048] = 1;
    medium_point();
    units = medium_units(MEDIUM_BY_PAGE, &count);
    assert_int_equal(count, 1);
    assert_int_equal(units[0].version_count, 3);
    assert_int_equal(units[0].versions[0][0], 1);
    assert_int_not_equal(units[0].versions[1][0], 1);
    assert_int_equal(units[0].versions[2][2048], 1);
    medium_units_free(units, count);
}

static void test_medium__renamed__durable_with_its_folder(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(renameat(bench->directory_fd, SYNCQ_DATA_FILE,
                              bench->directory_fd, "other"),
                     0);
    assert_int_equal(unit_count(MEDIUM_BY_SECTOR), 1);
    assert_string_equal(medium_listing(0)->names[0].name, SYNCQ_DATA_FILE);
    assert_string_equal(medium_listing(1)->names[0].name, "other");
    assert_int_equal(fsync(bench->directory_fd), 0);
    assert_int_equal(unit_count(MEDIUM_BY_SECTOR), 0);
    assert_string_equal(medium_listing(0)->names[0].name, "other");
}

static void *store_during_sync(void *context)
{
    struct bench *bench = context;

    for (int i = 0; i < 400; i++) {
        bench->map[512]++;
        medium_point();
        schedule_yield();
    }
    return NULL;
}

/* What is stored while the sync runs may be on the disk, or not. */
static void test_medium__stored_during_sync__not_durable(void **state)
{
    struct bench *bench = *state;
    pthread_t thread;
    uint64_t size;

    bench->map[0] = 1;
    assert_int_equal(pthread_create(&thread, NULL, store_during_sync, bench),
                     0);
    assert_int_equal(msync(bench->map, SIZE, MS_SYNC), 0);
    assert_int_equal(medium_base(0, &size)[0], 1);
    (void)pthread_join(thread, NULL);
    assert_int_equal(unit_count(MEDIUM_BY_SECTOR), 1);
}

struct order {
    char text[64];
    int length;
};

static struct order order;

static void *write_order(void *context)
{
    const char *name = context;

    for (int i = 0; i < 10; i++) {
        order.text[order.length++] = *name;
        schedule_yield();
    }
    return NULL;
}

static void run_order(uint64_t seed, char *text)
{
    static char names[] = "ab";
    pthread_t threads[2];
    struct chance chance;

    memset(&order, 0, sizeof order);
    chance_init(&chance, seed, 0);
    schedule_begin(&chance);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_order, &names[i]), 0);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    schedule_end();
    (void)strcpy(text, order.text);
}

static void test_schedule__same_seed__same_order(void **state)
{
    char one[64], same[64], other[64];

    (void)state;
    run_order(1, one);
    run_order(1, same);
    run_order(2, other);
    assert_int_equal(strlen(one), 20);
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_medium__stored__old_or_new),
        TEST(test_medium__synced__one_version),
        TEST(test_medium__page_lost__takes_what_was_durable),
        TEST(test_medium__renamed__durable_with_its_folder),
        TEST(test_medium__stored_during_sync__not_durable),
        cmocka_unit_test(test_schedule__same_seed__same_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
