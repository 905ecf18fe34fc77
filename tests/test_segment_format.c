/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <string.h>

#include "module/segment_format.h"
#include "tests/known_key.h"

#define NUMBER 5

static struct syncq_segment_page sealed_page(const struct syncq_key *key)
{
    struct syncq_segment_page page = {
        .number = NUMBER,
        .change = 2,
        .generation = 3,
        .base_lsn = 1 << 26,
        .state = SYNCQ_SEGMENT_OPEN,
    };

    syncq_segment_page_seal(&page, key);
    return page;
}

static void test_page__sealed__is_valid(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page = sealed_page(&key);

    (void)state;
    assert_true(syncq_segment_page_valid(&page, &key, NUMBER));
}

static void test_page__any_bit_flipped__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page = sealed_page(&key);
    uint8_t *bytes = (uint8_t *)&page;
    size_t bit;

    (void)state;
    for (bit = 0; bit < 8 * sizeof(page); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(syncq_segment_page_valid(&page, &key, NUMBER));
        assert_false(syncq_segment_page_valid(&page, &key, page.number));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(syncq_segment_page_valid(&page, &key, NUMBER));
}

static void test_page__of_another_segment__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page = sealed_page(&key);

    (void)state;
    assert_false(syncq_segment_page_valid(&page, &key, NUMBER + 1));
}

static void test_page__another_queue_or_key__is_refused(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page = sealed_page(&key);

    (void)state;
    key.uuid[3] ^= 1;
    assert_false(syncq_segment_page_valid(&page, &key, NUMBER));
    key = known_key();
    key.bytes[3] ^= 1;
    assert_false(syncq_segment_page_valid(&page, &key, NUMBER));
}

static void test_page__unknown_state__is_refused(void **state)
{
    static const uint32_t states[] = {0, SYNCQ_SEGMENT_EMPTYING + 1,
                                      UINT32_MAX};
    struct syncq_key key = known_key();
    struct syncq_segment_page page = sealed_page(&key);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
        page.state = states[i];
        syncq_segment_page_seal(&page, &key);
        assert_false(syncq_segment_page_valid(&page, &key, NUMBER));
    }
}

static void test_page__zeros__is_refused(void **state)
{
    struct syncq_segment_page page = {0};
    struct syncq_key key = known_key();

    (void)state;
    assert_false(syncq_segment_page_valid(&page, &key, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page__sealed__is_valid),
        cmocka_unit_test(test_page__any_bit_flipped__is_refused),
        cmocka_unit_test(test_page__of_another_segment__is_refused),
        cmocka_unit_test(test_page__another_queue_or_key__is_refused),
        cmocka_unit_test(test_page__unknown_state__is_refused),
        cmocka_unit_test(test_page__zeros__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
