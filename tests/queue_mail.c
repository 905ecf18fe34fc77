/* SPDX-License-Identifier: MIT */
/*
 * queue_mail.c - the fixture's mails, and what must be true of log and lists
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/log_scan.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

void mail_init(struct mail *mail, unsigned seed, uint32_t recipient_count,
               uint32_t domain_count, size_t size)
{
    *mail = (struct mail){.recipient_count = recipient_count,
                          .part_count = domain_count,
                          .seed = seed,
                          .size = size};
}

static uint8_t *make_content(const struct mail *mail)
{
    uint8_t *content = malloc(mail->size + 1);
    uint64_t state = mail->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    assert_non_null(content);
    for (size_t i = 0; i < mail->size; i++) {
        if (i % 8 == 0)
            state = state * UINT64_C(6364136223846793005) + 1442695;
        content[i] = (uint8_t)(state >> (24 + i % 8));
    }
    return content;
}

static void make_envelope(const struct mail *mail,
                          struct syncq_envelope *envelope)
{
    char text[64];

    assert_result(syncq_envelope_init(envelope), 0);
    (void)snprintf(text, sizeof text, "sender%u@example.com", mail->seed);
    assert_result(syncq_envelope_set_sender(envelope, text), 0);
    for (uint32_t i = 0; i < mail->recipient_count; i++) {
        struct syncq_recipient recipient = {text, "", "", i % 4};

        (void)snprintf(text, sizeof text, "user%u@domain%02u.example", i,
                       i % mail->part_count);
        assert_result(syncq_envelope_add_recipient(envelope, &recipient), 0);
    }
    assert_result(syncq_envelope_group(envelope), 0);
    assert_int_equal(envelope->part_count, mail->part_count);
}

int mail_append(struct syncq_queue *queue, struct mail *mail,
                struct syncq_ticket *ticket)
{
    struct syncq_envelope envelope;
    uint8_t *content = make_content(mail);
    struct iovec pieces[3] = {
        {content, mail->size / 3},
        {content + mail->size / 3, mail->size / 3},
        {content + mail->size / 3 * 2, mail->size - mail->size / 3 * 2}};
    int result;

    make_envelope(mail, &envelope);
    result =
        syncq_append(queue, SYNCQ_RECORD_SMTP, &envelope, pieces, 3, ticket);
    if (result == 0) {
        assert_int_equal(ticket->slot_count, mail->part_count);
        mail->sequence = ticket->sequence;
        mail->lsn = ticket->lsn;
        for (uint32_t i = 0; i < mail->part_count; i++)
            mail->slots[i] = ticket->slots[i];
    }
    syncq_envelope_clear(&envelope);
    free(content);
    return result;
}

void mail_store(struct syncq_queue *queue, struct mail *mail)
{
    struct syncq_ticket ticket;

    assert_result(mail_append(queue, mail, &ticket), 0);
    assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
}

void mail_store_simple(struct syncq_queue *queue, struct mail *mail,
                       unsigned seed, size_t size)
{
    mail_init(mail, seed, 1, 1, size);
    mail_store(queue, mail);
}

static int same_envelope(const struct syncq_envelope *want,
                         const struct syncq_envelope *have)
{
    uint8_t *want_bytes, *have_bytes;
    size_t want_size, have_size;
    int same;

    assert_result(syncq_envelope_encode(want, &want_bytes, &want_size), 0);
    assert_result(syncq_envelope_encode(have, &have_bytes, &have_size), 0);
    same = want_size == have_size &&
           memcmp(want_bytes, have_bytes, want_size) == 0;
    free(want_bytes);
    free(have_bytes);
    return same;
}

const char *mail_difference(const struct mail *mail,
                            const struct syncq_record *record)
{
    struct syncq_envelope envelope;
    uint8_t *content = make_content(mail);
    const char *difference = NULL;

    make_envelope(mail, &envelope);
    if (record->header.type != SYNCQ_RECORD_SMTP)
        difference = "type";
    else if (record->content_size != mail->size)
        difference = "size";
    else if (memcmp(record->content, content, mail->size) != 0)
        difference = "content";
    else if (!same_envelope(&envelope, &record->envelope))
        difference = "envelope";
    syncq_envelope_clear(&envelope);
    free(content);
    return difference;
}

uint64_t mail_record_size(const struct mail *mail)
{
    struct syncq_envelope envelope;
    uint8_t *bytes;
    size_t size;

    make_envelope(mail, &envelope);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    syncq_envelope_clear(&envelope);
    free(bytes);
    return syncq_record_size(size, mail->size);
}

int mail_seed(const struct syncq_record *record, unsigned *seed)
{
    char end;

    return sscanf(record->envelope.sender, "sender%u@example.com%c", seed,
                  &end) == 1;
}

void mail_check(struct syncq_queue *queue, const struct mail *mail)
{
    struct syncq_record record;

    assert_result(syncq_record_read(queue, mail->lsn, mail->sequence, &record),
                  0);
    assert_int_equal(record.header.sequence, mail->sequence);
    assert_int_equal(record.header.lsn, mail->lsn);
    assert_ptr_equal(mail_difference(mail, &record), NULL);
    syncq_record_clear(&record);
}

static int find_entry(struct syncq_queue *queue, uint64_t sequence,
                      uint32_t part, struct syncq_entry_view *found)
{
    int count = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) != 0 ||
            view.sequence != sequence || view.part != part)
            continue;
        *found = view;
        count++;
    }
    assert_true(count <= 1);
    return count;
}

unsigned mail_status(struct syncq_queue *queue, const struct mail *mail,
                     uint32_t part)
{
    struct syncq_entry_view view;

    if (!find_entry(queue, mail->sequence, part, &view))
        return SYNCQ_STATUS_FREE;
    assert_int_equal(view.part_count, mail->part_count);
    assert_int_equal(view.state.lsn, mail->lsn);
    return view.state.status;
}

void mail_mark(struct syncq_queue *queue, const struct mail *mails,
               uint32_t count, unsigned status, uint64_t *marks_lsn)
{
    struct syncq_mark *marks =
        calloc((size_t)count * MAIL_PARTS_MAX, sizeof *marks);
    struct syncq_ticket ticket;
    uint32_t mark_count = 0;

    assert_non_null(marks);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t part = 0; part < mails[i].part_count; part++) {
            struct syncq_entry_view view;
            struct syncq_state state;

            assert_true(find_entry(queue, mails[i].sequence, part, &view));
            state = view.state;
            state.status = (uint8_t)status;
            if (status == SYNCQ_STATUS_DONE)
                state.mask = syncq_recipients_mask(view.recipient_count);
            assert_result(syncq_entry_update(queue, &view, &state), 0);
            marks[mark_count++] =
                (struct syncq_mark){mails[i].sequence, part, state};
        }
    assert_result(syncq_marks_append(queue, marks, mark_count, &ticket), 0);
    assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    if (marks_lsn != NULL)
        *marks_lsn = ticket.lsn;
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    free(marks);
}

uint32_t count_status(struct syncq_queue *queue, unsigned status)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        count += syncq_entry_read(queue, slot, &view) == 0 &&
                 view.state.status == status;
    }
    return count;
}

uint32_t count_used(struct syncq_queue *queue)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++)
        count += queue->index.entries[slot].kind == SYNCQ_ENTRY_USED;
    return count;
}

static int compare_parts(const void *a, const void *b)
{
    const struct part_state *left = a, *right = b;

    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return left->part < right->part ? -1 : left->part > right->part;
}

struct part_states *states_read(const struct fixture *fixture)
{
    struct syncq_queue *queue = fixture_reader(fixture);
    struct part_states *states = calloc(1, sizeof *states);

    assert_non_null(states);
    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) != 0) {
            assert_int_equal(queue->index.entries[slot].kind, SYNCQ_ENTRY_FREE);
            continue;
        }
        states->parts[states->count++] =
            (struct part_state){.sequence = view.sequence,
                                .lsn = view.state.lsn,
                                .mask = view.state.mask,
                                .part = view.part,
                                .status = view.state.status};
    }
    lists_check(queue);
    syncq_queue_close(queue);
    qsort(states->parts, states->count, sizeof states->parts[0], compare_parts);
    return states;
}

void states_check_equal(const struct part_states *have,
                        const struct part_states *want)
{
    assert_int_equal(have->count, want->count);
    for (size_t i = 0; i < have->count; i++) {
        assert_int_equal(have->parts[i].sequence, want->parts[i].sequence);
        assert_int_equal(have->parts[i].part, want->parts[i].part);
        assert_int_equal(have->parts[i].lsn, want->parts[i].lsn);
        assert_int_equal(have->parts[i].status, want->parts[i].status);
        assert_int_equal(have->parts[i].mask, want->parts[i].mask);
    }
}

struct walk {
    uint64_t at, durable_lsn;
    uint32_t messages;
};

static int walk_record(const struct syncq_record_header *header,
                       const uint8_t *body, void *context)
{
    struct walk *walk = context;

    (void)body;
    assert_int_equal(header->lsn, walk->at); /* no gap, no overlap */
    walk->at = header->lsn + header->size;
    walk->messages += (uint32_t)syncq_record_type_is_message(header->type);
    return 0;
}

static int walk_gap(const struct syncq_gap *gap, void *context)
{
    struct walk *walk = context;

    assert_int_equal(gap->lsn, walk->at);
    assert_true(gap->lsn >= walk->durable_lsn);
    walk->at = gap->lsn + gap->size;
    return 0;
}

uint32_t log_check(struct syncq_queue *queue, uint64_t durable_lsn)
{
    struct walk walk = {.durable_lsn = durable_lsn};
    const struct syncq_log_visitor visitor = {walk_record, walk_gap, &walk};

    for (uint32_t i = 0; i < queue->data.segment_count; i++) {
        uint64_t base;

        if (syncq_segment_base(queue, i, &base) != 0)
            continue;
        walk.at = base + SYNCQ_PAGE_SIZE;
        assert_result(syncq_log_scan(queue, i, base, SYNCQ_PAGE_SIZE, &visitor),
                      0);
        assert_int_equal(walk.at,
                         base + queue->data.segment_size - SYNCQ_PAGE_SIZE);
    }
    return walk.messages;
}

/* Follow one list; each slot may be met once. */
static uint32_t walk_list(struct syncq_queue *queue, uint32_t head,
                          uint8_t *seen)
{
    const struct syncq_index *index = &queue->index;
    uint32_t count = 0;

    for (uint32_t slot = head; slot != SYNCQ_SLOT_NONE;
         slot = index->entries[slot].next) {
        assert_true(slot < index->entry_count);
        assert_false(seen[slot]);
        seen[slot] = 1;
        count++;
    }
    return count;
}

void lists_check(struct syncq_queue *queue)
{
    const struct syncq_index_lists *lists = queue->index.lists;
    uint8_t *seen = calloc(queue->index.entry_count, 1);
    uint32_t previous = SYNCQ_SLOT_NONE;

    assert_non_null(seen);
    assert_int_equal(walk_list(queue, lists->free_head, seen),
                     lists->free_count);
    assert_int_equal(walk_list(queue, lists->used_head, seen),
                     lists->used_count);
    assert_int_equal(lists->free_count + lists->used_count,
                     queue->index.entry_count);
    for (uint32_t slot = lists->used_head; slot != SYNCQ_SLOT_NONE;
         slot = queue->index.entries[slot].next) {
        assert_int_equal(queue->index.entries[slot].previous, previous);
        previous = slot;
    }
    assert_int_equal(lists->used_tail, previous);
    free(seen);
}
