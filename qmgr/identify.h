/* SPDX-License-Identifier: MIT */
/*
 * identify.h - read the records of waiting messages in the background
 *
 * The index knows neither queue ids nor domains.  Deliveries do not wait for
 * this; imports do.
 */
#ifndef SYNCQ_QMGR_IDENTIFY_H
#define SYNCQ_QMGR_IDENTIFY_H

struct backlog;
struct identify;

/*
 * Read the record of every message that waits or is held and has no id or is
 * not grouped; then set backlog->identified and wake the importer.
 */
struct identify *identify_new(struct backlog *backlog);
void identify_free(struct identify *identify);
/* Once more, e.g. after the groups were lost. */
void identify_start(struct identify *identify);

#endif
