/* SPDX-License-Identifier: MIT */
/*
 * leftovers.h - delivery files of a manager that is gone
 */
#ifndef SYNCQ_QMGR_LEFTOVERS_H
#define SYNCQ_QMGR_LEFTOVERS_H

#include <stdint.h>

#include "module/key.h"

/* A file that an agent still reads, or whose queue file is not there. */
struct leftover {
    const char *directory;
    char *queue_id;
};

struct leftovers {
    struct leftover *files;
    unsigned count;
};

/*
 * This recipient was finished.  False: the queue file with this UUID is not
 * open now, so the delivery file has to stay.
 */
struct leftovers_taker {
    int (*done)(void *context, const uint8_t uuid[SYNCQ_UUID_SIZE],
                uint64_t sequence, uint32_t recipient);
    void *context;
};

/*
 * Look through a directory, at start: no file in it is ours yet.  The taker
 * is told of every recipient that was finished.
 */
void leftovers_recover(struct leftovers *leftovers, const char *directory,
                       const struct leftovers_taker *taker);
/* Look again at those that were locked, or had nobody to take them. */
void leftovers_retry(struct leftovers *leftovers,
                     const struct leftovers_taker *taker);
int leftovers_have(const struct leftovers *leftovers, const char *queue_id);
void leftovers_clear(struct leftovers *leftovers);

#endif
