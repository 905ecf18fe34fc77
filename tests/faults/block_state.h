/* SPDX-License-Identifier: MIT */
/*
 * block_state.h - one state that a power cut leaves, from the disk's blocks to
 * a queue that works again
 */
#ifndef SYNCQ_FAULTS_BLOCK_STATE_H
#define SYNCQ_FAULTS_BLOCK_STATE_H

#include <limits.h>

#include "tests/disk/crash_image.h"
#include "tests/faults/block_device.h"
#include "tests/faults/block_story.h"

/* Which state, and how much is looked at. */
struct block_case {
    struct crash_cut cut;
    int thorough; /* check everything that is in the queue, and use it */
    const char *phase;
};

/* As --case takes it, behind the name of the log. */
void block_case_text(const struct block_case *one, const char *log, char *text,
                     size_t size);
/* The other way round; false: no such text.  log: PATH_MAX bytes. */
int block_case_parse(const char *text, struct block_case *one, char *log);

/* One after the other, in rising order of cuts. */
struct block_worker {
    const struct write_log *log;
    const struct story *story;
    struct findings *findings; /* shared memory */
    struct oracle *oracle;
    size_t next_event;
    struct crash_base base;
    uint8_t *base_map, *map; /* durable; the image */
    int fd;                  /* of the image */
    struct block_device device;
    char directory[PATH_MAX], image[PATH_MAX], mount[PATH_MAX];
    char output[PATH_MAX]; /* of the programs that are run */
    char queue[PATH_MAX], run[PATH_MAX], config[PATH_MAX];
};

/* directory: an existing one in memory, the worker's own.  0 or an errno. */
int block_worker_init(struct block_worker *worker, const char *directory,
                      const struct write_log *log, const struct story *story,
                      struct findings *findings);
void block_worker_clear(struct block_worker *worker);

/*
 * Build the state, mount it, recover and compare the queue in a process of its
 * own, unmount it and let fsck have a look.  0: go on, also after a finding;
 * an errno: the worker is of no use any more.
 */
int block_worker_try(struct block_worker *worker, const struct block_case *one,
                     const char *case_text);

/*
 * block_try.c: what is done in the mounted state.  To be called in a process
 * of its own, since it becomes another user; what is wrong goes to findings.
 */
void block_try(struct block_worker *worker, const struct block_case *one,
               const char *case_text);

#endif
