/* SPDX-License-Identifier: MIT */
#include "module/superblock_format.h"

#include <string.h>
#include <xxhash.h>

#include "module/error.h"
#include "module/limits.h"

static_assert(sizeof(SYNCQ_SUPERBLOCK_MAGIC) ==
                  sizeof(((struct syncq_superblock *)0)->magic) + 1,
              "the string's own NUL is not stored");

/* The key with the superblock's own UUID; the caller clears it. */
static struct syncq_key own_key(const struct syncq_superblock *superblock,
                                const struct syncq_key *key)
{
    struct syncq_key own = *key;

    memcpy(own.uuid, superblock->uuid, sizeof(own.uuid));
    return own;
}

static uint64_t checksum(const struct syncq_superblock *superblock)
{
    return XXH3_64bits(superblock, offsetof(struct syncq_superblock, checksum));
}

void syncq_superblock_seal(struct syncq_superblock *superblock,
                           const struct syncq_key *key)
{
    struct syncq_key own = own_key(superblock, key);

    memcpy(superblock->magic, SYNCQ_SUPERBLOCK_MAGIC,
           sizeof(superblock->magic));
    superblock->version = SYNCQ_FORMAT_VERSION;
    syncq_key_fingerprint(&own, superblock->key_fingerprint);
    syncq_key_mac(&own, superblock, offsetof(struct syncq_superblock, mac),
                  superblock->mac);
    superblock->checksum = checksum(superblock);
    syncq_key_clear(&own);
}

static int is_of_key(const struct syncq_superblock *superblock,
                     const struct syncq_key *key)
{
    struct syncq_key own = own_key(superblock, key);
    uint8_t fingerprint[SYNCQ_FINGERPRINT_SIZE];
    int result;

    syncq_key_fingerprint(&own, fingerprint);
    result = !memcmp(fingerprint, superblock->key_fingerprint,
                     sizeof(fingerprint)) &&
             syncq_key_verify(&own, superblock,
                              offsetof(struct syncq_superblock, mac),
                              superblock->mac);
    syncq_key_clear(&own);
    return result;
}

static int is_within_limits(const struct syncq_superblock *superblock)
{
    uint64_t size = superblock->segment_size;

    return size >= SYNCQ_SEGMENT_SIZE_MIN && size <= SYNCQ_SEGMENT_SIZE_MAX &&
           size % SYNCQ_PAGE_SIZE == 0 &&
           superblock->segment_count >= SYNCQ_SEGMENT_COUNT_MIN &&
           superblock->segment_count <= SYNCQ_SEGMENT_COUNT_MAX &&
           superblock->file_size >=
               SYNCQ_DATA_OFFSET + superblock->segment_count * size &&
           superblock->entry_count >= SYNCQ_ENTRY_COUNT_MIN &&
           superblock->entry_count <= SYNCQ_ENTRY_COUNT_MAX;
}

int syncq_superblock_check(const struct syncq_superblock *superblock,
                           const struct syncq_key *key)
{
    if (memcmp(superblock->magic, SYNCQ_SUPERBLOCK_MAGIC,
               sizeof(superblock->magic)))
        return SYNCQ_ERR_MAGIC;
    if (superblock->checksum != checksum(superblock))
        return SYNCQ_ERR_SUPERBLOCK;
    if (superblock->version != SYNCQ_FORMAT_VERSION || superblock->features)
        return SYNCQ_ERR_VERSION;
    if (!is_of_key(superblock, key))
        return SYNCQ_ERR_KEY;
    if (!is_within_limits(superblock))
        return SYNCQ_ERR_RANGE;
    return 0;
}
