/* SPDX-License-Identifier: MIT */
/*
 * queue_source.h - what a queue message's parts say about it
 */
#ifndef SYNCQ_QMGR_QUEUE_SOURCE_H
#define SYNCQ_QMGR_QUEUE_SOURCE_H

#include <stdint.h>

#include "module/entry.h"

/* True when some recipient of the part is not finished. */
int queue_part_is_open(const struct syncq_entry_view *view);

/* SYNCQ_STATUS_HELD and the like: a pass leaves it alone. */
int queue_part_is_held(const struct syncq_entry_view *view);

#endif
