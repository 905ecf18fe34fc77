/* SPDX-License-Identifier: MIT */
/*
 * marks.h - which parts have changed since the last marks record
 *
 * The entry is changed first, then noted here; every marks_interval the
 * present states of all noted parts are appended to the log.
 */
#ifndef SYNCQ_QMGR_MARKS_H
#define SYNCQ_QMGR_MARKS_H

#include <stdint.h>

struct backlog;
struct marks;

struct marks *marks_new(struct backlog *backlog, uint64_t interval_ms);
void marks_free(struct marks *marks);

/* The part in this slot has changed. */
void marks_note(struct marks *marks, uint32_t slot, uint64_t sequence);

/*
 * Every part with finished recipients.  A manager may have died after it
 * changed an entry and before the mark was in the log: with the index lost
 * later on, the mail would come back.  Which they are nothing tells, so all of
 * them are marked once more at each start: 64 bytes each.
 */
void marks_note_finished(struct marks *marks);

/*
 * Append now.  done (may be NULL) is called once everything noted so far is
 * durable (failed 0), or cannot be.
 */
void marks_flush(struct marks *marks, void (*done)(void *context, int failed),
                 void *context);

/* Nothing is noted or under way. */
int marks_are_clean(const struct marks *marks);

#endif
