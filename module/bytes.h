/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - arithmetic on sizes that cannot wrap unnoticed, and unaligned
 * little-endian integers
 *
 * The formats are little-endian and so is every host configure lets through,
 * so an integer is copied as it is.
 */
#ifndef SYNCQ_BYTES_H
#define SYNCQ_BYTES_H

#include <stdint.h>
#include <string.h>

/* True, with the sum in *sum, when it fits in 64 bits. */
static inline int checked_add(uint64_t a, uint64_t b, uint64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* value rounded up to a multiple of step; the caller knows that it fits. */
static inline uint64_t round_up(uint64_t value, uint64_t step)
{
    uint64_t rest = value % step;

    return rest ? value - rest + step : value;
}

/* The same, true when the result fits in 64 bits. */
static inline int checked_round_up(uint64_t value, uint64_t step,
                                   uint64_t *rounded)
{
    uint64_t rest = value % step;

    if (rest)
        return checked_add(value - rest, step, rounded);
    *rounded = value;
    return 1;
}

static inline uint32_t read_u32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint8_t *write_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

#endif
