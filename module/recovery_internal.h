/* SPDX-License-Identifier: MIT */
/*
 * recovery_internal.h - the parts of recovery share this
 */
#ifndef SYNCQ_RECOVERY_INTERNAL_H
#define SYNCQ_RECOVERY_INTERNAL_H

#include "module/log_scan.h"
#include "module/recovery.h"

/* Which slot holds (sequence, part)?  Open addressing. */
struct syncq_part_table {
    uint32_t *slots; /* SYNCQ_SLOT_NONE: empty */
    uint64_t size;   /* a power of two */
};

struct syncq_recovery_segment {
    struct syncq_segment_page page;
    int used;       /* holds records of this lap */
    int pages_lost; /* its base is only known from records inside */
};

struct syncq_recovery {
    struct syncq_queue *queue;
    struct syncq_recovery_report *report;
    struct syncq_recovery_segment *segments;
    uint32_t *order; /* used segments by base_lsn */
    uint32_t used_count;
    uint32_t current; /* the segment that is being read */
    struct syncq_checkpoint checkpoint;
    uint64_t replay_lsn;  /* everything from here is read */
    uint64_t durable_lsn; /* highest one that any record or checkpoint knew */
    uint64_t log_checkpoint; /* highest checkpoint number the log knows */
    uint64_t marks_lsn;      /* last valid marks record */
    struct syncq_gap *gaps;
    size_t gap_count, gap_capacity;
    uint64_t *links; /* previous_marks of the marks records read */
    size_t link_count, link_capacity;
    struct syncq_part_table table;
    uint8_t *seen; /* one bit per slot: its record was read */
};

/* recovery_table.c */
int syncq_part_table_init(struct syncq_part_table *table,
                          const struct syncq_index *index);
void syncq_part_table_clear(struct syncq_part_table *table);
uint32_t syncq_part_table_find(const struct syncq_part_table *table,
                               const struct syncq_index *index,
                               uint64_t sequence, uint32_t part);
void syncq_part_table_add(struct syncq_part_table *table,
                          const struct syncq_index *index, uint32_t slot);

/* recovery_replay.c: read the log from replay_lsn into the index. */
int syncq_recovery_replay(struct syncq_recovery *recovery);

/* recovery_settle.c: give every entry its state, every torn place a void
 * record, every segment its page. */
int syncq_recovery_settle_entries(struct syncq_recovery *recovery);
int syncq_recovery_settle_log(struct syncq_recovery *recovery);

/* Write a void record over a stretch of a segment; not synced. */
int syncq_void_write(struct syncq_queue *queue, uint32_t segment,
                     uint64_t offset, uint64_t lsn, uint64_t size);

#endif
