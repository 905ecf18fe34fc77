/* SPDX-License-Identifier: MIT */
/*
 * recovery_damage.c - which gaps are damage, what they may have hidden, and the
 * list on which they stand from then on
 */
#include "module/error.h"
#include "module/recovery_internal.h"

int syncq_recovery_lsn_in_use(const struct syncq_recovery *recovery,
                              uint64_t lsn)
{
    uint64_t size = recovery->queue->data.segment_size;
    uint32_t low = 0, high = recovery->used_count;

    while (low < high) { /* the last used segment that starts at or below */
        uint32_t middle = low + (high - low) / 2;

        if (recovery->segments[recovery->order[middle]].page.base_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 &&
           lsn - recovery->segments[recovery->order[low - 1]].page.base_lsn <
               size;
}

int syncq_recovery_was_wiped(const struct syncq_recovery *recovery,
                             const struct syncq_state *state)
{
    return recovery->unknown_count > 0 && state->lsn < recovery->durable_lsn &&
           state->status != SYNCQ_STATUS_NEW &&
           !syncq_status_is_final(state->status);
}

/* Nothing is written over what cannot be read: it may come back. */
int syncq_recovery_gap_is_damage(const struct syncq_recovery *recovery,
                                 const struct syncq_gap *gap)
{
    return gap->lsn < recovery->durable_lsn || gap->unreadable > 0;
}

static struct syncq_damage describe(const struct syncq_recovery *recovery,
                                    const struct syncq_gap *gap)
{
    struct syncq_damage damage = {.lsn = gap->lsn,
                                  .offset = gap->offset,
                                  .size = gap->size,
                                  .sequence = gap->sequence,
                                  .unreadable = gap->unreadable,
                                  .type = gap->type};
    const struct syncq_damage *known =
        syncq_damage_list_find(&recovery->known, gap->lsn, gap->size);

    if (known != NULL) {
        damage.state = known->state;
        damage.date_s = known->date_s;
    }
    return damage;
}

static void report_damage(struct syncq_recovery *recovery,
                          const struct syncq_gap *gap)
{
    struct syncq_recovery_report *report = recovery->report;
    struct syncq_damage damage = describe(recovery, gap);

    if (report->damage_count < SYNCQ_DAMAGE_MAX)
        report->damages[report->damage_count] = damage;
    report->damage_count++;
    report->damage_known += damage.state == SYNCQ_DAMAGE_REPAIRED;
    report->damage_size += gap->size;
}

/*
 * May a marks record have been in this place?  Once the place was reported, the
 * chain of later marks may lead around it: then the list remembers.
 */
static int hides_marks(const struct syncq_recovery *recovery,
                       const struct syncq_gap *gap)
{
    const struct syncq_damage *known =
        syncq_damage_list_find(&recovery->known, gap->lsn, gap->size);
    uint64_t end = gap->lsn + gap->size;

    if (gap->lsn >= recovery->durable_lsn || gap->explained == gap->size)
        return 0;
    if (end > recovery->marks_lsn || (known != NULL && known->hides_marks))
        return 1;
    for (size_t i = 0; i < recovery->link_count; i++)
        if (recovery->links[i] >= gap->lsn && recovery->links[i] < end)
            return 1;
    return 0;
}

void syncq_recovery_judge_gaps(struct syncq_recovery *recovery,
                               uint64_t *hold_lsn)
{
    *hold_lsn = recovery->hole_lsn = 0;
    for (size_t i = 0; i < recovery->gap_count; i++) {
        const struct syncq_gap *gap = &recovery->gaps[i];
        uint64_t end = gap->lsn + gap->size;

        if (!syncq_recovery_gap_is_damage(recovery, gap))
            continue;
        report_damage(recovery, gap);
        if (!hides_marks(recovery, gap))
            continue;
        if (end > recovery->hole_lsn)
            recovery->hole_lsn = end;
        if (end <= recovery->index_lsn)
            continue; /* the index knew what it said */
        recovery->report->marks_missing = 1;
        if (end > *hold_lsn)
            *hold_lsn = end;
    }
}

/* What was not read this time stays on the list while its segment is there. */
static int keep_unread(const struct syncq_recovery *recovery,
                       struct syncq_damage_list *list)
{
    int result = 0;

    for (size_t i = 0; i < recovery->known.count && result == 0; i++) {
        const struct syncq_damage *item = &recovery->known.items[i];

        if (item->lsn < recovery->replay_lsn &&
            syncq_recovery_lsn_in_use(recovery, item->lsn))
            result = syncq_damage_list_add(list, item);
    }
    return result;
}

int syncq_recovery_list_damage(struct syncq_recovery *recovery, int repaired)
{
    struct syncq_damage_list list = {0};
    int result = keep_unread(recovery, &list);

    for (size_t i = 0; i < recovery->gap_count && result == 0; i++) {
        const struct syncq_gap *gap = &recovery->gaps[i];
        struct syncq_damage damage;

        if (!syncq_recovery_gap_is_damage(recovery, gap))
            continue;
        damage = describe(recovery, gap);
        damage.hides_marks = (uint8_t)hides_marks(recovery, gap);
        if (damage.state == SYNCQ_DAMAGE_NEW) {
            damage.state = SYNCQ_DAMAGE_FOUND;
            damage.date_s = syncq_date_us() / 1000000;
        }
        if (repaired)
            damage.state = SYNCQ_DAMAGE_REPAIRED;
        result = syncq_damage_list_add(&list, &damage);
    }
    if (result == 0 && (list.count > 0 || recovery->known.count > 0))
        result = syncq_damage_list_write(recovery->queue->directory_fd, &list);
    syncq_damage_list_clear(&list);
    return result;
}
