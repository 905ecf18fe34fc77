/* SPDX-License-Identifier: MIT */
/*
 * recovery_merge.c - a repair's index is made from the whole log; what the old
 * index knew beyond that is kept
 *
 * Below the old checkpoint's synced_lsn the old index knew every mark, so its
 * word is the last one.  Above, the marks of the log are; but after a sync of
 * the data file had failed no mark could be written any more, and the states
 * went into the index alone.
 */
#include "module/error.h"
#include "module/recovery_internal.h"

/* The queue had failed: which of both has seen more? */
static int log_knows_more(const struct syncq_state *log,
                          const struct syncq_state *old)
{
    return (log->mask & ~old->mask) != 0 || log->attempts > old->attempts ||
           (syncq_status_is_final(log->status) &&
            !syncq_status_is_final(old->status));
}

static int takes_old(const struct syncq_recovery *recovery, uint64_t word,
                     const struct syncq_state *log,
                     const struct syncq_state *old)
{
    if (old->status == SYNCQ_STATUS_NEW || old->status == SYNCQ_STATUS_LOST)
        return 0; /* the record is there after all */
    if (old->status == SYNCQ_STATUS_DONE)
        return 1;
    if (word < recovery->index_lsn)
        return 1;
    return recovery->plan->latched && !log_knows_more(log, old);
}

static void merge_part(struct syncq_recovery *recovery, uint32_t slot,
                       const struct syncq_state *old)
{
    struct syncq_index *index = &recovery->queue->index;
    struct syncq_entry_view view;
    uint64_t lsn, mask;

    if (syncq_index_read(index, slot, &view) != 0)
        return; /* settled later */
    lsn = view.state.lsn;
    mask = view.state.mask | old->mask;
    if (takes_old(recovery, recovery->words[slot], &view.state, old)) {
        /* It was held only because nobody knew better. */
        recovery->report->parts_held -=
            recovery->words[slot] == 0 &&
            view.state.status == SYNCQ_STATUS_HELD &&
            recovery->report->parts_held > 0;
        view.state = *old;
    }
    view.state.lsn = lsn;
    view.state.mask = mask;
    syncq_index_write_state(index, &view);
}

/* Only the old index knows of it. */
static void miss_part(struct syncq_recovery *recovery,
                      const struct syncq_entry_view *old)
{
    const struct syncq_repair_plan *plan = recovery->plan;

    if (syncq_status_is_final(old->state.status) ||
        old->state.status == SYNCQ_STATUS_NEW ||
        old->state.lsn >= recovery->durable_lsn ||
        (!syncq_recovery_lsn_in_use(recovery, old->state.lsn) &&
         !syncq_recovery_was_wiped(recovery, &old->state)))
        return; /* nothing was left to do, or it never was confirmed */
    recovery->report->parts_lost++;
    if (plan->lost != NULL)
        plan->lost(old->sequence, old->part, plan->context);
}

int syncq_recovery_merge(struct syncq_recovery *recovery)
{
    struct syncq_repair_plan *plan = recovery->plan;

    if (plan->old_good &&
        recovery->log_checkpoint > recovery->checkpoint.number)
        plan->old_good = 0; /* somebody has put an older file there */
    if (!plan->old_good)
        return 0;
    recovery->index_lsn = recovery->checkpoint.synced_lsn;
    for (uint32_t i = 0; i < plan->old.entry_count; i++) {
        struct syncq_entry_view old;
        uint32_t slot;

        if (syncq_index_read(&plan->old, i, &old) != 0)
            continue; /* free, or damaged: the log's word is all there is */
        slot = syncq_part_table_find(&recovery->table, &recovery->queue->index,
                                     old.sequence, old.part);
        if (slot == SYNCQ_SLOT_NONE)
            miss_part(recovery, &old);
        else
            merge_part(recovery, slot, &old.state);
    }
    return 0;
}

int syncq_recovery_is_doubtful(const struct syncq_recovery *recovery,
                               const struct syncq_entry_view *view)
{
    const struct syncq_repair_plan *plan = recovery->plan;

    if (plan == NULL || !plan->latched)
        return 0;
    /* Deliveries since the failure stood in the index, and it is gone. */
    if (!plan->old_good)
        return 1;
    /* Its writer may have been told that it failed. */
    return view->state.lsn >= plan->latched_lsn &&
           recovery->words[view->slot] == 0 &&
           (view->state.status == SYNCQ_STATUS_NEW ||
            view->state.status == SYNCQ_STATUS_SYNCED);
}
