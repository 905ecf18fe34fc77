/* SPDX-License-Identifier: MIT */
/*
 * read_ahead.h - have pages in the page cache before a writer reaches them
 * (inside the module)
 */
#ifndef SYNCQ_READ_AHEAD_H
#define SYNCQ_READ_AHEAD_H

#include <stdint.h>

#include "module/data.h"

struct syncq_read_ahead;

/* Start the thread.  data outlives it.  ENOMEM, EAGAIN. */
int syncq_read_ahead_new(struct syncq_data *data,
                         struct syncq_read_ahead **read_ahead);
void syncq_read_ahead_free(struct syncq_read_ahead *read_ahead);

/* A record of size bytes was reserved here.  Any thread; NULL is fine. */
void syncq_read_ahead_advance(struct syncq_read_ahead *read_ahead,
                              uint32_t segment, uint64_t offset, uint64_t size);

#endif
