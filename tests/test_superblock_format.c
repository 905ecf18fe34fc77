/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "module/error.h"
#include "module/limits.h"
#include "module/superblock_format.h"
#include "tests/known_key.h"

static struct syncq_superblock small_queue(void)
{
    struct syncq_superblock superblock = {
        .generation = 3,
        .segment_size = SYNCQ_SEGMENT_SIZE_MIN,
        .segment_count = SYNCQ_SEGMENT_COUNT_MIN,
        .file_size = SYNCQ_DATA_OFFSET +
                     SYNCQ_SEGMENT_COUNT_MIN * SYNCQ_SEGMENT_SIZE_MIN,
        .entry_count = SYNCQ_ENTRY_COUNT_MIN,
        .epoch = 7,
        .lsn_limit = 1 << 30,
        .checkpoint = 9,
        .created_us = 1700000000000000,
    };

    memset(superblock.uuid, 0xab, sizeof(superblock.uuid));
    return superblock;
}

/* Seal a queue that one change has made and check it. */
static int sealed_check(const struct syncq_superblock *changed)
{
    struct syncq_superblock superblock = *changed;
    struct syncq_key key = known_key();

    syncq_superblock_seal(&superblock, &key);
    return syncq_superblock_check(&superblock, &key);
}

static void test_check__sealed__is_good(void **state)
{
    struct syncq_superblock superblock = small_queue();

    (void)state;
    assert_result(sealed_check(&superblock), 0);
    superblock.segment_size = SYNCQ_SEGMENT_SIZE_MAX;
    superblock.segment_count = SYNCQ_SEGMENT_COUNT_MAX;
    superblock.entry_count = SYNCQ_ENTRY_COUNT_MAX;
    superblock.file_size =
        SYNCQ_DATA_OFFSET + SYNCQ_SEGMENT_COUNT_MAX * SYNCQ_SEGMENT_SIZE_MAX;
    assert_result(sealed_check(&superblock), 0);
}

static void test_check__keys_uuid_is_another__is_good(void **state)
{
    struct syncq_superblock superblock = small_queue();
    struct syncq_key key = known_key();

    (void)state;
    syncq_superblock_seal(&superblock, &key);
    memset(key.uuid, 0, sizeof(key.uuid));
    assert_result(syncq_superblock_check(&superblock, &key), 0);
}

static void test_check__any_bit_flipped__is_refused(void **state)
{
    struct syncq_superblock superblock = small_queue();
    struct syncq_key key = known_key();
    uint8_t *bytes = (uint8_t *)&superblock;
    size_t bit;

    (void)state;
    syncq_superblock_seal(&superblock, &key);
    for (bit = 0; bit < 8 * sizeof(superblock); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_result(syncq_superblock_check(&superblock, &key),
                      bit < 64 ? SYNCQ_ERR_MAGIC : SYNCQ_ERR_SUPERBLOCK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_result(syncq_superblock_check(&superblock, &key), 0);
}

/* An attacker can mend the checksum, but not the MAC. */
static void
test_check__bit_flipped_and_checksum_mended__is_refused(void **state)
{
    struct syncq_superblock superblock = small_queue();
    struct syncq_key key = known_key();
    uint8_t *bytes = (uint8_t *)&superblock;
    size_t bit;

    (void)state;
    syncq_superblock_seal(&superblock, &key);
    for (bit = 0; bit < 8 * offsetof(struct syncq_superblock, checksum);
         bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        superblock.checksum = XXH3_64bits(
            &superblock, offsetof(struct syncq_superblock, checksum));
        assert_true(syncq_superblock_check(&superblock, &key) < 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_check__zeros__is_no_magic(void **state)
{
    struct syncq_superblock superblock = {0};
    struct syncq_key key = known_key();

    (void)state;
    assert_result(syncq_superblock_check(&superblock, &key), SYNCQ_ERR_MAGIC);
}

static void test_check__another_version_or_feature__version_error(void **state)
{
    struct syncq_superblock superblock = small_queue();
    struct syncq_key key = known_key();

    (void)state;
    superblock.features = 1;
    assert_result(sealed_check(&superblock), SYNCQ_ERR_VERSION);
    superblock.features = 0;
    syncq_superblock_seal(&superblock, &key);
    superblock.version = SYNCQ_FORMAT_VERSION + 1;
    superblock.checksum =
        XXH3_64bits(&superblock, offsetof(struct syncq_superblock, checksum));
    assert_result(syncq_superblock_check(&superblock, &key), SYNCQ_ERR_VERSION);
}

static void test_check__another_key__key_error(void **state)
{
    struct syncq_superblock superblock = small_queue();
    struct syncq_key key = known_key();

    (void)state;
    syncq_superblock_seal(&superblock, &key);
    key.bytes[5] ^= 1;
    assert_result(syncq_superblock_check(&superblock, &key), SYNCQ_ERR_KEY);
}

static void test_check__size_outside_limits__range_error(void **state)
{
    struct syncq_superblock good = small_queue(), bad;

    (void)state;
    bad = good;
    bad.segment_size -= SYNCQ_PAGE_SIZE;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad.segment_size = SYNCQ_SEGMENT_SIZE_MAX + SYNCQ_PAGE_SIZE;
    bad.file_size = UINT64_MAX;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad.segment_size = SYNCQ_SEGMENT_SIZE_MIN + 1;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad = good;
    bad.segment_count = SYNCQ_SEGMENT_COUNT_MIN - 1;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad.segment_count = SYNCQ_SEGMENT_COUNT_MAX + 1;
    bad.file_size = UINT64_MAX;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad = good;
    bad.file_size--;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad = good;
    bad.entry_count = SYNCQ_ENTRY_COUNT_MIN - 1;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
    bad.entry_count = SYNCQ_ENTRY_COUNT_MAX + 1;
    assert_result(sealed_check(&bad), SYNCQ_ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__sealed__is_good),
        cmocka_unit_test(test_check__keys_uuid_is_another__is_good),
        cmocka_unit_test(test_check__any_bit_flipped__is_refused),
        cmocka_unit_test(
            test_check__bit_flipped_and_checksum_mended__is_refused),
        cmocka_unit_test(test_check__zeros__is_no_magic),
        cmocka_unit_test(test_check__another_version_or_feature__version_error),
        cmocka_unit_test(test_check__another_key__key_error),
        cmocka_unit_test(test_check__size_outside_limits__range_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
