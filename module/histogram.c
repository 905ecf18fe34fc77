/* SPDX-License-Identifier: MIT */
#include "module/statistics.h"

/*
 * Times below 8 have a bucket each.  Above, the bucket is the power of two and
 * the three bits that follow the leading one.
 */
#define FINE_BITS  3
#define FINE_COUNT (1U << FINE_BITS)

unsigned syncq_histogram_bucket(uint64_t time_us)
{
    unsigned shift, bucket;

    if (time_us < FINE_COUNT)
        return (unsigned)time_us;
    shift = 63U - (unsigned)__builtin_clzll(time_us) - FINE_BITS;
    bucket = shift * FINE_COUNT + (unsigned)(time_us >> shift);
    return bucket < SYNCQ_HISTOGRAM_SIZE ? bucket : SYNCQ_HISTOGRAM_SIZE - 1;
}

/* The largest time that falls into the bucket. */
static uint64_t upper_bound(unsigned bucket)
{
    uint64_t leading = bucket % FINE_COUNT + FINE_COUNT;

    if (bucket < FINE_COUNT)
        return bucket;
    return ((leading + 1) << (bucket / FINE_COUNT - 1)) - 1;
}

/* Which of the counted times, in rising order from 1, ends this part. */
static uint64_t rank_of(double part, uint64_t total)
{
    double position = part * (double)total;
    uint64_t rank;

    if (!(position > 1)) /* also when part is not a number */
        return 1;
    if (position >= (double)total)
        return total;
    rank = (uint64_t)position;
    return (double)rank < position ? rank + 1 : rank;
}

uint64_t syncq_histogram_quantile(const struct syncq_histogram *histogram,
                                  double part)
{
    uint64_t total = 0, seen = 0, rank;
    unsigned i;

    for (i = 0; i < SYNCQ_HISTOGRAM_SIZE; i++)
        total += histogram->counts[i];
    if (total == 0)
        return 0;
    rank = rank_of(part, total);
    for (i = 0; i < SYNCQ_HISTOGRAM_SIZE - 1; i++) {
        seen += histogram->counts[i];
        if (seen >= rank)
            break;
    }
    return upper_bound(i);
}
