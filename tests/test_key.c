/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "module/key.h"
#include "module/queue.h"
#include "tests/known_key.h"
#include "tests/temporary.h"

#define NOBODY 65534

struct folder {
    char *path;
    int fd;
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    if (!folder)
        return -1;
    *state = folder;
    folder->path = temporary_make();
    folder->fd = folder->path ? open(folder->path, O_RDONLY | O_DIRECTORY) : -1;
    return folder->fd < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;

    close(folder->fd);
    temporary_remove(folder->path);
    free(folder);
    return 0;
}

/* A key file of size bytes, counting up from 0. */
static void write_key_file(const struct folder *folder, size_t size)
{
    uint8_t bytes[SYNCQ_KEY_SIZE + 1];
    size_t i;
    int fd =
        openat(folder->fd, SYNCQ_KEY_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0 && size <= sizeof(bytes));
    for (i = 0; i < size; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

/* Loading fails with this and leaves the key as it was. */
static void assert_load_fails(const struct folder *folder, int expected)
{
    struct syncq_key key, before;

    memset(&key, 0x77, sizeof(key));
    before = key;
    assert_result(syncq_key_load(folder->fd, &key), expected);
    assert_memory_equal(&key, &before, sizeof(key));
}

static void test_create__empty_folder__load_reads_the_same(void **state)
{
    struct folder *folder = *state;
    struct syncq_key made, read;

    memset(&made, 0x11, sizeof(made));
    memset(&read, 0x22, sizeof(read));
    assert_result(syncq_key_create(folder->fd, &made), 0);
    assert_result(syncq_key_load(folder->fd, &read), 0);
    assert_memory_equal(made.bytes, read.bytes, SYNCQ_KEY_SIZE);
    assert_int_equal(made.uuid[0], 0x11);
    assert_int_equal(read.uuid[0], 0x22);
}

static void test_create__any_umask__mode_is_0600(void **state)
{
    struct folder *folder = *state;
    struct syncq_key key;
    struct stat status;
    mode_t before = umask(0777);
    int result = syncq_key_create(folder->fd, &key);

    umask(before);
    assert_result(result, 0);
    assert_int_equal(fstatat(folder->fd, SYNCQ_KEY_FILE, &status, 0), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    assert_int_equal(status.st_size, SYNCQ_KEY_SIZE);
}

static void test_create__twice__keys_differ(void **state)
{
    struct folder *folder = *state;
    struct syncq_key first, second;

    assert_result(syncq_key_create(folder->fd, &first), 0);
    assert_int_equal(unlinkat(folder->fd, SYNCQ_KEY_FILE, 0), 0);
    assert_result(syncq_key_create(folder->fd, &second), 0);
    assert_memory_not_equal(first.bytes, second.bytes, SYNCQ_KEY_SIZE);
}

static void test_create__key_file_there__changes_nothing(void **state)
{
    struct folder *folder = *state;
    struct syncq_key key, before;

    write_key_file(folder, SYNCQ_KEY_SIZE);
    memset(&key, 0x55, sizeof(key));
    before = key;
    assert_result(syncq_key_create(folder->fd, &key), EEXIST);
    assert_memory_equal(&key, &before, sizeof(key));
    assert_result(syncq_key_load(folder->fd, &key), 0);
    assert_int_equal(key.bytes[31], 31);
}

static void test_create__not_a_folder__fails(void **state)
{
    struct folder *folder = *state;
    struct syncq_key key;
    int fd;

    write_key_file(folder, 1);
    fd = openat(folder->fd, SYNCQ_KEY_FILE, O_RDONLY);
    assert_true(fd >= 0);
    assert_result(syncq_key_create(fd, &key), ENOTDIR);
    close(fd);
}

static void test_load__no_file__key_file_error(void **state)
{
    assert_load_fails(*state, SYNCQ_ERR_KEY_FILE);
}

static void test_load__wrong_size__key_file_error(void **state)
{
    static const size_t sizes[] = {0, 1, SYNCQ_KEY_SIZE - 1,
                                   SYNCQ_KEY_SIZE + 1};
    size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        write_key_file(*state, sizes[i]);
        assert_load_fails(*state, SYNCQ_ERR_KEY_FILE);
    }
}

static void test_load__not_a_regular_file__key_file_error(void **state)
{
    struct folder *folder = *state;

    assert_int_equal(mkfifoat(folder->fd, SYNCQ_KEY_FILE, 0600), 0);
    assert_load_fails(folder, SYNCQ_ERR_KEY_FILE);
    assert_int_equal(unlinkat(folder->fd, SYNCQ_KEY_FILE, 0), 0);
    assert_int_equal(mkdirat(folder->fd, SYNCQ_KEY_FILE, 0700), 0);
    assert_load_fails(folder, SYNCQ_ERR_KEY_FILE);
}

static void test_load__symbolic_link__key_file_error(void **state)
{
    struct folder *folder = *state;

    write_key_file(folder, SYNCQ_KEY_SIZE);
    assert_int_equal(
        renameat(folder->fd, SYNCQ_KEY_FILE, folder->fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", folder->fd, SYNCQ_KEY_FILE), 0);
    assert_load_fails(folder, SYNCQ_ERR_KEY_FILE);
}

static void test_load__readable_by_others__mode_error(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0610, 0601, 0620, 0602};
    struct folder *folder = *state;
    size_t i;

    write_key_file(folder, SYNCQ_KEY_SIZE);
    for (i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        assert_int_equal(fchmodat(folder->fd, SYNCQ_KEY_FILE, modes[i], 0), 0);
        assert_load_fails(folder, SYNCQ_ERR_MODE);
    }
}

/* The load as an ordinary user of a file that root owns: the child's result. */
static void test_load__file_of_another_user__owner_error(void **state)
{
    struct folder *folder = *state;
    int status;
    pid_t child;

    if (geteuid() != 0)
        skip();
    write_key_file(folder, SYNCQ_KEY_SIZE);
    assert_int_equal(fchmodat(folder->fd, SYNCQ_KEY_FILE, 0644, 0), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct syncq_key key;

        /* The folder's own descriptor is open, but search needs the right. */
        if (fchmod(folder->fd, 0711) || setresuid(NOBODY, NOBODY, NOBODY))
            _exit(2);
        _exit(syncq_key_load(folder->fd, &key) == SYNCQ_ERR_OWNER ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_load__root_reads_the_mail_owners_file__works(void **state)
{
    struct folder *folder = *state;
    struct syncq_key key;

    if (geteuid() != 0)
        skip();
    write_key_file(folder, SYNCQ_KEY_SIZE);
    assert_int_equal(fchownat(folder->fd, SYNCQ_KEY_FILE, NOBODY, NOBODY, 0),
                     0);
    assert_result(syncq_key_load(folder->fd, &key), 0);
}

/* Computed with Python: hashlib.blake2b(bytes + uuid, digest_size=16, key). */
static void test_mac__every_size__is_the_same_function(void **state)
{
    static const struct {
        size_t size;
        uint8_t mac[SYNCQ_MAC_SIZE];
    } known[] = {
        {0,
         {0xeb, 0x1b, 0x8e, 0x78, 0x77, 0xa3, 0xba, 0xc0, 0x4f, 0x56, 0xd3,
          0x3d, 0x26, 0xc3, 0x27, 0x04}},
        {48,
         {0xa7, 0x54, 0x49, 0xe2, 0xfe, 0x84, 0x8f, 0x6f, 0x84, 0x32, 0x4f,
          0xa4, 0x11, 0xf5, 0xf2, 0x55}},
        {112,
         {0xbe, 0x95, 0x37, 0xa9, 0xea, 0x39, 0x46, 0x1b, 0x94, 0x3e, 0x2d,
          0x66, 0x64, 0x04, 0x32, 0xd1}},
        {113,
         {0xff, 0xf2, 0x8e, 0x90, 0xb9, 0x85, 0xd4, 0xed, 0xe9, 0x86, 0x1e,
          0x5b, 0x56, 0x5a, 0xdf, 0x38}},
        {128,
         {0x0a, 0x78, 0xb7, 0xd4, 0xb2, 0x7f, 0x96, 0xaa, 0xc5, 0xff, 0xc1,
          0xc5, 0xe8, 0x65, 0x92, 0xcf}},
        {1000,
         {0xf3, 0x59, 0x1c, 0x8b, 0xe3, 0x9b, 0x1d, 0x47, 0x52, 0xb6, 0xec,
          0x2a, 0x5d, 0x62, 0x24, 0x4a}},
    };
    uint8_t bytes[1000], mac[SYNCQ_MAC_SIZE];
    struct syncq_key key = known_key();
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
        syncq_key_mac(&key, bytes, known[i].size, mac);
        assert_memory_equal(mac, known[i].mac, sizeof(mac));
    }
}

static void test_mac__another_key_or_uuid__differs(void **state)
{
    uint8_t first[SYNCQ_MAC_SIZE], second[SYNCQ_MAC_SIZE];
    struct syncq_key key = known_key();

    (void)state;
    syncq_key_mac(&key, "text", 4, first);
    key.uuid[15] ^= 1;
    syncq_key_mac(&key, "text", 4, second);
    assert_memory_not_equal(first, second, sizeof(first));
    key.uuid[15] ^= 1;
    key.bytes[31] ^= 0x80;
    syncq_key_mac(&key, "text", 4, second);
    assert_memory_not_equal(first, second, sizeof(first));
}

static void test_verify__any_bit_of_the_mac_wrong__refuses(void **state)
{
    uint8_t mac[SYNCQ_MAC_SIZE];
    struct syncq_key key = known_key();
    unsigned bit;

    (void)state;
    syncq_key_mac(&key, "text", 4, mac);
    assert_true(syncq_key_verify(&key, "text", 4, mac));
    for (bit = 0; bit < 8 * sizeof(mac); bit++) {
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(syncq_key_verify(&key, "text", 4, mac));
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(syncq_key_verify(&key, "test", 4, mac));
    assert_false(syncq_key_verify(&key, "text", 3, mac));
}

static void test_fingerprint__uuid_changes__stays(void **state)
{
    uint8_t first[SYNCQ_FINGERPRINT_SIZE], second[SYNCQ_FINGERPRINT_SIZE];
    struct syncq_key key = known_key();

    (void)state;
    syncq_key_fingerprint(&key, first);
    key.uuid[0] ^= 1;
    syncq_key_fingerprint(&key, second);
    assert_memory_equal(first, second, sizeof(first));
    key.bytes[0] ^= 1;
    syncq_key_fingerprint(&key, second);
    assert_memory_not_equal(first, second, sizeof(first));
}

static void test_clear__known_key__is_gone(void **state)
{
    static const struct syncq_key zero;
    struct syncq_key key = known_key();

    (void)state;
    syncq_key_clear(&key);
    assert_memory_equal(&key, &zero, sizeof(key));
}

#define FOLDER_TEST(test)                                                      \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_create__empty_folder__load_reads_the_same),
        FOLDER_TEST(test_create__any_umask__mode_is_0600),
        FOLDER_TEST(test_create__twice__keys_differ),
        FOLDER_TEST(test_create__key_file_there__changes_nothing),
        FOLDER_TEST(test_create__not_a_folder__fails),
        FOLDER_TEST(test_load__no_file__key_file_error),
        FOLDER_TEST(test_load__wrong_size__key_file_error),
        FOLDER_TEST(test_load__not_a_regular_file__key_file_error),
        FOLDER_TEST(test_load__symbolic_link__key_file_error),
        FOLDER_TEST(test_load__readable_by_others__mode_error),
        FOLDER_TEST(test_load__file_of_another_user__owner_error),
        FOLDER_TEST(test_load__root_reads_the_mail_owners_file__works),
        cmocka_unit_test(test_mac__every_size__is_the_same_function),
        cmocka_unit_test(test_mac__another_key_or_uuid__differs),
        cmocka_unit_test(test_verify__any_bit_of_the_mac_wrong__refuses),
        cmocka_unit_test(test_fingerprint__uuid_changes__stays),
        cmocka_unit_test(test_clear__known_key__is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
