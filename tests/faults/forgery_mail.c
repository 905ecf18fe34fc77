/* SPDX-License-Identifier: MIT */
#include "tests/faults/forgery_mail.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/bytes.h"
#include "module/marks_format.h"
#include "tests/cmocka_all.h"

enum { CONTENT_SIZE = 24 << 10, BODY = 40 };

enum piece {
    PIECE_RECORD,     /* a message for just this place */
    PIECE_MARKS,      /* says that others are done */
    PIECE_VOID,       /* would hide what comes behind it */
    PIECE_SEGMENT,    /* a page of this segment, one lap later */
    PIECE_SUPERBLOCK, /* of this queue, with a higher epoch */
    PIECE_STOLEN,     /* a genuine record of another place */
    PIECE_MOVED,      /* the same with the LSN of this place */
    PIECE_KINDS
};

static void make_envelope(struct syncq_envelope *envelope)
{
    struct syncq_recipient recipient = {"victim@forged.example", "", "", 0};

    assert_int_equal(syncq_envelope_init(envelope), 0);
    assert_int_equal(syncq_envelope_set_sender(envelope, "evil@example.com"),
                     0);
    assert_int_equal(syncq_envelope_add_recipient(envelope, &recipient), 0);
    assert_int_equal(syncq_envelope_group(envelope), 0);
}

void forger_init(struct forger *forger, struct fixture *fixture,
                 struct chance *chance, int key_known)
{
    memset(forger, 0, sizeof *forger);
    forger->fixture = fixture;
    forger->chance = chance;
    forger->key = fixture->writer->key;
    if (!key_known)
        forger->key.bytes[chance_below(chance, SYNCQ_KEY_SIZE)] ^=
            (uint8_t)(1u << chance_below(chance, 8));
}

void forger_clear(struct forger *forger)
{
    syncq_key_clear(&forger->key);
}

/* Another queue of the same owner: its MACs are genuine, for its key. */
static void see_foreign(struct forger *forger)
{
    struct syncq_record_header header = {.type = SYNCQ_RECORD_SMTP,
                                         .size = 256};
    struct syncq_key other = {{1}, {2}};

    syncq_record_header_seal(&header, &other);
    memcpy(forger->stolen[forger->stolen_count++], &header, sizeof header);
}

void forger_see(struct forger *forger, const struct mail *mails, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct syncq_queue *queue = forger->fixture->writer;

        forger->victims[forger->victim_count++] = mails[i];
        assert_int_equal(pread(queue->data.fd,
                               forger->stolen[forger->stolen_count++],
                               FORGER_STEAL_SIZE,
                               (off_t)fixture_offset(queue, mails[i].lsn)),
                         FORGER_STEAL_SIZE);
    }
    see_foreign(forger);
}

void forger_aim_at_next_lap(struct forger *forger)
{
    const struct helper *helper = &forger->fixture->helper;
    const struct syncq_channel *channel = helper->channel;

    forger->lap =
        helper->queue->data.superblock.lsn_limit -
        atomic_load(&channel->segments[channel->head_segment].base_lsn);
}

static struct syncq_record_header header_for(struct forger *forger,
                                             uint64_t lsn)
{
    struct syncq_channel *channel = forger->fixture->helper.channel;

    return (struct syncq_record_header){
        .lsn = lsn,
        .date_us = 1700000000000000,
        .durable_lsn = atomic_load(&channel->durable_lsn),
        .checkpoint = atomic_load(&channel->checkpoint),
    };
}

static uint64_t seal(struct forger *forger, uint8_t *at,
                     struct syncq_record_header *header)
{
    header->size =
        syncq_record_size(header->envelope_size, header->content_size);
    syncq_record_checksum(at + sizeof *header,
                          header->envelope_size + header->content_size,
                          header->checksum);
    syncq_record_header_seal(header, &forger->key);
    memcpy(at, header, sizeof *header);
    return header->size;
}

static uint64_t put_record(struct forger *forger, uint8_t *at, uint64_t lsn)
{
    struct syncq_record_header header = header_for(forger, lsn);
    struct syncq_envelope envelope;
    uint8_t *bytes;
    size_t size;

    make_envelope(&envelope);
    assert_int_equal(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    header.type = SYNCQ_RECORD_SMTP;
    header.recipient_count = header.part_count = 1;
    header.sequence = forger->fixture->helper.channel->epoch
                          << SYNCQ_SEQUENCE_COUNTER_BITS |
                      (100000 + chance_below(forger->chance, 100000));
    header.envelope_size = size;
    header.content_size = BODY;
    memcpy(at + sizeof header, bytes, size);
    memset(at + sizeof header + size, 'F', BODY);
    free(bytes);
    syncq_envelope_clear(&envelope);
    return seal(forger, at, &header);
}

static uint64_t put_marks(struct forger *forger, uint8_t *at, uint64_t lsn)
{
    struct syncq_record_header header = header_for(forger, lsn);
    struct syncq_channel *channel = forger->fixture->helper.channel;
    uint8_t *to = at + sizeof header;

    header.type = SYNCQ_RECORD_MARKS;
    header.previous_marks = atomic_load(&channel->marks_lsn);
    for (unsigned i = 0; i < forger->victim_count; i++) {
        struct syncq_mark_image mark = {.sequence = forger->victims[i].sequence,
                                        .mask = i == 0 ? 0 : UINT64_MAX,
                                        .status = i == 0 ? SYNCQ_STATUS_READY
                                                         : SYNCQ_STATUS_DONE};

        memcpy(to, &mark, sizeof mark);
        to += sizeof mark;
    }
    header.content_size = (uint64_t)(to - at) - sizeof header;
    return seal(forger, at, &header);
}

static uint64_t put_void(struct forger *forger, uint8_t *at, uint64_t lsn)
{
    struct syncq_record_header header = header_for(forger, lsn);

    header.type = SYNCQ_RECORD_VOID;
    header.size = SYNCQ_RECORD_STEP << chance_below(forger->chance, 8);
    syncq_record_header_seal(&header, &forger->key);
    memcpy(at, &header, sizeof header);
    return SYNCQ_RECORD_STEP;
}

static uint64_t put_segment(struct forger *forger, uint8_t *at)
{
    struct syncq_segment_page page = {
        .number = (uint32_t)chance_below(forger->chance, 8),
        .change = 1000,
        .generation = 1000,
        .base_lsn = 1 << 30,
        .state = SYNCQ_SEGMENT_FREE};

    syncq_segment_page_seal(&page, &forger->key);
    memcpy(at, &page, sizeof page);
    return SYNCQ_RECORD_STEP;
}

static uint64_t put_superblock(struct forger *forger, uint8_t *at)
{
    struct syncq_superblock superblock =
        forger->fixture->helper.queue->data.superblock;

    superblock.generation += 1000;
    superblock.epoch += 1000;
    superblock.lsn_limit = 0;
    syncq_superblock_seal(&superblock, &forger->key);
    memcpy(at, &superblock, sizeof superblock);
    return SYNCQ_RECORD_STEP;
}

static uint64_t put_stolen(struct forger *forger, uint8_t *at, uint64_t lsn,
                           int moved)
{
    uint8_t *bytes =
        forger->stolen[chance_below(forger->chance, forger->stolen_count)];

    memcpy(at, bytes, FORGER_STEAL_SIZE);
    if (moved)
        memcpy(at + offsetof(struct syncq_record_header, lsn), &lsn,
               sizeof lsn);
    return FORGER_STEAL_SIZE;
}

/* Put one forgery at lsn; bytes it takes. */
static uint64_t put(struct forger *forger, uint8_t *at, uint64_t lsn)
{
    switch ((enum piece)chance_below(forger->chance, PIECE_KINDS)) {
    case PIECE_MARKS:
        return put_marks(forger, at, lsn);
    case PIECE_VOID:
        return put_void(forger, at, lsn);
    case PIECE_SEGMENT:
        return put_segment(forger, at);
    case PIECE_SUPERBLOCK:
        return put_superblock(forger, at);
    case PIECE_STOLEN:
        return put_stolen(forger, at, lsn, 0);
    case PIECE_MOVED:
        return put_stolen(forger, at, lsn, 1);
    default:
        return put_record(forger, at, lsn);
    }
}

/* From the first step of the body on; a forger who does not know the phase
 * tries another one each time. */
static void fill(struct forger *forger, uint8_t *content, uint64_t lsn)
{
    uint64_t at = -lsn & (SYNCQ_RECORD_STEP - 1);
    uint64_t phase = chance_below(forger->chance, 2)
                         ? 0
                         : chance_below(forger->chance, SYNCQ_RECORD_STEP);

    while (at + phase + 2 * FORGER_STEAL_SIZE < CONTENT_SIZE) {
        uint64_t size = put(forger, content + at + phase, lsn + at + phase);

        at += round_up(size, SYNCQ_RECORD_STEP);
    }
}

int forger_append(struct forger *forger, uint64_t *sequence, uint64_t *lsn)
{
    struct syncq_queue *queue = forger->fixture->writer;
    struct syncq_envelope envelope;
    struct syncq_ticket ticket;
    uint8_t *content = calloc(1, CONTENT_SIZE), *bytes;
    struct iovec piece = {content, CONTENT_SIZE};
    size_t size;
    int result;

    assert_non_null(content);
    fixture_until_durable(forger->fixture);
    make_envelope(&envelope);
    assert_int_equal(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    fill(forger, content,
         forger->lap + forger->fixture->helper.channel->head_lsn +
             sizeof(struct syncq_record_header) + size);
    result =
        syncq_append(queue, SYNCQ_RECORD_SMTP, &envelope, &piece, 1, &ticket);
    free(bytes);
    syncq_envelope_clear(&envelope);
    free(content);
    if (result != 0)
        return result;
    assert_int_equal(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    *sequence = ticket.sequence;
    *lsn = ticket.lsn;
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    return 0;
}
