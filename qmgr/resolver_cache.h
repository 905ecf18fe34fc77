/* SPDX-License-Identifier: MIT */
/*
 * resolver_cache.h - answers of trivial-rewrite(8), for a short time
 */
#ifndef SYNCQ_QMGR_RESOLVER_CACHE_H
#define SYNCQ_QMGR_RESOLVER_CACHE_H

struct resolver_answer;
struct resolver_cache;

#define RESOLVER_CACHE_LIFETIME_S 30
#define RESOLVER_CACHE_PLACES     4096 /* a newer answer takes the place */

struct resolver_cache *resolver_cache_new(void);
void resolver_cache_free(struct resolver_cache *cache);
void resolver_cache_clear(struct resolver_cache *cache);

void resolver_cache_put(struct resolver_cache *cache, unsigned kind,
                        const char *sender, const char *address,
                        const struct resolver_answer *answer);

/* 0, or ENOENT.  The answer is valid until the next call of put or clear. */
int resolver_cache_get(struct resolver_cache *cache, unsigned kind,
                       const char *sender, const char *address,
                       struct resolver_answer *answer);

#endif
