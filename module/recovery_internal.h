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

/* How a repair differs from a recovery: repair.c. */
struct syncq_repair_plan {
    int direct;             /* read past the page cache */
    int latched;            /* a sync of the data file had failed */
    uint64_t latched_lsn;   /* all below was durable then */
    struct syncq_index old; /* whose states are kept */
    int old_good;           /* nothing in the log is newer than it knew */
    /* Told of each part whose record is gone; may be NULL. */
    void (*lost)(uint64_t sequence, uint32_t part, void *context);
    void *context;
};

struct syncq_recovery {
    struct syncq_queue *queue;
    struct syncq_repair_plan *plan; /* NULL: not a repair */
    struct syncq_log_reader reader;
    struct syncq_recovery_report *report;
    struct syncq_recovery_segment *segments;
    uint32_t *order; /* used segments by base_lsn */
    uint32_t used_count;
    uint32_t unknown_count; /* both pages lost, and no record tells the base */
    uint32_t current;       /* the segment that is being read */
    struct syncq_checkpoint checkpoint;
    uint64_t replay_lsn;  /* everything from here is read */
    uint64_t index_lsn;   /* the index knew all marks below */
    uint64_t durable_lsn; /* highest one that any record or checkpoint knew */
    uint64_t log_checkpoint; /* highest checkpoint number the log knows */
    uint64_t marks_lsn;      /* last valid marks record */
    uint64_t hole_lsn;       /* end of the last place that may hide marks */
    struct syncq_damage_list known; /* as written down earlier */
    struct syncq_gap *gaps;
    size_t gap_count, gap_capacity;
    uint64_t *links; /* previous_marks of the marks records read */
    size_t link_count, link_capacity;
    struct syncq_part_table table;
    uint8_t *seen;   /* one bit per slot: its record was read */
    uint64_t *words; /* by slot: LSN of the last marks record about it, or 0 */
};

/* recovery.c: recover, or with a plan repair, into a new index. */
int syncq_recover_as(struct syncq_queue *queue, struct syncq_repair_plan *plan,
                     struct syncq_recovery_report *report,
                     struct syncq_recovered *recovered);

/* recovery_index.c: which index to start from; make it anew. */
int syncq_recovery_judge_index(struct syncq_recovery *recovery);
int syncq_recovery_remake_index(struct syncq_recovery *recovery);
/* The index that a repair made takes its place; durable on return. */
int syncq_recovery_install_index(struct syncq_recovery *recovery);

/* recovery_merge.c: what the old index knew, into the new one. */
int syncq_recovery_merge(struct syncq_recovery *recovery);
/* Is it wrong to deliver this part without asking, after a failed sync? */
int syncq_recovery_is_doubtful(const struct syncq_recovery *recovery,
                               const struct syncq_entry_view *view);

/* recovery_damage.c: below *hold_lsn parts without a later word are to be
 * held; the report gets every damaged place. */
void syncq_recovery_judge_gaps(struct syncq_recovery *recovery,
                               uint64_t *hold_lsn);
int syncq_recovery_gap_is_damage(const struct syncq_recovery *recovery,
                                 const struct syncq_gap *gap);
/* Write the list of damage.  repaired: all of it was dealt with. */
int syncq_recovery_list_damage(struct syncq_recovery *recovery, int repaired);
/* Is there a segment in use that can hold this LSN? */
int syncq_recovery_lsn_in_use(const struct syncq_recovery *recovery,
                              uint64_t lsn);
/* No segment in use holds its LSN: was it one of those of which nothing is
 * left, rather than one that was retired? */
int syncq_recovery_was_wiped(const struct syncq_recovery *recovery,
                             const struct syncq_state *state);

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
