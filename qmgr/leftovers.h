/* SPDX-License-Identifier: MIT */
/*
 * leftovers.h - delivery files of a manager that is gone
 */
#ifndef SYNCQ_QMGR_LEFTOVERS_H
#define SYNCQ_QMGR_LEFTOVERS_H

#include <stdint.h>

/* A file that an agent still reads. */
struct leftover {
    const char *directory;
    char *queue_id;
};

struct leftovers {
    struct leftover *files;
    unsigned count;
};

/*
 * Look through a directory, at start: no file in it is ours yet.  done is
 * called for every recipient that was finished.
 */
void leftovers_recover(struct leftovers *leftovers, const char *directory,
                       void (*done)(void *context, uint64_t sequence,
                                    uint32_t recipient),
                       void *context);
/* Look again at those that were locked. */
void leftovers_retry(struct leftovers *leftovers,
                     void (*done)(void *context, uint64_t sequence,
                                  uint32_t recipient),
                     void *context);
int leftovers_have(const struct leftovers *leftovers, const char *queue_id);
void leftovers_clear(struct leftovers *leftovers);

#endif
