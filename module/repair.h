/* SPDX-License-Identifier: MIT */
/*
 * repair.h - put a damaged or failed queue in order again
 *
 * Nothing else may run: the repair takes the manager's lock and the data file's
 * for itself.  In this order, so that a crash anywhere leaves a queue that can
 * be repaired again:
 *
 *   1. holes of the data file are filled, the file is synced
 *   2. everything is read past the page cache and checked, as by syncq_check
 *   3. what cannot be read and holds nothing (free segments, copies of which
 *      the other one is whole) is written with zeros and read again
 *   4. the log is recovered into a new index, by recovery's own rules; states
 *      that only the old index knew are kept; superblocks and segment pages
 *      are written anew; the new index is synced and takes the old one's place
 *   5. damaged places go to the list of damage, as repaired
 *   6. the latch is cleared, if every byte could be read that is still used
 *
 * No byte of a damaged place that may have held mail is changed: salvage may
 * find more in it.
 */
#ifndef SYNCQ_REPAIR_H
#define SYNCQ_REPAIR_H

#include <stdint.h>

#include "module/check.h"
#include "module/recovery.h"

struct syncq_repair_report {
    struct syncq_check_report found;       /* before anything was changed */
    struct syncq_recovery_report recovery; /* what the new index was made of */
    uint64_t zeroed_size;     /* bytes of step 3 that can be read again */
    uint64_t unreadable_size; /* bytes of step 3 that cannot */
    int was_latched;          /* for the data or the index */
    int latch_cleared;        /* or was not set */
};

struct syncq_repair_visitor {
    struct syncq_check_visitor check; /* of step 2 */
    /* A part whose record is gone; may be NULL.  context is the check's. */
    void (*lost)(uint64_t sequence, uint32_t part, void *context);
};

/*
 * SYNCQ_ERR_BUSY: a helper, a writer or a queue manager runs.  SYNCQ_ERR_KEY
 * and what else keeps a queue from being opened: nothing was changed.  EIO:
 * the disk still refuses to sync.  Others as of syncq_recover.  A latch that
 * could not be cleared is no error: see the report.
 */
int syncq_repair(const char *directory, const char *run_directory,
                 const struct syncq_repair_visitor *visitor,
                 struct syncq_repair_report *report);

#endif
