/* SPDX-License-Identifier: MIT */
/*
 * key.h - the secret that tells our records from copies of records in mail
 *
 * The key is 32 random bytes in a file of its own beside the data file, mode
 * 0600.  Whoever reads it can forge queued mail; whoever loses it can read the
 * queue only without proof of origin.  It is never logged.
 */
#ifndef SYNCQ_KEY_H
#define SYNCQ_KEY_H

#include <stddef.h>
#include <stdint.h>

#define SYNCQ_KEY_SIZE         32
#define SYNCQ_MAC_SIZE         16
#define SYNCQ_FINGERPRINT_SIZE 16
#define SYNCQ_UUID_SIZE        16

struct syncq_key {
    uint8_t bytes[SYNCQ_KEY_SIZE];
    uint8_t uuid[SYNCQ_UUID_SIZE]; /* of the queue; part of every MAC */
};

/*
 * Make a key file in the directory directory_fd; it and the directory are
 * synced on return.  key->uuid is left alone.  EEXIST when there is one.
 */
int syncq_key_create(int directory_fd, struct syncq_key *key);

/*
 * Read the key file.  key->uuid is left alone: the superblock sets it.  This or
 * syncq_key_create comes before any MAC: it prepares the library for it.
 * SYNCQ_ERR_KEY_FILE: missing or of a wrong size; SYNCQ_ERR_OWNER,
 * SYNCQ_ERR_MODE: somebody else may have read or replaced it.
 */
int syncq_key_load(int directory_fd, struct syncq_key *key);

/* What the superblock keeps of the key: enough to recognise it. */
void syncq_key_fingerprint(const struct syncq_key *key,
                           uint8_t fingerprint[SYNCQ_FINGERPRINT_SIZE]);

/* Keyed BLAKE2b-128 over size bytes and the UUID. */
void syncq_key_mac(const struct syncq_key *key, const void *bytes, size_t size,
                   uint8_t mac[SYNCQ_MAC_SIZE]);

/* True when mac is the MAC of these bytes; takes the same time either way. */
int syncq_key_verify(const struct syncq_key *key, const void *bytes,
                     size_t size, const uint8_t mac[SYNCQ_MAC_SIZE]);

/* Overwrite the key in memory. */
void syncq_key_clear(struct syncq_key *key);

#endif
