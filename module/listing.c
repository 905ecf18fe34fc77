/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/listing.h"

#define READ_ATTEMPTS_MAX 3 /* a record moves rarely, and never in a row */

/* Where a part is, and what the parts are sorted by. */
struct place {
    uint64_t sequence;
    uint32_t arrival_s, slot;
};

struct syncq_listing {
    struct syncq_queue *queue;
    struct place *places;
    size_t place_count, place_capacity;
    size_t next; /* the first place that was not given out */
    uint32_t statuses;
    uint64_t domain_hash;
    struct syncq_entry_view *entries; /* of the message in turn */
    size_t entry_capacity;
};

static int place_compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    if (a->arrival_s != b->arrival_s)
        return a->arrival_s < b->arrival_s ? -1 : 1;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static int entry_compare(const void *left, const void *right)
{
    const struct syncq_entry_view *a = left, *b = right;

    return a->part < b->part ? -1 : a->part > b->part;
}

static int place_add(struct syncq_listing *listing,
                     const struct syncq_entry_view *entry)
{
    size_t capacity = listing->place_capacity;
    struct place *places;

    if (listing->place_count == capacity) {
        capacity = capacity ? capacity * 2 : 1024;
        places = reallocarray(listing->places, capacity, sizeof(*places));
        if (!places)
            return ENOMEM;
        listing->places = places;
        listing->place_capacity = capacity;
    }
    listing->places[listing->place_count++] =
        (struct place){entry->sequence, entry->arrival_s, entry->slot};
    return 0;
}

int syncq_listing_new(struct syncq_queue *queue, uint32_t statuses,
                      uint64_t domain_hash, struct syncq_listing **listing)
{
    struct syncq_listing *made = calloc(1, sizeof(*made));
    struct syncq_entry_view entry;
    uint32_t slot, count;
    int result = 0;

    if (!made)
        return ENOMEM;
    made->queue = queue;
    made->statuses = statuses;
    made->domain_hash = domain_hash;
    count = syncq_entry_count(queue);
    for (slot = 0; !result && slot < count; slot++) {
        if (syncq_entry_read(queue, slot, &entry))
            continue;
        /* A message with a part that counts shows its other parts as well,
         * but nobody misses what is finished. */
        if (syncq_status_is_final(entry.state.status) &&
            !(SYNCQ_STATUS_BIT(entry.state.status) & statuses))
            continue;
        result = place_add(made, &entry);
    }
    if (result) {
        syncq_listing_free(made);
        return result;
    }
    if (made->place_count)
        qsort(made->places, made->place_count, sizeof(*made->places),
              place_compare);
    *listing = made;
    return 0;
}

void syncq_listing_free(struct syncq_listing *listing)
{
    if (!listing)
        return;
    free(listing->places);
    free(listing->entries);
    free(listing);
}

static int entries_reserve(struct syncq_listing *listing, size_t count)
{
    struct syncq_entry_view *entries;

    if (count <= listing->entry_capacity)
        return 0;
    entries = reallocarray(listing->entries, count, sizeof(*entries));
    if (!entries)
        return ENOMEM;
    listing->entries = entries;
    listing->entry_capacity = count;
    return 0;
}

/* Read the parts at the next count places; true when the message counts. */
static int message_read(struct syncq_listing *listing, size_t count,
                        struct syncq_listed *message)
{
    uint64_t sequence = listing->places[listing->next].sequence;
    struct syncq_entry_view *entry;
    int counts = 0;
    size_t i;

    memset(message, 0, sizeof(*message));
    for (i = 0; i < count; i++) {
        entry = &listing->entries[message->entry_count];
        if (syncq_entry_read(listing->queue,
                             listing->places[listing->next + i].slot, entry) ||
            entry->sequence != sequence)
            continue;
        message->entry_count++;
        message->statuses |= SYNCQ_STATUS_BIT(entry->state.status);
        if ((SYNCQ_STATUS_BIT(entry->state.status) & listing->statuses) &&
            (!listing->domain_hash ||
             listing->domain_hash == entry->domain_hash))
            counts = 1;
    }
    if (!counts)
        return 0;
    qsort(listing->entries, message->entry_count, sizeof(*listing->entries),
          entry_compare);
    message->entries = listing->entries;
    message->sequence = sequence;
    message->arrival_s = listing->entries[0].arrival_s;
    return 1;
}

int syncq_listing_next(struct syncq_listing *listing,
                       struct syncq_listed *message)
{
    int result, found = 0;
    size_t count;

    while (!found && listing->next < listing->place_count) {
        const struct place *place = &listing->places[listing->next];

        for (count = 1; listing->next + count < listing->place_count; count++)
            if (place[count].sequence != place->sequence)
                break;
        result = entries_reserve(listing, count);
        if (result)
            return result;
        found = message_read(listing, count, message);
        listing->next += count;
    }
    return found ? 0 : SYNCQ_ERR_RANGE;
}

int syncq_listed_read(struct syncq_queue *queue,
                      const struct syncq_listed *message,
                      struct syncq_record *record)
{
    struct syncq_entry_view entry = message->entries[0];
    uint64_t lsn;
    int result, attempts;

    for (attempts = 1;; attempts++) {
        lsn = entry.state.lsn;
        result = syncq_record_read(queue, lsn, message->sequence, record);
        if (result != SYNCQ_ERR_BAD_RECORD || attempts == READ_ATTEMPTS_MAX)
            return result;
        if (syncq_entry_read(queue, message->entries[0].slot, &entry) ||
            entry.sequence != message->sequence)
            return SYNCQ_ERR_BAD_ENTRY;
        if (entry.state.lsn == lsn)
            return result;
    }
}

const struct syncq_recipient *
syncq_entry_recipient_left(const struct syncq_entry_view *entry,
                           const struct syncq_envelope *envelope, uint32_t n)
{
    uint64_t position = (uint64_t)entry->first_recipient + n;

    if (n >= entry->recipient_count || n >= SYNCQ_PART_RECIPIENTS_MAX ||
        position >= envelope->recipient_count ||
        syncq_status_is_final(entry->state.status) ||
        entry->state.mask >> n & 1)
        return NULL;
    return &envelope->recipients[position];
}

uint32_t syncq_entry_left_count(const struct syncq_entry_view *entry)
{
    uint64_t mask;

    if (syncq_status_is_final(entry->state.status) ||
        entry->recipient_count < 1 ||
        entry->recipient_count > SYNCQ_PART_RECIPIENTS_MAX)
        return 0;
    mask = syncq_recipients_mask(entry->recipient_count) & ~entry->state.mask;
    return (uint32_t)__builtin_popcountll(mask);
}

void syncq_sequence_text(uint64_t sequence, char text[32])
{
    snprintf(text, 32, "%" PRIu64 ".%" PRIu64, SYNCQ_SEQUENCE_EPOCH(sequence),
             sequence & ((UINT64_C(1) << SYNCQ_SEQUENCE_COUNTER_BITS) - 1));
}

/* A decimal number at the start of an attribute, or fallback. */
static uint64_t attribute_number(const struct syncq_envelope *envelope,
                                 const char *name, uint64_t fallback)
{
    const char *text = syncq_envelope_attribute_text(envelope, name, "");
    char *end;
    uint64_t number;

    errno = 0;
    number = strtoull(text, &end, 10);
    return errno || end == text || number > INT64_MAX ? fallback : number;
}

void syncq_listed_name(const struct syncq_listed *message,
                       const struct syncq_record *record,
                       struct syncq_listed_name *name)
{
    const struct syncq_envelope *envelope = &record->envelope;
    const char *id = syncq_envelope_attribute_text(envelope, "queue_id", "");

    if (*id)
        snprintf(name->id, sizeof(name->id), "%s", id);
    else
        syncq_sequence_text(message->sequence, name->id);
    name->arrival_s =
        (int64_t)attribute_number(envelope, "arrival", message->arrival_s);
    name->size = attribute_number(envelope, "size", record->content_size);
}

int syncq_listed_is(const struct syncq_listed *message,
                    const struct syncq_record *record, const char *text)
{
    const char *id = "";
    char sequence[32];

    if (record)
        id = syncq_envelope_attribute_text(&record->envelope, "queue_id", "");
    if (*id && !strcmp(id, text))
        return 1;
    syncq_sequence_text(message->sequence, sequence);
    return !strcmp(sequence, text);
}
