/* SPDX-License-Identifier: MIT */
/*
 * append.c - copy a record to its place and ask for its sync
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "module/append.h"
#include "module/error.h"
#include "module/failpoint.h"
#include "module/marks.h"
#include "module/read_ahead.h"
#include "module/record_format.h"
#include "module/relocate.h"
#include "module/reserve.h"
#include "module/space_report.h"

/* One record on its way into the log. */
struct draft {
    struct syncq_record_header header;
    const uint8_t *envelope; /* encoded; NULL for marks */
    const struct iovec *content;
    size_t content_count;
};

static int content_size(const struct iovec *content, size_t count,
                        uint64_t *size)
{
    *size = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(*size, content[i].iov_len, size))
            return SYNCQ_ERR_TOO_LARGE;
    return 0;
}

static int checksum(struct draft *draft)
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t hash;

    if (state == NULL)
        return ENOMEM;
    (void)XXH3_128bits_reset(state);
    (void)XXH3_128bits_update(state, draft->envelope,
                              draft->header.envelope_size);
    for (size_t i = 0; i < draft->content_count; i++)
        (void)XXH3_128bits_update(state, draft->content[i].iov_base,
                                  draft->content[i].iov_len);
    hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    memcpy(draft->header.checksum, &hash, sizeof draft->header.checksum);
    return 0;
}

/* What the header says of the place it was given. */
static void complete_header(struct syncq_queue *queue,
                            struct syncq_record_header *header,
                            const struct syncq_reservation *reservation)
{
    const struct syncq_channel *channel = queue->handle.channel;

    header->lsn = reservation->lsn;
    header->sequence = reservation->sequence;
    header->size = reservation->size;
    header->durable_lsn = atomic_load(&channel->durable_lsn);
    header->checkpoint = atomic_load(&channel->checkpoint);
    syncq_record_header_seal(header, &queue->key);
}

/* Copy the whole record to its place; the pages may go to disk at any time. */
static int copy_record(struct syncq_queue *queue, struct draft *draft,
                       const struct syncq_reservation *reservation)
{
    static const uint8_t zeros[SYNCQ_RECORD_STEP];
    struct syncq_record_header *header = &draft->header;
    size_t count = 0;
    uint64_t body_size = 0;
    struct iovec *pieces = calloc(draft->content_count + 3, sizeof *pieces);
    int result;

    if (pieces == NULL)
        return ENOMEM;
    complete_header(queue, header, reservation);
    (void)syncq_record_body_size(header, &body_size); /* append_draft looked */
    pieces[count++] = (struct iovec){header, sizeof *header};
    pieces[count++] = (struct iovec){(void *)(uintptr_t)draft->envelope,
                                     header->envelope_size};
    for (size_t i = 0; i < draft->content_count; i++)
        pieces[count++] = draft->content[i];
    pieces[count++] =
        (struct iovec){(void *)(uintptr_t)zeros,
                       (size_t)(header->size - sizeof *header - body_size)};
    result = syncq_data_write(&queue->data, reservation->segment,
                              reservation->offset, pieces, count);
    free(pieces);
    return result;
}

static void write_entries(struct syncq_queue *queue, uint8_t type,
                          const struct syncq_envelope *envelope,
                          const struct syncq_reservation *reservation,
                          int64_t date_us, const uint32_t *slots)
{
    for (uint32_t i = 0; i < envelope->part_count; i++) {
        const struct syncq_part *part = &envelope->parts[i];
        struct syncq_entry_view view = {
            .sequence = reservation->sequence,
            .domain_hash = syncq_domain_hash(part->domain),
            .slot = slots[i],
            .arrival_s = (uint32_t)(date_us / 1000000),
            .first_recipient = part->first_recipient,
            .part = (uint16_t)i,
            .part_count = (uint16_t)envelope->part_count,
            .recipient_count = (uint16_t)part->recipient_count,
            .type = type,
            .state = {.lsn = reservation->lsn, .status = SYNCQ_STATUS_NEW},
        };

        syncq_index_write_identity(&queue->index, &view);
        SYNCQ_FAILPOINT("append.entry-written");
    }
}

/*
 * The first half of the patent's Fig. 4: the request, and with
 * hold_lock_for_receipt the wait for its receipt under a lock that the helper
 * never takes.
 */
static void send_request(struct syncq_queue *queue, uint32_t number)
{
    struct syncq_channel *channel = queue->handle.channel;
    int hold = channel->hold_lock_for_receipt != 0;

    if (hold && pthread_mutex_lock(&channel->receipt) == EOWNERDEAD)
        (void)pthread_mutex_consistent(&channel->receipt);
    channel->requests[number].sent_us = syncq_clock_us();
    atomic_store_explicit(&channel->states[number], SYNCQ_REQUEST_SENT,
                          memory_order_release);
    SYNCQ_FAILPOINT("append.request-written");
    syncq_channel_ring(channel);
    if (!hold)
        return;
    for (int i = 0; i < 50; i++) { /* 5 s: a dead helper must not block all */
        if (atomic_load(&channel->states[number]) != SYNCQ_REQUEST_SENT)
            break;
        (void)syncq_futex_wait(&channel->states[number], SYNCQ_REQUEST_SENT,
                               100000);
    }
    (void)pthread_mutex_unlock(&channel->receipt);
}

static int append_draft(struct syncq_queue *queue, struct draft *draft,
                        enum syncq_reserve_kind kind,
                        const struct syncq_envelope *envelope,
                        struct syncq_ticket *ticket)
{
    struct syncq_record_header *header = &draft->header;
    struct syncq_reservation reservation = {.sequence = header->sequence};
    uint32_t slot_count = envelope == NULL ? 0 : envelope->part_count;
    uint64_t body_size, size;
    uint32_t *slots = NULL;
    int result = syncq_record_body_size(header, &body_size);

    size = result == 0 ? syncq_record_size(body_size, 0) : 0;
    if (size == 0 || size > syncq_record_size_max(queue))
        return SYNCQ_ERR_TOO_LARGE;
    if (slot_count > 0 && (slots = calloc(slot_count, sizeof *slots)) == NULL)
        return ENOMEM;
    if (kind != SYNCQ_RESERVE_COPY)
        header->date_us = syncq_date_us();
    result = checksum(draft);
    if (result == 0)
        result =
            syncq_reserve(queue, kind, size, slot_count, slots, &reservation);
    if (result != 0) {
        free(slots);
        return result;
    }
    SYNCQ_FAILPOINT("append.reserved");
    syncq_read_ahead_advance(queue->read_ahead, reservation.segment,
                             reservation.offset, size);
    if (envelope != NULL)
        write_entries(queue, header->type, envelope, &reservation,
                      header->date_us, slots);
    if (kind != SYNCQ_RESERVE_COPY)
        atomic_store(&queue->handle.channel->requests[reservation.request]
                          .entries_written,
                     1);
    SYNCQ_FAILPOINT("append.entries-written");
    *ticket = (struct syncq_ticket){.sequence = reservation.sequence,
                                    .lsn = reservation.lsn,
                                    .slots = slots,
                                    .slot_count = slot_count,
                                    .request = reservation.request};
    result = copy_record(queue, draft, &reservation);
    if (result != 0) { /* cannot be written: the helper makes it void */
        syncq_ticket_withdraw(queue, ticket);
        return result;
    }
    SYNCQ_FAILPOINT("append.copied");
    send_request(queue, reservation.request);
    SYNCQ_FAILPOINT("append.sent");
    return 0;
}

int syncq_append(struct syncq_queue *queue, uint8_t type,
                 const struct syncq_envelope *envelope,
                 const struct iovec *content, size_t content_count,
                 struct syncq_ticket *ticket)
{
    struct draft draft = {.content = content, .content_count = content_count};
    uint8_t *encoded = NULL;
    size_t encoded_size;
    int result;

    if (!syncq_record_type_is_message(type) || envelope->part_count == 0)
        return SYNCQ_ERR_RANGE;
    if (queue->mode != SYNCQ_OPEN_WRITE)
        return SYNCQ_ERR_NO_HELPER;
    if (syncq_queue_draining(queue))
        return SYNCQ_ERR_DRAINING;
    result = envelope->part_count > SYNCQ_PARTS_MAX ||
                     envelope->recipient_count > SYNCQ_RECIPIENTS_MAX
                 ? SYNCQ_ERR_RECIPIENTS
                 : 0;
    if (result == 0)
        result =
            content_size(content, content_count, &draft.header.content_size);
    if (result == 0)
        result = syncq_envelope_encode(envelope, &encoded, &encoded_size);
    if (result != 0) {
        syncq_refusal_count(queue, result);
        return result;
    }
    draft.envelope = encoded;
    draft.header.type = type;
    draft.header.envelope_size = encoded_size;
    draft.header.recipient_count = envelope->recipient_count;
    draft.header.part_count = envelope->part_count;
    result =
        append_draft(queue, &draft, SYNCQ_RESERVE_MESSAGE, envelope, ticket);
    syncq_refusal_count(queue, result);
    free(encoded);
    return result;
}

static void encode_mark(const struct syncq_mark *mark,
                        struct syncq_mark_image *image)
{
    *image = (struct syncq_mark_image){
        .sequence = mark->sequence,
        .mask = mark->state.mask,
        .part = mark->part,
        .last_attempt_s = mark->state.last_attempt_s,
        .next_attempt_s = mark->state.next_attempt_s,
        .attempts = mark->state.attempts,
        .reason = mark->state.reason,
        .dsn_detail = mark->state.dsn_detail,
        .dsn_class = mark->state.dsn_class,
        .dsn_subject = mark->state.dsn_subject,
        .status = mark->state.status,
    };
}

void syncq_mark_decode(const uint8_t *content, size_t i,
                       struct syncq_mark *mark)
{
    struct syncq_mark_image image;

    memcpy(&image, content + i * sizeof image, sizeof image);
    *mark = (struct syncq_mark){
        .sequence = image.sequence,
        .part = image.part,
        .state = {.mask = image.mask,
                  .last_attempt_s = image.last_attempt_s,
                  .next_attempt_s = image.next_attempt_s,
                  .attempts = image.attempts,
                  .reason = image.reason,
                  .dsn_class = image.dsn_class,
                  .dsn_subject = image.dsn_subject,
                  .dsn_detail = image.dsn_detail,
                  .status = image.status},
    };
}

int syncq_copy_append(struct syncq_queue *queue,
                      const struct syncq_record *record,
                      const struct syncq_mark *states, uint32_t state_count,
                      struct syncq_ticket *ticket)
{
    struct syncq_mark_image *images = calloc(state_count, sizeof *images);
    const struct iovec pieces[] = {
        {(void *)(uintptr_t)record->content, record->content_size},
        {images, state_count * sizeof *images},
    };
    struct draft draft = {.header = record->header,
                          .envelope = record->memory,
                          .content = pieces,
                          .content_count = 2};
    int result;

    if (images == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < state_count; i++)
        encode_mark(&states[i], &images[i]);
    draft.header.copy++;
    draft.header.state_count = state_count;
    result = append_draft(queue, &draft, SYNCQ_RESERVE_COPY, NULL, ticket);
    free(images);
    return result;
}

int syncq_marks_append(struct syncq_queue *queue,
                       const struct syncq_mark *marks, uint32_t mark_count,
                       struct syncq_ticket *ticket)
{
    struct syncq_mark_image *images;
    struct iovec content;
    struct draft draft = {.content = &content, .content_count = 1};
    int result;

    if (mark_count == 0 || mark_count > SYNCQ_MARKS_MAX)
        return SYNCQ_ERR_RANGE;
    if (queue->mode != SYNCQ_OPEN_WRITE)
        return SYNCQ_ERR_NO_HELPER;
    images = calloc(mark_count, sizeof *images);
    if (images == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < mark_count; i++)
        encode_mark(&marks[i], &images[i]);
    content = (struct iovec){images, mark_count * sizeof *images};
    draft.header.type = SYNCQ_RECORD_MARKS;
    draft.header.content_size = content.iov_len;
    /* Only the manager appends marks, so nobody else moves this link. */
    draft.header.previous_marks =
        atomic_load(&queue->handle.channel->marks_lsn);
    result = append_draft(queue, &draft, SYNCQ_RESERVE_MARKS, NULL, ticket);
    if (result == 0)
        atomic_store(&queue->handle.channel->marks_lsn, ticket->lsn);
    SYNCQ_FAILPOINT("marks.sent");
    free(images);
    return result;
}
