/* SPDX-License-Identifier: MIT */
/*
 * block_story.h - what a write log's notes say: which phases there were, and
 * what was known of the queue at each place
 */
#ifndef SYNCQ_FAULTS_BLOCK_STORY_H
#define SYNCQ_FAULTS_BLOCK_STORY_H

#include "tests/disk/write_log.h"
#include "tests/faults/oracle.h"

enum { STORY_PHASES_MAX = 32 };

struct story_phase {
    char name[32];
    uint64_t first, last; /* numbers of log entries */
};

struct story_event {
    uint64_t number; /* of the log entry */
    struct mail mail;
    enum oracle_word word;
};

struct story {
    struct story_phase phases[STORY_PHASES_MAX];
    unsigned phase_count;
    uint64_t created; /* entry that says that the queue is there; 0: none */
    uint64_t flushes; /* in all phases */
    struct story_event *events;
    size_t event_count;
};

/* 0, ENOMEM, or EBADMSG: not such a log, or its end is missing. */
int story_read(const struct write_log *log, struct story *story);
void story_clear(struct story *story);

/* Tell the oracle what was noted up to this entry; *next is 0 at first and
 * goes on from call to call. */
void story_tell(const struct story *story, size_t *next, uint64_t number,
                struct oracle *oracle);

#endif
