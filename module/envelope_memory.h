/* SPDX-License-Identifier: MIT */
/*
 * envelope_memory.h - the memory behind an envelope, for envelope*.c only
 *
 * Texts lie in blocks that grow, so that many recipients need few allocations;
 * nothing is given back before the envelope is cleared.
 */
#ifndef SYNCQ_ENVELOPE_MEMORY_H
#define SYNCQ_ENVELOPE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "module/envelope.h"

struct syncq_envelope_memory {
    struct envelope_block *blocks; /* the newest first */
    uint64_t text_size;            /* bytes in all blocks together */
    size_t recipients_max, parts_max, attributes_max; /* room in the arrays */
};

/*
 * Room for a text of size bytes; its NUL is there already.  ENOMEM;
 * SYNCQ_ERR_RANGE when the texts together would pass SYNCQ_ENVELOPE_SIZE_MAX.
 */
int syncq_envelope_memory_take(struct syncq_envelope_memory *memory,
                               size_t size, char **text);

/* Copy size bytes and add a NUL.  Errors as above. */
int syncq_envelope_memory_copy(struct syncq_envelope_memory *memory,
                               const void *bytes, size_t size,
                               const char **copy);

/* Make room for count elements; the old ones are kept.  ENOMEM. */
int syncq_envelope_reserve_recipients(struct syncq_envelope *envelope,
                                      size_t count);
int syncq_envelope_reserve_parts(struct syncq_envelope *envelope, size_t count);
int syncq_envelope_reserve_attributes(struct syncq_envelope *envelope,
                                      size_t count);

/* The letter in lower case; other bytes stay, whatever the locale. */
static inline unsigned char ascii_lower(char letter)
{
    unsigned char byte = (unsigned char)letter;

    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
}

#endif
