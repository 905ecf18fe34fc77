/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <limits.h>
#include <string.h>

#include "module/state.h"

static void test_name__each_status__has_its_own(void **state)
{
    unsigned a, b;

    (void)state;
    for (a = SYNCQ_STATUS_FREE; a <= SYNCQ_STATUS_LOST; a++) {
        assert_string_not_equal(syncq_status_name(a), "unknown");
        for (b = SYNCQ_STATUS_FREE; b < a; b++)
            assert_string_not_equal(syncq_status_name(a), syncq_status_name(b));
    }
    assert_string_equal(syncq_status_name(SYNCQ_STATUS_DEFERRED), "deferred");
    assert_string_equal(syncq_status_name(SYNCQ_STATUS_LOST), "lost");
}

static void test_name__any_other_number__is_unknown(void **state)
{
    (void)state;
    assert_string_equal(syncq_status_name(SYNCQ_STATUS_LOST + 1), "unknown");
    assert_string_equal(syncq_status_name(255), "unknown");
    assert_string_equal(syncq_status_name(UINT_MAX), "unknown");
}

static void test_is_final__only_done_and_cancelled(void **state)
{
    unsigned status;

    (void)state;
    for (status = 0; status < 300; status++)
        assert_int_equal(!!syncq_status_is_final(status),
                         status == SYNCQ_STATUS_DONE ||
                             status == SYNCQ_STATUS_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name__each_status__has_its_own),
        cmocka_unit_test(test_name__any_other_number__is_unknown),
        cmocka_unit_test(test_is_final__only_done_and_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
