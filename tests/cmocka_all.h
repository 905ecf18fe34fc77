/* SPDX-License-Identifier: MIT */
/*
 * cmocka_all.h - cmocka with what it wants to have included before itself
 */
#ifndef SYNCQ_TESTS_CMOCKA_ALL_H
#define SYNCQ_TESTS_CMOCKA_ALL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* Results are int and may be negative; cmocka compares 64 unsigned bits. */
#define assert_result(call, expected)                                          \
    assert_int_equal((intmax_t)(call), (intmax_t)(expected))

#endif
