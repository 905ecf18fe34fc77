/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <xxhash.h>

#include "module/error.h"
#include "module/index.h"
#include "module/queue_internal.h"

enum {
    IDENTITY_OFFSET = offsetof(struct syncq_entry, sequence),
    IDENTITY_SIZE = offsetof(struct syncq_entry, checksum) - IDENTITY_OFFSET,
    VERSION_SIZE = offsetof(struct syncq_entry_version, checksum),
};

static uint32_t identity_checksum(const struct syncq_index *index,
                                  uint32_t slot,
                                  const struct syncq_entry *entry)
{
    return (uint32_t)XXH3_64bits_withSeed((const uint8_t *)entry +
                                              IDENTITY_OFFSET,
                                          IDENTITY_SIZE, index->seed + slot);
}

/* A state is valid for one part of one message in one slot only. */
static uint32_t version_checksum(const struct syncq_index *index, uint32_t slot,
                                 const struct syncq_entry *entry,
                                 const struct syncq_entry_version *version)
{
    uint64_t seed =
        (index->seed ^ entry->sequence) + slot + ((uint64_t)entry->part << 48);

    return (uint32_t)XXH3_64bits_withSeed(version, VERSION_SIZE, seed);
}

static int version_valid(const struct syncq_index *index, uint32_t slot,
                         const struct syncq_entry *entry, int number)
{
    const struct syncq_entry_version *version = &entry->versions[number];

    return version->checksum == version_checksum(index, slot, entry, version);
}

/* Number of the newest valid version, or -1. */
static int newest_version(const struct syncq_index *index, uint32_t slot,
                          const struct syncq_entry *entry)
{
    int valid0 = version_valid(index, slot, entry, 0);
    int valid1 = version_valid(index, slot, entry, 1);

    if (valid0 && valid1) {
        /* The counter may wrap; only the difference counts. */
        uint32_t ahead =
            entry->versions[1].counter - entry->versions[0].counter;

        return ahead != 0 && ahead < UINT32_C(0x80000000);
    }
    return valid0 ? 0 : valid1 ? 1 : -1;
}

int syncq_entry_identity_valid(const struct syncq_index *index, uint32_t slot)
{
    struct syncq_entry entry = index->entries[slot];

    return entry.checksum == identity_checksum(index, slot, &entry) &&
           (entry.kind == SYNCQ_ENTRY_FREE || entry.kind == SYNCQ_ENTRY_USED);
}

/* Never written: what write_identity leaves of the second version. */
static int version_blank(const struct syncq_entry_version *version)
{
    static const struct syncq_entry_version blank;

    return memcmp(version, &blank, sizeof blank) == 0;
}

int syncq_entry_whole(const struct syncq_index *index, uint32_t slot)
{
    struct syncq_entry entry = index->entries[slot];

    if (!syncq_entry_identity_valid(index, slot))
        return 0;
    return entry.kind == SYNCQ_ENTRY_FREE ||
           (version_valid(index, slot, &entry, 0) &&
            (version_valid(index, slot, &entry, 1) ||
             (entry.versions[0].counter == 0 &&
              version_blank(&entry.versions[1]))));
}

static void view_state(const struct syncq_entry_version *version,
                       struct syncq_state *state)
{
    *state = (struct syncq_state){
        .lsn = version->lsn,
        .mask = version->mask,
        .last_attempt_s = version->last_attempt_s,
        .next_attempt_s = version->next_attempt_s,
        .attempts = version->attempts,
        .reason = version->reason,
        .dsn_class = version->dsn_class_subject >> 5,
        .dsn_subject = version->dsn_class_subject & 31,
        .dsn_detail = version->dsn_detail,
        .status = version->status,
    };
}

int syncq_index_read(const struct syncq_index *index, uint32_t slot,
                     struct syncq_entry_view *view)
{
    struct syncq_entry entry;
    int number;

    if (!syncq_index_has(index, slot))
        return SYNCQ_ERR_RANGE;
    entry = index->entries[slot]; /* copy first, then check */
    if (entry.checksum != identity_checksum(index, slot, &entry) ||
        entry.kind != SYNCQ_ENTRY_USED)
        return SYNCQ_ERR_BAD_ENTRY;
    *view = (struct syncq_entry_view){
        .sequence = entry.sequence,
        .domain_hash = entry.domain_hash,
        .slot = slot,
        .arrival_s = entry.arrival_s,
        .first_recipient = entry.first_recipient,
        .part = entry.part,
        .part_count = entry.part_count,
        .recipient_count = entry.recipient_count,
        .type = entry.type,
    };
    if (view->part >= view->part_count || view->recipient_count == 0 ||
        view->recipient_count > SYNCQ_PART_RECIPIENTS_MAX)
        return SYNCQ_ERR_BAD_ENTRY;
    number = newest_version(index, slot, &entry);
    if (number < 0) {
        view->state = (struct syncq_state){.status = SYNCQ_STATUS_LOST};
        return SYNCQ_ERR_BAD_ENTRY;
    }
    view_state(&entry.versions[number], &view->state);
    return 0;
}

static void fill_version(struct syncq_index *index,
                         const struct syncq_entry_view *view, uint32_t counter,
                         struct syncq_entry_version *version)
{
    const struct syncq_state *state = &view->state;
    const struct syncq_entry *entry = &index->entries[view->slot];
    struct syncq_entry_version next = {
        .lsn = state->lsn,
        .mask = state->mask,
        .counter = counter,
        .last_attempt_s = state->last_attempt_s,
        .next_attempt_s = state->next_attempt_s,
        .attempts = state->attempts,
        .reason = state->reason,
        .dsn_detail = state->dsn_detail,
        .dsn_class_subject =
            (uint8_t)((state->dsn_class & 7) << 5 | (state->dsn_subject & 31)),
        .status = state->status,
    };

    next.checksum = version_checksum(index, view->slot, entry, &next);
    *version = next;
}

void syncq_index_write_state(struct syncq_index *index,
                             const struct syncq_entry_view *view)
{
    struct syncq_entry *entry = &index->entries[view->slot];
    int current = newest_version(index, view->slot, entry);
    uint32_t counter = current < 0 ? 0 : entry->versions[current].counter + 1;

    fill_version(index, view, counter, &entry->versions[current == 0 ? 1 : 0]);
}

/*
 * The identity goes in first: until then the slot reads as free, and the
 * states of its last user are not valid for the new one.  The second version
 * is blank from then on, so that damage to it shows: syncq_entry_whole.
 */
void syncq_index_write_identity(struct syncq_index *index,
                                const struct syncq_entry_view *view)
{
    struct syncq_entry *entry = &index->entries[view->slot];

    memset(&entry->versions[1], 0, sizeof entry->versions[1]);
    entry->sequence = view->sequence;
    entry->domain_hash = view->domain_hash;
    entry->arrival_s = view->arrival_s;
    entry->first_recipient = view->first_recipient;
    entry->part = view->part;
    entry->part_count = view->part_count;
    entry->recipient_count = view->recipient_count;
    entry->type = view->type;
    entry->kind = SYNCQ_ENTRY_USED;
    entry->checksum = identity_checksum(index, view->slot, entry);
    fill_version(index, view, 0, &entry->versions[0]);
}

void syncq_index_write_free(struct syncq_index *index, uint32_t slot)
{
    struct syncq_entry *entry = &index->entries[slot];

    memset((uint8_t *)entry + IDENTITY_OFFSET, 0, IDENTITY_SIZE);
    entry->kind = SYNCQ_ENTRY_FREE;
    entry->checksum = identity_checksum(index, slot, entry);
    entry->lock = 0;
}

uint32_t syncq_entry_count(struct syncq_queue *queue)
{
    /* Without the new ones what is known goes on. */
    (void)syncq_index_follow(&queue->index);
    return queue->index.entry_count;
}

int syncq_entry_read(struct syncq_queue *queue, uint32_t slot,
                     struct syncq_entry_view *entry)
{
    return syncq_index_read(&queue->index, slot, entry);
}

int syncq_entry_update(struct syncq_queue *queue, struct syncq_entry_view *view,
                       const struct syncq_state *state)
{
    struct syncq_entry_view now = {0};
    int result = syncq_index_read(&queue->index, view->slot, &now);

    if (result == SYNCQ_ERR_RANGE)
        return result;
    /* Both states may be damaged and still the part be the right one. */
    if ((result != 0 && now.state.status != SYNCQ_STATUS_LOST) ||
        now.sequence != view->sequence || now.part != view->part)
        return SYNCQ_ERR_BAD_ENTRY;
    view->state = *state;
    if (now.state.lsn != 0)
        view->state.lsn = now.state.lsn;
    syncq_index_write_state(&queue->index, view);
    return 0;
}

uint64_t syncq_domain_hash(const char *domain)
{
    size_t size = strlen(domain);

    return size == 0 ? 0 : XXH3_64bits(domain, size);
}

uint64_t syncq_recipients_mask(uint32_t recipient_count)
{
    return recipient_count >= 64 ? UINT64_MAX
                                 : (UINT64_C(1) << recipient_count) - 1;
}
