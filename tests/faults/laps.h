/* SPDX-License-Identifier: MIT */
/*
 * laps.h - a small queue that is filled and emptied for many laps
 *
 * Mails of random sizes are appended and delivered in random order, one in a
 * hundred is never delivered; the power fails every so many operations, now
 * and then with an index that is some laps old, or none.  wrap_model.h knows
 * what must be there.  When the queue is full, room has to be found in a
 * bounded number of steps.  Some runs begin where the LSN passes 2^32 or 2^63.
 */
#ifndef SYNCQ_FAULTS_LAPS_H
#define SYNCQ_FAULTS_LAPS_H

#include "tests/faults/findings.h"

enum { LAPS_OF_A_RUN = 20 };

/* So many laps, some in each queue; step (may be NULL) is called before each
 * operation. */
void laps_run(struct findings *findings, uint64_t laps,
              void (*step)(struct chance *chance));

#endif
