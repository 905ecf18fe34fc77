/* SPDX-License-Identifier: MIT */
/*
 * listing.h - the messages of a queue, oldest first, from its index
 *
 * A listing is a list of slots, taken once and sorted by arrival; the entries
 * themselves are read again when their message's turn comes, so what it gives
 * is present, and what vanished meanwhile is left out.  It needs 16 bytes of
 * memory for each entry in use and works the same with and without a helper.
 *
 * One thread at a time per listing; several listings may walk one queue.
 */
#ifndef SYNCQ_LISTING_H
#define SYNCQ_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "module/entry.h"
#include "module/queue.h"
#include "module/read.h"

#define SYNCQ_STATUS_BIT(status) (UINT32_C(1) << (status))

/* Everything that may still be delivered; not new, final or lost parts. */
#define SYNCQ_STATUSES_QUEUED                                                  \
    (SYNCQ_STATUS_BIT(SYNCQ_STATUS_SYNCED) |                                   \
     SYNCQ_STATUS_BIT(SYNCQ_STATUS_READY) |                                    \
     SYNCQ_STATUS_BIT(SYNCQ_STATUS_ACTIVE) |                                   \
     SYNCQ_STATUS_BIT(SYNCQ_STATUS_DEFERRED) |                                 \
     SYNCQ_STATUS_BIT(SYNCQ_STATUS_HELD) |                                     \
     SYNCQ_STATUS_BIT(SYNCQ_STATUS_FLUSHING))

struct syncq_listing;

/* One message: all of its parts that have a slot, by part number. */
struct syncq_listed {
    const struct syncq_entry_view *entries; /* until the next call */
    uint32_t entry_count;                   /* at least 1 */
    uint32_t statuses;                      /* a bit for each status seen */
    uint64_t sequence;
    uint32_t arrival_s;
};

/*
 * Collect the messages of which at least one part has one of these statuses
 * (SYNCQ_STATUS_BIT of each) and, unless domain_hash is zero, this domain.
 * The caller frees *listing before it closes the queue.  ENOMEM.
 */
int syncq_listing_new(struct syncq_queue *queue, uint32_t statuses,
                      uint64_t domain_hash, struct syncq_listing **listing);
void syncq_listing_free(struct syncq_listing *listing);

/* The next message.  SYNCQ_ERR_RANGE: there are no more; ENOMEM. */
int syncq_listing_next(struct syncq_listing *listing,
                       struct syncq_listed *message);

/*
 * Read the message's record; the caller clears it.  A record that is moved
 * meanwhile is found in its new place.  Errors as syncq_record_read, and
 * SYNCQ_ERR_BAD_ENTRY: the message has left the queue.
 */
int syncq_listed_read(struct syncq_queue *queue,
                      const struct syncq_listed *message,
                      struct syncq_record *record);

/*
 * Recipient number n (from 0) of a part in the envelope of its message; NULL
 * when it is finished or n is past the part's last one.
 */
const struct syncq_recipient *
syncq_entry_recipient_left(const struct syncq_entry_view *entry,
                           const struct syncq_envelope *envelope, uint32_t n);

/* How many recipients of the part are not finished. */
uint32_t syncq_entry_left_count(const struct syncq_entry_view *entry);

/* How people know a message. */
#define SYNCQ_LISTED_ID_SIZE 128

struct syncq_listed_name {
    char id[SYNCQ_LISTED_ID_SIZE]; /* queue id, else EPOCH.COUNTER */
    int64_t arrival_s;             /* at the MTA */
    uint64_t size;                 /* of the content, as the MTA counts it */
};

void syncq_listed_name(const struct syncq_listed *message,
                       const struct syncq_record *record,
                       struct syncq_listed_name *name);

/*
 * Is it the message that the text names: by queue id, or by EPOCH.COUNTER of
 * its sequence, which never names two?  record NULL: it cannot be read, so the
 * queue id is not known.
 */
int syncq_listed_is(const struct syncq_listed *message,
                    const struct syncq_record *record, const char *text);

/* EPOCH.COUNTER of a sequence number, as text. */
void syncq_sequence_text(uint64_t sequence, char text[32]);

#endif
