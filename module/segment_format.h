/* SPDX-License-Identifier: MIT */
/*
 * segment_format.h - the page at either end of a segment
 *
 *   offset  size  field       meaning (integers are little-endian)
 *        0     4  magic       SYNCQ_SEGMENT_MAGIC
 *        4     4  number      of the segment, from 0
 *        8     8  change      the valid copy with the higher one counts
 *       16     8  generation  how often the segment was opened
 *       24     8  base_lsn    LSN of the segment's first byte, this page
 *       32     4  state       enum syncq_segment_state
 *       36     4  part_count  of the records in it, once closed
 *       40     8  end_lsn     where its records end, once closed; else 0
 *       48    16  mac         keyed, over bytes 0 to 47
 *
 * The last page is written and synced before the first one.  When both are
 * lost, any genuine record inside gives the base again.
 */
#ifndef SYNCQ_SEGMENT_FORMAT_H
#define SYNCQ_SEGMENT_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "module/key.h"

#define SYNCQ_SEGMENT_MAGIC UINT32_C(0x47455351) /* "QSEG" */

enum syncq_segment_state {
    SYNCQ_SEGMENT_FREE = 1, /* retired or never used */
    SYNCQ_SEGMENT_OPEN,     /* prepared or being filled */
    SYNCQ_SEGMENT_CLOSED,   /* full, or left after an unclean stop */
    SYNCQ_SEGMENT_EMPTYING, /* the cleaner copies its survivors */
};

struct syncq_segment_page {
    uint32_t magic, number;
    uint64_t change, generation, base_lsn;
    uint32_t state, part_count;
    uint64_t end_lsn;
    uint8_t mac[SYNCQ_MAC_SIZE];
};
static_assert(offsetof(struct syncq_segment_page, mac) == 48, "on-disk layout");
static_assert(sizeof(struct syncq_segment_page) == 64, "on-disk layout");

/* Fill in magic and MAC. */
void syncq_segment_page_seal(struct syncq_segment_page *page,
                             const struct syncq_key *key);

/* True when the page is genuine and belongs to this segment number. */
int syncq_segment_page_valid(const struct syncq_segment_page *page,
                             const struct syncq_key *key, uint32_t number);

#endif
