/* SPDX-License-Identifier: MIT */
/*
 * recovery_index.c - can the index be believed, and how it is made anew
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/recovery_internal.h"

#define INDEX_FILE_NEW    SYNCQ_INDEX_FILE ".new"
#define INDEX_FILE_REPAIR SYNCQ_INDEX_FILE ".repair"

int syncq_recovery_remake_index(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    int is_repair = recovery->plan != NULL;
    const char *name = is_repair ? INDEX_FILE_REPAIR : INDEX_FILE_NEW;
    int result;

    syncq_index_close(&queue->index);
    (void)unlinkat(queue->directory_fd, name, 0);
    result = syncq_index_create(queue->directory_fd, name, queue->key.uuid,
                                queue->data.superblock.entry_count);
    if (result == 0 && is_repair) {
        result = syncq_index_open_as(queue->directory_fd, name, 1,
                                     queue->key.uuid, &queue->index);
        if (result == 0)
            syncq_index_rebuild_lists(&queue->index, NULL, NULL);
        return result;
    }
    if (result == 0 && renameat(queue->directory_fd, INDEX_FILE_NEW,
                                queue->directory_fd, SYNCQ_INDEX_FILE) != 0)
        result = errno;
    SYNCQ_FAILPOINT("recovery.index-remade");
    if (result == 0 && fsync(queue->directory_fd) != 0)
        result = errno;
    if (result == 0)
        result = syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                                  &queue->index);
    if (result == 0)
        syncq_index_rebuild_lists(&queue->index, NULL, NULL);
    return result;
}

/* Is some entry damaged?  Then nothing says what it was. */
static int has_bad_entry(const struct syncq_index *index)
{
    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view view = {0};

        if (!syncq_entry_whole(index, slot) ||
            (index->entries[slot].kind == SYNCQ_ENTRY_USED &&
             syncq_index_read(index, slot, &view) != 0))
            return 1;
    }
    return 0;
}

/* Under its own name a crash leaves the old index as it was. */
int syncq_recovery_install_index(struct syncq_recovery *recovery)
{
    int directory_fd = recovery->queue->directory_fd;

    if (renameat(directory_fd, INDEX_FILE_REPAIR, directory_fd,
                 SYNCQ_INDEX_FILE) != 0)
        return errno;
    return fsync(directory_fd) != 0 ? errno : 0;
}

/* A repair reads the whole log, yet keeps what only the old index knows. */
static int judge_old_index(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    struct syncq_repair_plan *plan = recovery->plan;
    uint64_t latched_lsn;
    int result =
        syncq_index_open(queue->directory_fd, 0, queue->key.uuid, &plan->old);

    recovery->report->reason = SYNCQ_REPLAY_REPAIR;
    if (result == SYNCQ_ERR_OWNER || result == SYNCQ_ERR_MODE)
        return result;
    plan->old_good =
        result == 0 &&
        syncq_latch_read(queue->directory_fd, &latched_lsn) !=
            SYNCQ_ERR_INDEX &&
        syncq_index_read_checkpoint(&plan->old, &recovery->checkpoint) == 0 &&
        recovery->checkpoint.number >= queue->data.superblock.checkpoint;
    return 0;
}

/* Can the replay start from the index as it is?  Sets the report's reason. */
int syncq_recovery_judge_index(struct syncq_recovery *recovery)
{
    struct syncq_queue *queue = recovery->queue;
    struct syncq_recovery_report *report = recovery->report;
    uint64_t latched_lsn;
    int result;

    if (recovery->plan != NULL)
        return judge_old_index(recovery);
    result = syncq_index_open(queue->directory_fd, 1, queue->key.uuid,
                              &queue->index);
    report->reason = SYNCQ_REPLAY_NO_INDEX;
    if (result == SYNCQ_ERR_OWNER || result == SYNCQ_ERR_MODE || result > 0)
        return result;
    if (result != 0)
        return 0;
    report->reason = SYNCQ_REPLAY_INDEX_FAILED;
    if (syncq_latch_read(queue->directory_fd, &latched_lsn) != 0)
        return 0;
    report->reason = SYNCQ_REPLAY_NO_CHECKPOINT;
    if (syncq_index_read_checkpoint(&queue->index, &recovery->checkpoint) != 0)
        return 0;
    report->reason = SYNCQ_REPLAY_OLD_INDEX;
    if (recovery->checkpoint.number < queue->data.superblock.checkpoint)
        return 0;
    report->reason = SYNCQ_REPLAY_BAD_ENTRY;
    if (has_bad_entry(&queue->index))
        return 0;
    report->reason = SYNCQ_REPLAY_TAIL;
    return 0;
}
