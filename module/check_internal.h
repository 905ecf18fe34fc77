/* SPDX-License-Identifier: MIT */
/*
 * check_internal.h - the two halves of a check: log and index
 */
#ifndef SYNCQ_CHECK_INTERNAL_H
#define SYNCQ_CHECK_INTERNAL_H

#include "module/check.h"
#include "module/log_scan.h"

struct syncq_check {
    struct syncq_queue *queue;
    const struct syncq_check_visitor *visitor;
    struct syncq_check_report *report;
    struct syncq_log_reader reader;
    struct syncq_damage_list known; /* as written down earlier */
    uint64_t durable_lsn;   /* all below was durable before it was read */
    struct syncq_gap *gaps; /* of all segments; by LSN once all are read */
    size_t gap_count, gap_capacity;
};

/* check_log.c: superblocks, segment pages, records. */
int syncq_check_log(struct syncq_check *check);
/* check_index.c: say by the index what was in the gaps, if it knows. */
void syncq_check_name_gaps(struct syncq_check *check);
/* check_index.c: entries, their records, lists. */
int syncq_check_index(struct syncq_check *check);

#endif
