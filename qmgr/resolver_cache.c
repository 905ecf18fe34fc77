/* SPDX-License-Identifier: MIT */
#include "qmgr/resolver_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "qmgr/memory.h"
#include "qmgr/resolver.h"

struct resolver_place {
    uint64_t hash;
    time_t since;
    unsigned kind;
    int32_t flags;
    char *sender; /* NULL: empty place; address and answer follow it */
    const char *address, *transport, *nexthop, *recipient;
};

struct resolver_cache {
    struct resolver_place places[RESOLVER_CACHE_PLACES];
};

struct resolver_cache *resolver_cache_new(void)
{
    return memory_new(sizeof(struct resolver_cache));
}

void resolver_cache_clear(struct resolver_cache *cache)
{
    unsigned i;

    for (i = 0; i < RESOLVER_CACHE_PLACES; i++) {
        free(cache->places[i].sender);
        cache->places[i].sender = NULL;
    }
}

void resolver_cache_free(struct resolver_cache *cache)
{
    resolver_cache_clear(cache);
    free(cache);
}

static uint64_t resolver_cache_hash(unsigned kind, const char *sender,
                                    const char *address)
{
    uint64_t hash = XXH3_64bits_withSeed(sender, strlen(sender), kind);

    return XXH3_64bits_withSeed(address, strlen(address), hash);
}

static char *resolver_cache_pack(char *at, const char *text, const char **where)
{
    size_t size = strlen(text) + 1;

    memcpy(at, text, size);
    *where = at;
    return at + size;
}

void resolver_cache_put(struct resolver_cache *cache, unsigned kind,
                        const char *sender, const char *address,
                        const struct resolver_answer *answer)
{
    uint64_t hash = resolver_cache_hash(kind, sender, address);
    struct resolver_place *place = &cache->places[hash % RESOLVER_CACHE_PLACES];
    const char *first;
    char *at;

    free(place->sender);
    place->sender = at = memory_new(
        strlen(sender) + strlen(address) + strlen(answer->transport) +
        strlen(answer->nexthop) + strlen(answer->recipient) + 5);
    at = resolver_cache_pack(at, sender, &first);
    at = resolver_cache_pack(at, address, &place->address);
    at = resolver_cache_pack(at, answer->transport, &place->transport);
    at = resolver_cache_pack(at, answer->nexthop, &place->nexthop);
    (void)resolver_cache_pack(at, answer->recipient, &place->recipient);
    place->hash = hash;
    place->kind = kind;
    place->flags = answer->flags;
    place->since = time(NULL);
}

int resolver_cache_get(struct resolver_cache *cache, unsigned kind,
                       const char *sender, const char *address,
                       struct resolver_answer *answer)
{
    uint64_t hash = resolver_cache_hash(kind, sender, address);
    const struct resolver_place *place =
        &cache->places[hash % RESOLVER_CACHE_PLACES];

    if (place->sender == NULL || place->hash != hash || place->kind != kind ||
        strcmp(place->sender, sender) != 0 ||
        strcmp(place->address, address) != 0 ||
        time(NULL) - place->since >= RESOLVER_CACHE_LIFETIME_S)
        return ENOENT;
    answer->transport = place->transport;
    answer->nexthop = place->nexthop;
    answer->recipient = place->recipient;
    answer->flags = place->flags;
    return 0;
}
