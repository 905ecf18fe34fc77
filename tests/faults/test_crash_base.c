/* SPDX-License-Identifier: MIT */
/*
 * test_crash_base.c - images built from one another are those that are built
 * from nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/disk/crash_image.h"
#include "tests/faults/findings.h"
#include "tests/temporary.h"

enum { DISK = 64 * 1024, ENTRIES = 120 };

struct bench {
    char *directory;
    struct write_log log;
    uint8_t *from_base, *anew; /* two images */
    int base_fd, from_base_fd, anew_fd;
};

static int memory_file(uint8_t **map)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, DISK), 0);
    *map = mmap(NULL, DISK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*map, MAP_FAILED);
    return fd;
}

static void append_any(struct write_log_writer *writer, struct chance *chance,
                       int result)
{
    uint8_t data[3 * 4096];
    uint64_t kind = result != 0 ? 7 : chance_below(chance, 8);
    struct write_log_entry entry = {.result = result, .data = data};

    memset(data, (int)chance_below(chance, 256), sizeof data);
    entry.type = kind == 0   ? WRITE_LOG_FLUSH
                 : kind == 1 ? WRITE_LOG_DISCARD
                 : kind == 2 ? WRITE_LOG_MARK
                             : WRITE_LOG_WRITE;
    if (entry.type != WRITE_LOG_FLUSH)
        entry.length = 512 * (1 + chance_below(chance, 24));
    entry.offset = 512 * chance_below(chance, (DISK - entry.length) / 512 + 1);
    assert_int_equal(write_log_append(writer, &entry), 0);
}

static void make_log(struct bench *bench, int failed_entry)
{
    struct write_log_writer *writer;
    struct chance chance;
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/log", bench->directory);
    chance_init(&chance, 1, 1);
    assert_int_equal(write_log_create(path, DISK, &writer), 0);
    for (int i = 1; i <= ENTRIES; i++)
        append_any(writer, &chance, i == failed_entry ? EIO : 0);
    write_log_finish(writer);
    assert_int_equal(write_log_open(path, &bench->log), 0);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    uint8_t *unused;

    assert_non_null(bench);
    bench->directory = temporary_make();
    assert_non_null(bench->directory);
    bench->base_fd = memory_file(&unused);
    (void)munmap(unused, DISK);
    bench->from_base_fd = memory_file(&bench->from_base);
    bench->anew_fd = memory_file(&bench->anew);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    write_log_close(&bench->log);
    (void)munmap(bench->from_base, DISK);
    (void)munmap(bench->anew, DISK);
    close(bench->base_fd);
    close(bench->from_base_fd);
    close(bench->anew_fd);
    temporary_remove(bench->directory);
    free(bench);
    return 0;
}

static void compare(struct bench *bench, struct crash_base *base,
                    const struct crash_cut *cut)
{
    struct crash_report from_base, anew;

    assert_int_equal(crash_base_advance(&bench->log, cut->number, base), 0);
    assert_int_equal(pread(bench->base_fd, bench->from_base, DISK, 0), DISK);
    assert_int_equal(crash_base_build(&bench->log, base, cut,
                                      bench->from_base_fd, &from_base),
                     0);
    memset(bench->anew, 0, DISK);
    assert_int_equal(crash_image_build(&bench->log, cut, bench->anew_fd, &anew),
                     0);
    assert_memory_equal(bench->from_base, bench->anew, DISK);
    assert_memory_equal(&from_base, &anew, sizeof anew);
}

static void test_crash_base__every_cut__same_image(void **state)
{
    struct bench *bench = *state;
    struct crash_base base = {.fd = bench->base_fd};

    make_log(bench, 0);
    for (uint64_t number = 0; number <= ENTRIES; number++)
        for (int choice = CRASH_ALL; choice <= CRASH_MOST; choice++) {
            const struct crash_cut cut = {
                .number = number,
                .choice = (enum crash_choice)choice,
                .seed = number,
                .unit = number % 3 == 0 ? 4096 : CRASH_IMAGE_UNIT,
            };

            compare(bench, &base, &cut);
        }
    assert_true(base.flush > 0);
}

static void test_crash_base__failed_write__refused(void **state)
{
    struct bench *bench = *state;
    struct crash_base base = {.fd = bench->base_fd};

    make_log(bench, 5);
    assert_int_equal(crash_base_advance(&bench->log, ENTRIES, &base), ENOTSUP);
}

#define ON_A_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_DISK(test_crash_base__every_cut__same_image),
        ON_A_DISK(test_crash_base__failed_write__refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
