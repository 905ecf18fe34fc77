/* SPDX-License-Identifier: MIT */
/*
 * populate.h - have pages mapped and writable before a writer reaches them
 * (inside the module)
 */
#ifndef SYNCQ_POPULATE_H
#define SYNCQ_POPULATE_H

#include <stdint.h>

#include "module/data.h"

struct syncq_populate;

/* Start the thread.  data outlives it.  ENOMEM, EAGAIN. */
int syncq_populate_new(struct syncq_data *data,
                       struct syncq_populate **populate);
void syncq_populate_free(struct syncq_populate *populate);

/* A record of size bytes was reserved here.  Any thread; NULL is fine. */
void syncq_populate_advance(struct syncq_populate *populate, uint32_t segment,
                            uint64_t offset, uint64_t size);

#endif
