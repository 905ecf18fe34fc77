/* SPDX-License-Identifier: MIT */
/*
 * superblock_format.h - the first two pages of a queue data file
 *
 *   offset  size  field            meaning (integers are little-endian)
 *        0     8  magic            "SYNCQ\r\n\x1a"
 *        8     4  version          SYNCQ_FORMAT_VERSION
 *       12     4  features         bits a reader must know; none is defined
 *       16    16  uuid             of this queue file
 *       32     8  generation       the valid copy with the higher one counts
 *       40     8  file_size        bytes in use; the file may be longer
 *       48     8  segment_size     bytes
 *       56     4  segment_count
 *       60     4  entry_count      the index is to have these at least
 *       64     8  epoch            raised for every new channel
 *       72     8  lsn_limit        no LSN at or above it was ever given
 *       80     8  checkpoint       number of the last index checkpoint known
 *       88     8  created_us       microseconds since 1970
 *       96    16  key_fingerprint
 *      112    16  mac              keyed, over bytes 0 to 111
 *      128     8  checksum         XXH3-64 over bytes 0 to 127
 *
 * The checksum tells damage from a wrong key.  Copy number generation & 1 is
 * written, so a torn write leaves the other one.  Any change here raises
 * SYNCQ_FORMAT_VERSION and adds a file to tests/golden/.
 */
#ifndef SYNCQ_SUPERBLOCK_FORMAT_H
#define SYNCQ_SUPERBLOCK_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "module/key.h"

#define SYNCQ_SUPERBLOCK_MAGIC "SYNCQ\r\n\x1a"
#define SYNCQ_FORMAT_VERSION   1

struct syncq_superblock {
    uint8_t magic[8];
    uint32_t version, features;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    uint64_t generation;
    uint64_t file_size, segment_size;
    uint32_t segment_count, entry_count;
    uint64_t epoch, lsn_limit, checkpoint;
    int64_t created_us;
    uint8_t key_fingerprint[SYNCQ_FINGERPRINT_SIZE];
    uint8_t mac[SYNCQ_MAC_SIZE];
    uint64_t checksum;
};
static_assert(offsetof(struct syncq_superblock, mac) == 112, "on-disk layout");
static_assert(sizeof(struct syncq_superblock) == 136, "on-disk layout");

/* Fill in magic, version, fingerprint, MAC and checksum. */
void syncq_superblock_seal(struct syncq_superblock *superblock,
                           const struct syncq_key *key);

/*
 * Is this copy whole, known and of this key?  0, SYNCQ_ERR_MAGIC (nothing of
 * ours), SYNCQ_ERR_SUPERBLOCK (damaged), SYNCQ_ERR_VERSION, SYNCQ_ERR_KEY, or
 * SYNCQ_ERR_RANGE (sizes outside the limits).  The key's UUID is not used:
 * the superblock's own is.
 */
int syncq_superblock_check(const struct syncq_superblock *superblock,
                           const struct syncq_key *key);

#endif
