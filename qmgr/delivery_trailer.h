/* SPDX-License-Identifier: MIT */
/*
 * delivery_trailer.h - what stands behind the last record of a delivery file
 */
#ifndef SYNCQ_QMGR_DELIVERY_TRAILER_H
#define SYNCQ_QMGR_DELIVERY_TRAILER_H

#include <stddef.h>
#include <stdint.h>

#include "module/key.h"

/* The caller frees it. */
uint8_t *delivery_trailer_build(const uint8_t uuid[SYNCQ_UUID_SIZE],
                                uint64_t sequence, const uint32_t *recipients,
                                const uint64_t *offsets, uint32_t count,
                                size_t *size);

struct delivery_trailer {
    uint8_t uuid[SYNCQ_UUID_SIZE]; /* of the queue file */
    uint64_t sequence;
    uint32_t count;
    const uint8_t *pairs; /* into the file's bytes */
};

/*
 * Find it in the bytes of a file.  False when it is not there, not whole, or
 * points outside of the file.
 */
int delivery_trailer_read(const uint8_t *file, size_t size,
                          struct delivery_trailer *trailer);

/* Recipient and offset number i. */
void delivery_trailer_get(const struct delivery_trailer *trailer, uint32_t i,
                          uint32_t *recipient, uint64_t *offset);

#endif
