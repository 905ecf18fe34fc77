/* SPDX-License-Identifier: MIT */
/*
 * grow_steps.h - grow a fixture's queue, and prove that what is new is used
 */
#ifndef SYNCQ_TESTS_GROW_STEPS_H
#define SYNCQ_TESTS_GROW_STEPS_H

#include "module/grow.h"
#include "tests/queue_fixture.h"

enum {
    GROW_SEGMENTS = FIXTURE_SEGMENT_COUNT + 2,
    GROW_ENTRIES = FIXTURE_ENTRY_COUNT * 2,
    GROW_MAILS_MAX = 64,
    GROW_SIZE = 4000000, /* bytes: two of these fill a segment */
};

/* Segments and entries in all; 0: as the command without that option. */
int grow_run(const struct fixture *fixture, uint32_t segment_count,
             uint32_t entry_count);

/* Wait until the helper has answered a question in the channel. */
int grow_wait_answer(struct syncq_channel *channel);

/* What the files say. */
void grow_check_size(const struct fixture *fixture, uint32_t segment_count,
                     uint32_t entry_count);

struct grow_mails {
    struct mail mails[GROW_MAILS_MAX];
    uint32_t count;
};

/* Store a mail of that size in parts many parts. */
void grow_store(struct syncq_queue *queue, struct grow_mails *mails,
                uint32_t parts, size_t size);

/* Store until a record lies in a segment from this number on. */
void grow_store_until(struct syncq_queue *queue, struct grow_mails *mails,
                      uint32_t segment);

/* All are there, whole and synced, and lists and log are in order. */
void grow_check_mails(const struct fixture *fixture,
                      const struct grow_mails *mails);

#endif
