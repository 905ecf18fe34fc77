/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "qmgr/delivery_trailer.h"
#include "qmgr/leftovers.h"
#include "tests/temporary.h"

#define SEQUENCE UINT64_C(0x10000000042)
#define BODY     "CTSRRRMNXE" /* R at 3, 4, 5 */

struct seen {
    int away; /* the queue file is not open */
    unsigned count;
    uint64_t sequence;
    uint64_t recipients; /* a bit for each */
};

static const uint8_t uuid[SYNCQ_UUID_SIZE] = {9, 8, 7};

static int note(void *context, const uint8_t owner[SYNCQ_UUID_SIZE],
                uint64_t sequence, uint32_t recipient)
{
    struct seen *seen = context;

    assert_memory_equal(owner, uuid, SYNCQ_UUID_SIZE);
    if (seen->away)
        return 0;

    seen->count++;
    seen->sequence = sequence;
    seen->recipients |= UINT64_C(1) << recipient;
    return 1;
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

/* A file with recipients 7, 8 and 9 of the envelope, marked as text says. */
static void write_file(const char *folder, const char *name, const char *marks,
                       size_t cut)
{
    const uint32_t recipients[] = {7, 8, 9};
    const uint64_t offsets[] = {3, 4, 5};
    char body[] = BODY, path[256];
    uint8_t *trailer;
    size_t size;
    FILE *file;

    memcpy(body + 3, marks, 3);
    trailer =
        delivery_trailer_build(uuid, SEQUENCE, recipients, offsets, 3, &size);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(body, 1, sizeof(body) - 1, file), sizeof(body) - 1);
    assert_int_equal(fwrite(trailer, 1, size - cut, file), size - cut);
    (void)fclose(file);
    free(trailer);
}

static int exists(const char *folder, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void
test_recover__marked_file__marks_are_read_and_file_is_gone(void **state)
{
    struct leftovers leftovers = {0};
    struct seen seen = {0};
    struct leftovers_taker taker = {note, &seen};

    write_file(*state, "4jXcABC0123z", "DRD", 0);
    leftovers_recover(&leftovers, *state, &taker);
    assert_int_equal(seen.count, 2);
    assert_true(seen.sequence == SEQUENCE);
    assert_true(seen.recipients == (UINT64_C(1) << 7 | UINT64_C(1) << 9));
    assert_int_equal(leftovers.count, 0);
    assert_false(exists(*state, "4jXcABC0123z"));
}

static void test_recover__torn_file__says_nothing_and_is_gone(void **state)
{
    struct leftovers leftovers = {0};
    struct seen seen = {0};
    struct leftovers_taker taker = {note, &seen};

    write_file(*state, "4jXcABC0123z", "DDD", 1);
    write_file(*state, "new.4jXcABC0124z", "DDD", 0);
    leftovers_recover(&leftovers, *state, &taker);
    assert_int_equal(seen.count, 0);
    assert_false(exists(*state, "4jXcABC0123z"));
    assert_false(exists(*state, "new.4jXcABC0124z"));
}

static void test_recover__other_files__stay(void **state)
{
    struct leftovers leftovers = {0};
    struct seen seen = {0};
    struct leftovers_taker taker = {note, &seen};

    write_file(*state, "not-an-id", "DDD", 0);
    leftovers_recover(&leftovers, *state, &taker);
    assert_int_equal(seen.count, 0);
    assert_true(exists(*state, "not-an-id"));
}

static void test_retry__agent_let_go__only_then_it_is_read(void **state)
{
    struct leftovers leftovers = {0};
    struct seen seen = {0};
    struct leftovers_taker taker = {note, &seen};
    char path[256];
    int fd;

    write_file(*state, "4jXcABC0123z", "RDR", 0);
    write_file(*state, "4jXcABC0124z", "DDD", 0);
    (void)snprintf(path, sizeof(path), "%s/4jXcABC0123z", (char *)*state);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    leftovers_recover(&leftovers, *state, &taker);
    assert_int_equal(seen.count, 3);
    assert_int_equal(leftovers.count, 1);
    assert_true(leftovers_have(&leftovers, "4jXcABC0123z"));
    assert_false(leftovers_have(&leftovers, "4jXcABC0124z"));
    /* A file that was written since then is none of its business. */
    write_file(*state, "4jXcABC0125z", "DDD", 0);
    leftovers_retry(&leftovers, &taker);
    assert_int_equal(leftovers.count, 1);
    (void)close(fd);
    leftovers_retry(&leftovers, &taker);
    assert_int_equal(leftovers.count, 0);
    assert_int_equal(seen.count, 4);
    assert_false(exists(*state, "4jXcABC0123z"));
    assert_true(exists(*state, "4jXcABC0125z"));
}

static void test_recover__queue_file_not_there__waits_for_it(void **state)
{
    struct leftovers leftovers = {0};
    struct seen seen = {.away = 1};
    struct leftovers_taker taker = {note, &seen};

    write_file(*state, "4jXcABC0123z", "DRD", 0);
    write_file(*state, "4jXcABC0124z", "RRR", 0);
    leftovers_recover(&leftovers, *state, &taker);
    assert_int_equal(leftovers.count, 1);
    assert_true(leftovers_have(&leftovers, "4jXcABC0123z"));
    assert_true(exists(*state, "4jXcABC0123z"));
    assert_false(exists(*state, "4jXcABC0124z"));
    seen.away = 0;
    leftovers_retry(&leftovers, &taker);
    assert_int_equal(seen.count, 2);
    assert_int_equal(leftovers.count, 0);
    assert_false(exists(*state, "4jXcABC0123z"));
}

static void test_trailer__offset_outside_of_the_file__is_refused(void **state)
{
    const uint32_t recipients[] = {0};
    const uint64_t offsets[] = {4};
    uint8_t file[256] = "CTSR";
    struct delivery_trailer trailer;
    uint8_t *bytes;
    size_t size;

    (void)state;
    bytes =
        delivery_trailer_build(uuid, SEQUENCE, recipients, offsets, 1, &size);
    memcpy(file + 4, bytes, size);
    assert_false(delivery_trailer_read(file, 4 + size, &trailer));
    memcpy(file + 5, bytes, size);
    assert_true(delivery_trailer_read(file, 5 + size, &trailer));
    assert_int_equal(trailer.count, 1);
    free(bytes);
}

static void test_trailer__any_changed_byte__is_refused(void **state)
{
    const uint32_t recipients[] = {1, 2};
    const uint64_t offsets[] = {1, 2};
    struct delivery_trailer trailer;
    uint8_t *bytes, *file;
    size_t size, i;

    (void)state;
    bytes =
        delivery_trailer_build(uuid, SEQUENCE, recipients, offsets, 2, &size);
    file = malloc(size + 4);
    assert_non_null(file);
    memset(file, 'R', 4);
    for (i = 0; i < size; i++) {
        memcpy(file + 4, bytes, size);
        assert_true(delivery_trailer_read(file, size + 4, &trailer));
        file[4 + i] ^= 1;
        assert_false(delivery_trailer_read(file, size + 4, &trailer));
    }
    for (i = 0; i < size; i++)
        assert_false(delivery_trailer_read(bytes, i, &trailer));
    free(bytes);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_recover__marked_file__marks_are_read_and_file_is_gone, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_recover__torn_file__says_nothing_and_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover__other_files__stay, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_retry__agent_let_go__only_then_it_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_recover__queue_file_not_there__waits_for_it, setup, teardown),
        cmocka_unit_test(test_trailer__offset_outside_of_the_file__is_refused),
        cmocka_unit_test(test_trailer__any_changed_byte__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
