/* SPDX-License-Identifier: MIT */
/*
 * groups.h - what waits, grouped by domain, in Berkeley DB
 *
 * A private environment in memory, one process, one thread.  Key = domain,
 * sorted duplicates = (next attempt, slot).  It can be rebuilt from the index
 * at any time and nothing durable depends on it.  After SYNCQ_ERR_GROUPS the
 * object only takes syncq_groups_free; make a new one and add everything
 * again.
 */
#ifndef SYNCQ_GROUPS_H
#define SYNCQ_GROUPS_H

#include <stddef.h>
#include <stdint.h>

struct syncq_groups;

/* Plan for entry_count pairs in memory.  ENOMEM, SYNCQ_ERR_GROUPS. */
int syncq_groups_new(uint32_t entry_count, struct syncq_groups **groups);
void syncq_groups_free(struct syncq_groups *groups);

/*
 * domain is lower case, may be "".  Adding a pair that is there, or removing
 * one that is not, is no error.
 */
int syncq_groups_add(struct syncq_groups *groups, const char *domain,
                     uint32_t next_attempt_s, uint32_t slot);
int syncq_groups_remove(struct syncq_groups *groups, const char *domain,
                        uint32_t next_attempt_s, uint32_t slot);

/*
 * Call visit for each part of a domain, or of all domains in order when domain
 * is NULL, earliest next attempt first within a domain, until it returns
 * non-zero, which is no error.  visit must not change the groups.
 */
int syncq_groups_walk(struct syncq_groups *groups, const char *domain,
                      int (*visit)(const char *domain, uint32_t next_attempt_s,
                                   uint32_t slot, void *context),
                      void *context);

/*
 * How many parts of this domain there are, and the earliest next attempt; both
 * 0 when there is none.
 */
int syncq_groups_count(struct syncq_groups *groups, const char *domain,
                       uint32_t *count, uint32_t *earliest_s);

#endif
