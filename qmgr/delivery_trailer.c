/* SPDX-License-Identifier: MIT */
#include "qmgr/delivery_trailer.h"

#include <string.h>
#include <xxhash.h>

#include "qmgr/delivery_file.h"
#include "qmgr/memory.h"

#define TRAILER_HEAD 40 /* magic, UUID, sequence, count */
#define TRAILER_PAIR 16
#define TRAILER_TAIL 16 /* checksum, size */

static void trailer_put(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint64_t trailer_get(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

uint8_t *delivery_trailer_build(const uint8_t uuid[SYNCQ_UUID_SIZE],
                                uint64_t sequence, const uint32_t *recipients,
                                const uint64_t *offsets, uint32_t count,
                                size_t *size)
{
    size_t body = TRAILER_HEAD + (size_t)count * TRAILER_PAIR;
    uint8_t *trailer = memory_new(body + TRAILER_TAIL);
    uint32_t i;

    trailer_put(trailer, DELIVERY_FILE_MAGIC);
    memcpy(trailer + 8, uuid, SYNCQ_UUID_SIZE);
    trailer_put(trailer + 24, sequence);
    trailer_put(trailer + 32, count);
    for (i = 0; i < count; i++) {
        uint8_t *pair = trailer + TRAILER_HEAD + (size_t)i * TRAILER_PAIR;

        trailer_put(pair, recipients[i]);
        trailer_put(pair + 8, offsets[i]);
    }
    trailer_put(trailer + body, XXH3_64bits(trailer, body));
    *size = body + TRAILER_TAIL;
    trailer_put(trailer + body + 8, *size);
    return trailer;
}

int delivery_trailer_read(const uint8_t *file, size_t size,
                          struct delivery_trailer *trailer)
{
    const uint8_t *start;
    uint64_t own, count;
    uint32_t i;

    if (size < TRAILER_HEAD + TRAILER_TAIL)
        return 0;
    own = trailer_get(file + size - 8);
    if (own < TRAILER_HEAD + TRAILER_TAIL || own > size)
        return 0;
    start = file + size - own;
    count = trailer_get(start + 32);
    if (trailer_get(start) != DELIVERY_FILE_MAGIC ||
        count > DELIVERY_FILE_RECIPIENTS_MAX ||
        own != TRAILER_HEAD + count * TRAILER_PAIR + TRAILER_TAIL ||
        trailer_get(file + size - 16) !=
            XXH3_64bits(start, (size_t)own - TRAILER_TAIL))
        return 0;
    memcpy(trailer->uuid, start + 8, SYNCQ_UUID_SIZE);
    trailer->sequence = trailer_get(start + 24);
    trailer->count = (uint32_t)count;
    trailer->pairs = start + TRAILER_HEAD;
    for (i = 0; i < trailer->count; i++) {
        uint32_t recipient;
        uint64_t offset;

        delivery_trailer_get(trailer, i, &recipient, &offset);
        if (offset >= size - own)
            return 0;
    }
    return 1;
}

void delivery_trailer_get(const struct delivery_trailer *trailer, uint32_t i,
                          uint32_t *recipient, uint64_t *offset)
{
    const uint8_t *pair = trailer->pairs + (size_t)i * TRAILER_PAIR;

    *recipient = (uint32_t)trailer_get(pair);
    *offset = trailer_get(pair + 8);
}
