/* SPDX-License-Identifier: MIT */
/*
 * dirty.h - make a mapped page dirty without changing it (inside the module
 * and the helper)
 *
 * Another process may store to the same byte at the same time, so its own
 * value has to go back in one atomic step.
 */
#ifndef SYNCQ_DIRTY_H
#define SYNCQ_DIRTY_H

#include <stdint.h>

#include "module/limits.h"

static inline void dirty_byte(uint8_t *byte)
{
    uint8_t nothing = 0;

    /* A compiler that sees the zero makes a mere load of it: clang does. */
    __asm__ volatile("" : "+r"(nothing));
    (void)__atomic_fetch_or(byte, nothing, __ATOMIC_RELAXED);
}

/* Each page that these bytes lie in. */
static inline void dirty_pages(uint8_t *bytes, uint64_t size)
{
    uint64_t rest =
        SYNCQ_PAGE_SIZE - ((uintptr_t)bytes & (SYNCQ_PAGE_SIZE - 1));

    for (uint64_t at = 0; at < size; at += rest, rest = SYNCQ_PAGE_SIZE)
        dirty_byte(&bytes[at]);
}

#endif
