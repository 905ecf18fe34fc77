/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "module/recovery_internal.h"

static uint64_t hash(uint64_t sequence, uint32_t part)
{
    uint64_t mixed = (sequence + part) * UINT64_C(0x9e3779b97f4a7c15);

    return mixed ^ mixed >> 29;
}

void syncq_part_table_add(struct syncq_part_table *table,
                          const struct syncq_index *index, uint32_t slot)
{
    const struct syncq_entry *entry = &index->entries[slot];
    uint64_t at = hash(entry->sequence, entry->part);

    while (table->slots[at & (table->size - 1)] != SYNCQ_SLOT_NONE)
        at++;
    table->slots[at & (table->size - 1)] = slot;
}

int syncq_part_table_init(struct syncq_part_table *table,
                          const struct syncq_index *index)
{
    uint32_t count = index->entry_count;

    table->size = 16;
    while (table->size < (uint64_t)count * 2)
        table->size *= 2;
    table->slots = malloc(table->size * sizeof *table->slots);
    if (table->slots == NULL)
        return ENOMEM;
    for (uint64_t i = 0; i < table->size; i++)
        table->slots[i] = SYNCQ_SLOT_NONE;
    for (uint32_t slot = 0; slot < count; slot++)
        if (index->entries[slot].kind == SYNCQ_ENTRY_USED &&
            syncq_entry_identity_valid(index, slot))
            syncq_part_table_add(table, index, slot);
    return 0;
}

void syncq_part_table_clear(struct syncq_part_table *table)
{
    free(table->slots);
    table->slots = NULL;
}

uint32_t syncq_part_table_find(const struct syncq_part_table *table,
                               const struct syncq_index *index,
                               uint64_t sequence, uint32_t part)
{
    for (uint64_t at = hash(sequence, part);; at++) {
        uint32_t slot = table->slots[at & (table->size - 1)];

        if (slot == SYNCQ_SLOT_NONE ||
            (index->entries[slot].sequence == sequence &&
             index->entries[slot].part == part))
            return slot;
    }
}
