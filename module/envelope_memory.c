/* SPDX-License-Identifier: MIT */
#include "module/envelope_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/limits.h"

#define BLOCK_SIZE_MIN (size_t)2048 /* bytes */
#define BLOCK_SIZE_MAX                                                         \
    ((size_t)256 * 1024) /* bytes, unless a text is larger                     \
                          */

struct envelope_block {
    struct envelope_block *older;
    size_t size, used;
    char bytes[];
};

static int add_block(struct syncq_envelope_memory *memory, size_t text_size)
{
    struct envelope_block *block;
    size_t size = BLOCK_SIZE_MIN;

    if (memory->blocks && memory->blocks->size < BLOCK_SIZE_MAX)
        size = memory->blocks->size * 2;
    else if (memory->blocks)
        size = BLOCK_SIZE_MAX;
    if (size < text_size)
        size = text_size;
    block = malloc(sizeof(*block) + size);
    if (!block)
        return ENOMEM;
    block->older = memory->blocks;
    block->size = size;
    block->used = 0;
    memory->blocks = block;
    return 0;
}

int syncq_envelope_memory_take(struct syncq_envelope_memory *memory,
                               size_t size, char **text)
{
    struct envelope_block *block = memory->blocks;
    int result;

    if (size >= SYNCQ_ENVELOPE_SIZE_MAX - memory->text_size)
        return SYNCQ_ERR_RANGE;
    if (!block || block->size - block->used < size + 1) {
        result = add_block(memory, size + 1);
        if (result)
            return result;
        block = memory->blocks;
    }
    *text = block->bytes + block->used;
    (*text)[size] = 0;
    block->used += size + 1;
    memory->text_size += size + 1;
    return 0;
}

int syncq_envelope_memory_copy(struct syncq_envelope_memory *memory,
                               const void *bytes, size_t size,
                               const char **copy)
{
    char *text = NULL;
    int result;

    if (size == 0) {
        *copy = "";
        return 0;
    }
    result = syncq_envelope_memory_take(memory, size, &text);
    if (!result)
        *copy = memcpy(text, bytes, size);
    return result;
}

/* At least double the room, so that adding one by one stays cheap. */
static int reserve(void **array, size_t *room, size_t count, size_t size)
{
    size_t new_room = *room * 2 > count ? *room * 2 : count;
    void *moved;

    if (count <= *room)
        return 0;
    moved = reallocarray(*array, new_room, size);
    if (!moved)
        return ENOMEM;
    *array = moved;
    *room = new_room;
    return 0;
}

int syncq_envelope_reserve_recipients(struct syncq_envelope *envelope,
                                      size_t count)
{
    void *array = envelope->recipients;
    int result = reserve(&array, &envelope->memory->recipients_max, count,
                         sizeof(*envelope->recipients));

    envelope->recipients = array;
    return result;
}

int syncq_envelope_reserve_parts(struct syncq_envelope *envelope, size_t count)
{
    void *array = envelope->parts;
    int result = reserve(&array, &envelope->memory->parts_max, count,
                         sizeof(*envelope->parts));

    envelope->parts = array;
    return result;
}

int syncq_envelope_reserve_attributes(struct syncq_envelope *envelope,
                                      size_t count)
{
    void *array = envelope->attributes;
    int result = reserve(&array, &envelope->memory->attributes_max, count,
                         sizeof(*envelope->attributes));

    envelope->attributes = array;
    return result;
}

int syncq_envelope_init(struct syncq_envelope *envelope)
{
    struct syncq_envelope_memory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return ENOMEM;
    memset(envelope, 0, sizeof(*envelope));
    envelope->sender = "";
    envelope->instructions = "";
    envelope->memory = memory;
    return 0;
}

void syncq_envelope_clear(struct syncq_envelope *envelope)
{
    struct envelope_block *block;

    if (envelope->memory) {
        while ((block = envelope->memory->blocks) != NULL) {
            envelope->memory->blocks = block->older;
            free(block);
        }
        free(envelope->recipients);
        free(envelope->parts);
        free(envelope->attributes);
        free(envelope->memory);
    }
    memset(envelope, 0, sizeof(*envelope));
}
