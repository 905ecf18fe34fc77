/* SPDX-License-Identifier: MIT */
/*
 * index_lists.c - the used and the free list of index entries
 *
 * Links are 32-bit slot numbers in a shared file: each is checked before it is
 * followed.  Recovery never reads them; it makes both lists anew.
 */
#include <string.h>

#include "module/dirty.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/index.h"

enum { SLOTS_PER_LOCK = 64 }; /* under the lock at a time */

static int slot_ok(const struct syncq_index *index, uint32_t slot)
{
    return slot < index->entry_count;
}

static void append_used(struct syncq_index *index, uint32_t slot)
{
    struct syncq_index_lists *lists = index->lists;
    struct syncq_entry *entry = &index->entries[slot];

    entry->previous = lists->used_tail;
    entry->next = SYNCQ_SLOT_NONE;
    if (slot_ok(index, lists->used_tail))
        index->entries[lists->used_tail].next = slot;
    else
        lists->used_head = slot;
    lists->used_tail = slot;
    lists->used_count++;
}

static void push_free(struct syncq_index *index, uint32_t slot)
{
    struct syncq_index_lists *lists = index->lists;

    index->entries[slot].previous = SYNCQ_SLOT_NONE;
    index->entries[slot].next = lists->free_head;
    lists->free_head = slot;
    lists->free_count++;
}

void syncq_index_prefault(struct syncq_index *index)
{
    const uint32_t page_entries = SYNCQ_PAGE_SIZE / SYNCQ_ENTRY_SIZE;
    uint32_t slot = __atomic_load_n(&index->lists->free_head, __ATOMIC_RELAXED);

    /* Free slots mostly lie side by side: this page and the next. */
    for (int i = 0; i < 2 && slot_ok(index, slot); i++, slot += page_entries)
        dirty_byte((uint8_t *)&index->entries[slot].lock);
}

int syncq_index_take(struct syncq_index *index, uint32_t count, uint32_t lock,
                     uint32_t *slots)
{
    struct syncq_index_lists *lists = index->lists;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = lists->free_head;

        if (!slot_ok(index, slot))
            return SYNCQ_ERR_ENTRIES_FULL;
        /* The lock first: after a crash here it says whose the slot is. */
        index->entries[slot].lock = lock;
        lists->free_head = index->entries[slot].next;
        SYNCQ_FAILPOINT("reserve.slot-unlinked");
        lists->free_count--;
        append_used(index, slot);
        slots[i] = slot;
    }
    return 0;
}

void syncq_index_give_back(struct syncq_index *index, uint32_t slot)
{
    struct syncq_index_lists *lists = index->lists;
    struct syncq_entry *entry = &index->entries[slot];

    if (slot_ok(index, entry->previous))
        index->entries[entry->previous].next = entry->next;
    else
        lists->used_head = entry->next;
    if (slot_ok(index, entry->next))
        index->entries[entry->next].previous = entry->previous;
    else
        lists->used_tail = entry->previous;
    lists->used_count--;
    syncq_index_write_free(index, slot);
    SYNCQ_FAILPOINT("index.slot-unlinked");
    push_free(index, slot);
}

/*
 * Slots that the index has grown by.  Their pages are not in memory yet, and
 * nobody shall wait under the lock until they are.
 */
void syncq_index_list_touch(struct syncq_index *index)
{
    uint32_t count = index->entry_count;
    uint32_t slot =
        __atomic_load_n(&index->lists->listed_count, __ATOMIC_RELAXED);

    if (slot < count)
        dirty_pages(
            (uint8_t *)&index->entries[slot],
            (count - slot < SLOTS_PER_LOCK ? count - slot : SLOTS_PER_LOCK) *
                sizeof index->entries[slot]);
}

int syncq_index_list_more(struct syncq_index *index)
{
    struct syncq_index_lists *lists = index->lists;
    uint32_t count = index->entry_count;
    uint32_t first = lists->listed_count;
    uint32_t end = first < count && count - first > SLOTS_PER_LOCK
                       ? first + SLOTS_PER_LOCK
                       : count;

    for (uint32_t slot = end; slot-- > first;) {
        if (!syncq_entry_identity_valid(index, slot) ||
            index->entries[slot].kind != SYNCQ_ENTRY_FREE)
            syncq_index_write_free(index, slot);
        push_free(index, slot);
    }
    if (first < end)
        lists->listed_count = end;
    return end < count;
}

/* Store only what differs: a clean start then dirties hardly any page. */
static void set_link(uint32_t *link, uint32_t value)
{
    if (*link != value)
        *link = value;
}

static void push_front(struct syncq_index *index, uint32_t slot, uint32_t *head,
                       uint32_t *count)
{
    set_link(&index->entries[slot].next, *head);
    if (*head != SYNCQ_SLOT_NONE)
        set_link(&index->entries[*head].previous, slot);
    *head = slot;
    (*count)++;
}

void syncq_index_rebuild_lists(struct syncq_index *index,
                               int (*in_use)(uint32_t slot, uint32_t lock,
                                             void *context),
                               void *context)
{
    struct syncq_index_lists lists = {.used_head = SYNCQ_SLOT_NONE,
                                      .used_tail = SYNCQ_SLOT_NONE,
                                      .free_head = SYNCQ_SLOT_NONE,
                                      .listed_count = index->entry_count};

    for (uint32_t slot = lists.listed_count; slot-- > 0;) {
        struct syncq_entry *entry = &index->entries[slot];
        int valid = syncq_entry_identity_valid(index, slot);
        int used = valid && entry->kind == SYNCQ_ENTRY_USED;
        int owned = in_use != NULL && entry->lock != 0 &&
                    in_use(slot, entry->lock, context);

        if (!owned)
            set_link(&entry->lock, 0);
        if (used || owned) {
            if (lists.used_tail == SYNCQ_SLOT_NONE)
                lists.used_tail = slot;
            push_front(index, slot, &lists.used_head, &lists.used_count);
        } else {
            if (!valid)
                syncq_index_write_free(index, slot);
            push_front(index, slot, &lists.free_head, &lists.free_count);
        }
    }
    if (lists.used_head != SYNCQ_SLOT_NONE)
        set_link(&index->entries[lists.used_head].previous, SYNCQ_SLOT_NONE);
    *index->lists = lists;
}
