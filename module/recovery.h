/* SPDX-License-Identifier: MIT */
/*
 * recovery.h - make index and log agree before a new channel opens
 *
 * Done by the sync helper alone, under the exclusive lock.  The result is the
 * index of the last checkpoint plus a replay of the log from there; or, when
 * the index is lost, damaged, older than the log remembers or of a queue that
 * failed, an empty index plus a replay of everything.  Running it again, or
 * after it was cut off anywhere, gives the same result.
 *
 * Damage is written down (damage.h) and everything else goes on.
 */
#ifndef SYNCQ_RECOVERY_H
#define SYNCQ_RECOVERY_H

#include <stdint.h>

#include "module/damage.h"
#include "module/queue.h"
#include "module/state.h"

#define SYNCQ_DAMAGE_MAX 64 /* ranges that are named one by one */

enum syncq_replay_reason {
    SYNCQ_REPLAY_TAIL = 0,      /* the index was good: only what came after */
    SYNCQ_REPLAY_NO_INDEX,      /* missing or of another queue */
    SYNCQ_REPLAY_NO_CHECKPOINT, /* no valid checkpoint in it */
    SYNCQ_REPLAY_OLD_INDEX,     /* the log knows of a later checkpoint */
    SYNCQ_REPLAY_BAD_ENTRY,     /* an entry, or a version of its state, is bad */
    SYNCQ_REPLAY_INDEX_FAILED,  /* the latch says that its sync failed */
    SYNCQ_REPLAY_REPAIR,        /* an administrator's repair */
};

struct syncq_recovery_report {
    int clean; /* the queue was left in order */
    enum syncq_replay_reason reason;
    uint64_t records, messages, marks, time_us;
    uint64_t scanned_size; /* bytes of the log */
    uint64_t read_size;    /* bytes read for that, and to find lost pages */
    uint32_t segments_scanned, segments_used;
    uint32_t segments_unknown; /* both pages and every record are damaged */
    /* Parts by enum syncq_status, as they are now. */
    uint64_t parts[SYNCQ_STATUS_LOST + 1];
    uint64_t parts_found;  /* parts that the index did not know */
    uint64_t parts_held;   /* held because marks may be missing */
    uint64_t parts_lost;   /* entries whose record is gone */
    uint64_t slots_freed;  /* entries of messages that were never confirmed */
    uint64_t torn_size;    /* bytes made void; normal after a crash */
    uint64_t damage_size;  /* bytes of confirmed records that are damaged */
    uint32_t damage_known; /* of damage_count: a repair has dealt with them */
    uint32_t damage_count; /* may exceed SYNCQ_DAMAGE_MAX */
    struct syncq_damage damages[SYNCQ_DAMAGE_MAX];
    int marks_missing; /* a marks record may lie in the damage */
    int list_error;    /* the list of damage could not be written; 0: it was */
};

/* What the channel must start from. */
struct syncq_recovered {
    uint64_t epoch, head_lsn, durable_lsn, checkpoint, marks_lsn;
    uint32_t head_segment; /* SYNCQ_SEGMENT_NONE: none is open */
};

/*
 * Recover a queue whose files are open for writing (syncq_queue_open_files)
 * and locked exclusively; the index is opened or made anew here.  Raises the
 * epoch first.  ENOMEM, EIO and other errno values; SYNCQ_ERR_ENTRIES_FULL:
 * the log holds more parts than the index has slots.
 */
int syncq_recover(struct syncq_queue *queue,
                  struct syncq_recovery_report *report,
                  struct syncq_recovered *recovered);

/* Constant text for a reason. */
const char *syncq_replay_reason_text(enum syncq_replay_reason reason);

#endif
