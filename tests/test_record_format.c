/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/limits.h"
#include "module/record_format.h"
#include "tests/known_key.h"

#define LSN           (UINT64_C(0x123456) * SYNCQ_RECORD_STEP)
#define ENVELOPE_SIZE 100
#define CONTENT_SIZE  900
#define BODY_SIZE     (ENVELOPE_SIZE + CONTENT_SIZE)

static void fill_body(uint8_t body[BODY_SIZE])
{
    size_t i;

    for (i = 0; i < BODY_SIZE; i++)
        body[i] = (uint8_t)(i * 13);
}

static struct syncq_record_header sealed_header(const struct syncq_key *key)
{
    uint8_t body[BODY_SIZE];
    struct syncq_record_header header = {
        .type = SYNCQ_RECORD_SMTP,
        .lsn = LSN,
        .sequence = UINT64_C(1) << SYNCQ_SEQUENCE_COUNTER_BITS,
        .recipient_count = 1,
        .part_count = 1,
        .envelope_size = ENVELOPE_SIZE,
        .content_size = CONTENT_SIZE,
        .size = syncq_record_size(ENVELOPE_SIZE, CONTENT_SIZE),
    };

    fill_body(body);
    syncq_record_checksum(body, sizeof(body), header.checksum);
    syncq_record_header_seal(&header, key);
    return header;
}

/* What the check says when the header was sealed with these values. */
static int sealed_check(const struct syncq_record_header *changed,
                        uint64_t size_max)
{
    struct syncq_record_header header = *changed;
    struct syncq_key key = known_key();

    syncq_record_header_seal(&header, &key);
    return syncq_record_header_check(&header, &key, header.lsn, size_max);
}

static void test_size__usual_bodies__are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(syncq_record_size(0, 0), 256);
    assert_int_equal(syncq_record_size(128, 0), 256);
    assert_int_equal(syncq_record_size(64, 65), 512);
    assert_int_equal(syncq_record_size(0, 4096), 4352);
    assert_int_equal(syncq_record_size(0, UINT64_MAX - 383), UINT64_MAX - 255);
}

static void test_size__sum_does_not_fit__is_zero(void **state)
{
    (void)state;
    assert_int_equal(syncq_record_size(UINT64_MAX, 1), 0);
    assert_int_equal(syncq_record_size(UINT64_MAX / 2 + 1, UINT64_MAX / 2 + 1),
                     0);
    assert_int_equal(syncq_record_size(0, UINT64_MAX - 100), 0);
    assert_int_equal(syncq_record_size(0, UINT64_MAX - 382), 0);
}

static void test_type__smtp_postfix_sms__are_messages(void **state)
{
    unsigned type;

    (void)state;
    for (type = 0; type < 256; type++)
        assert_int_equal(syncq_record_type_is_message((uint8_t)type),
                         type == SYNCQ_RECORD_SMTP ||
                             type == SYNCQ_RECORD_POSTFIX ||
                             type == SYNCQ_RECORD_SMS);
}

static void test_header__sealed__is_good(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);

    (void)state;
    assert_result(syncq_record_header_check(&header, &key, LSN, header.size),
                  0);
}

static void test_header__any_bit_flipped__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);
    uint8_t *bytes = (uint8_t *)&header;
    size_t bit;

    (void)state;
    for (bit = 0; bit < 8 * sizeof(header); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_result(syncq_record_header_check(&header, &key, LSN, UINT64_MAX),
                      SYNCQ_ERR_BAD_RECORD);
        assert_result(
            syncq_record_header_check(&header, &key, header.lsn, UINT64_MAX),
            SYNCQ_ERR_BAD_RECORD);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_header__at_another_place__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);

    (void)state;
    assert_result(syncq_record_header_check(
                      &header, &key, LSN + SYNCQ_RECORD_STEP, header.size),
                  SYNCQ_ERR_BAD_RECORD);
}

static void test_header__another_queue_or_key__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);

    (void)state;
    key.uuid[0] ^= 1;
    assert_result(syncq_record_header_check(&header, &key, LSN, header.size),
                  SYNCQ_ERR_BAD_RECORD);
    key = known_key();
    key.bytes[0] ^= 1;
    assert_result(syncq_record_header_check(&header, &key, LSN, header.size),
                  SYNCQ_ERR_BAD_RECORD);
}

static void test_header__longer_than_the_segment__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);

    (void)state;
    assert_result(
        syncq_record_header_check(&header, &key, LSN, header.size - 1),
        SYNCQ_ERR_BAD_RECORD);
    assert_result(syncq_record_header_check(&header, &key, LSN, 0),
                  SYNCQ_ERR_BAD_RECORD);
}

static void test_header__genuine_but_unknown_type__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);

    (void)state;
    header.type = 0;
    assert_result(sealed_check(&header, header.size), SYNCQ_ERR_BAD_RECORD);
    header.type = SYNCQ_RECORD_VOID + 1;
    assert_result(sealed_check(&header, header.size), SYNCQ_ERR_BAD_RECORD);
    header.type = SYNCQ_RECORD_MARKS;
    assert_result(sealed_check(&header, header.size), 0);
}

static void
test_header__genuine_but_lengths_contradict__is_refused(void **state)
{
    static const uint64_t sizes[] = {0, 1, 255, 256, 1024, 1279, 1281, 1536};
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);
    size_t i;

    (void)state;
    assert_int_equal(header.size, 1280);
    for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        header.size = sizes[i];
        assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
    }
    header.size = 1280;
    header.content_size = UINT64_MAX;
    assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
    header.size = 0;
    assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
}

static void test_header__void__any_length_but_no_body(void **state)
{
    struct syncq_record_header header = {
        .type = SYNCQ_RECORD_VOID, .lsn = LSN, .size = 64 * SYNCQ_PAGE_SIZE};

    (void)state;
    assert_result(sealed_check(&header, header.size), 0);
    assert_result(sealed_check(&header, header.size - 1), SYNCQ_ERR_BAD_RECORD);
    header.size = SYNCQ_RECORD_STEP;
    assert_result(sealed_check(&header, UINT64_MAX), 0);
    header.size = SYNCQ_RECORD_STEP - 1;
    assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
    header.size = 0;
    assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
    header.size = SYNCQ_RECORD_STEP;
    header.content_size = 1;
    assert_result(sealed_check(&header, UINT64_MAX), SYNCQ_ERR_BAD_RECORD);
}

static void test_body__any_bit_flipped__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = sealed_header(&key);
    uint8_t body[BODY_SIZE];
    size_t bit;

    (void)state;
    fill_body(body);
    assert_result(syncq_record_body_check(&header, body), 0);
    for (bit = 0; bit < 8 * sizeof(body); bit++) {
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_result(syncq_record_body_check(&header, body),
                      SYNCQ_ERR_BAD_RECORD);
        body[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_body__empty__checksum_is_zero(void **state)
{
    struct syncq_record_header header = {.type = SYNCQ_RECORD_VOID};

    (void)state;
    assert_result(syncq_record_body_check(&header, NULL), 0);
    header.checksum[15] = 1;
    assert_result(syncq_record_body_check(&header, NULL), SYNCQ_ERR_BAD_RECORD);
}

static void test_body__sizes_do_not_fit__is_refused(void **state)
{
    struct syncq_record_header header = {.envelope_size = UINT64_MAX,
                                         .content_size = 1};

    (void)state;
    assert_result(syncq_record_body_check(&header, NULL), SYNCQ_ERR_BAD_RECORD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size__usual_bodies__are_rounded_up),
        cmocka_unit_test(test_size__sum_does_not_fit__is_zero),
        cmocka_unit_test(test_type__smtp_postfix_sms__are_messages),
        cmocka_unit_test(test_header__sealed__is_good),
        cmocka_unit_test(test_header__any_bit_flipped__is_refused),
        cmocka_unit_test(test_header__at_another_place__is_refused),
        cmocka_unit_test(test_header__another_queue_or_key__is_refused),
        cmocka_unit_test(test_header__longer_than_the_segment__is_refused),
        cmocka_unit_test(test_header__genuine_but_unknown_type__is_refused),
        cmocka_unit_test(
            test_header__genuine_but_lengths_contradict__is_refused),
        cmocka_unit_test(test_header__void__any_length_but_no_body),
        cmocka_unit_test(test_body__any_bit_flipped__is_refused),
        cmocka_unit_test(test_body__empty__checksum_is_zero),
        cmocka_unit_test(test_body__sizes_do_not_fit__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
