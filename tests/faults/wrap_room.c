/* SPDX-License-Identifier: MIT */
#include "tests/faults/wrap_room.h"

#include <stdlib.h>

#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"

void room_deliver(struct room *room, struct model_mail *mail)
{
    struct syncq_queue *queue = room->fixture->writer;

    if (mail == NULL)
        return;
    for (uint32_t part = 0; part < mail->mail.part_count; part++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        assert_result(syncq_entry_read(queue, mail->mail.slots[part], &view),
                      0);
        assert_int_equal(view.sequence, mail->mail.sequence);
        state = view.state;
        state.status = SYNCQ_STATUS_DONE;
        state.mask = syncq_recipients_mask(view.recipient_count);
        assert_result(syncq_entry_update(queue, &view, &state), 0);
    }
    mail->state = MODEL_DONE;
}

static int append_marks(struct room *room, const struct syncq_mark *marks,
                        uint32_t count)
{
    struct syncq_queue *queue = room->fixture->writer;
    struct syncq_ticket ticket;
    int result = syncq_marks_append(queue, marks, count, &ticket);

    if (result != 0)
        return result;
    result = syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    return result;
}

void room_mark(struct room *room)
{
    struct syncq_mark marks[64 * MAIL_PARTS_MAX];
    struct model_mail *marked[64];
    uint32_t count = 0, mails = 0;

    for (unsigned i = 0; i < room->model.count && mails < 64; i++) {
        struct model_mail *mail = &room->model.mails[i];

        if (mail->state != MODEL_DONE)
            continue;
        if (model_lsn(mail, room->fixture->writer) == 0) {
            mail->state = MODEL_MARKED; /* retired before it had a mark */
            continue;
        }
        for (uint32_t part = 0; part < mail->mail.part_count; part++) {
            struct syncq_entry_view view;

            assert_result(syncq_entry_read(room->fixture->writer,
                                           mail->mail.slots[part], &view),
                          0);
            marks[count++] =
                (struct syncq_mark){view.sequence, view.part, view.state};
        }
        marked[mails++] = mail;
    }
    if (count == 0 || append_marks(room, marks, count) != 0)
        return; /* full: room_make comes next */
    for (uint32_t i = 0; i < mails; i++)
        marked[i]->state = MODEL_MARKED;
}

/* The helper says no while a request is still open in the segment: the
 * manager asks again. */
static int is_free(struct fixture *fixture, void *context)
{
    const uint32_t *segment = context;
    const struct syncq_channel *channel = fixture->helper.channel;

    if (atomic_load(&channel->segments[*segment].ask) != 0)
        return 0;
    if (atomic_load(&channel->segments[*segment].state) == SYNCQ_SEGMENT_FREE ||
        channel->next_segment == *segment || channel->head_segment == *segment)
        return 1;
    syncq_retire_ask(fixture->writer, *segment);
    return 0;
}

int room_retire(struct room *room)
{
    struct syncq_queue *queue = room->fixture->writer;
    struct syncq_mark *marks = NULL;
    uint32_t segment, count;
    int result;

    /* What was delivered without a mark must not be forgotten with it. */
    room_mark(room);
    result = syncq_retire_find(queue, &segment, &marks, &count);
    if (result == 0 && count > 0)
        result = append_marks(room, marks, count);
    free(marks);
    if (result != 0)
        return 0;
    syncq_retire_ask(queue, segment);
    fixture_until(room->fixture, is_free, &segment);
    return 1;
}

struct load {
    unsigned live, stuck;
};

/* How much keeps each segment; the segments that can be retired only. */
static void weigh(struct room *room, struct load loads[ROOM_SEGMENTS])
{
    struct syncq_queue *queue = room->fixture->writer;

    for (unsigned i = 0; i < ROOM_SEGMENTS; i++)
        loads[i] = (struct load){0, 0};
    for (unsigned i = 0; i < room->model.count; i++) {
        const struct model_mail *mail = &room->model.mails[i];
        uint64_t base;
        uint32_t segment;

        if (mail->state != MODEL_LIVE ||
            syncq_segment_find(queue, model_lsn(mail, queue), &segment,
                               &base) != 0 ||
            atomic_load(&queue->handle.channel->segments[segment].state) !=
                SYNCQ_SEGMENT_CLOSED)
            continue;
        loads[segment].live++;
        loads[segment].stuck += (unsigned)mail->stuck;
    }
}

/* The segment with the least to deliver; those without stuck mail first. */
static uint32_t choose(const struct load loads[ROOM_SEGMENTS])
{
    uint32_t best = ROOM_SEGMENTS;

    for (uint32_t i = 0; i < ROOM_SEGMENTS; i++) {
        if (loads[i].live == 0)
            continue;
        if (best == ROOM_SEGMENTS || loads[i].stuck < loads[best].stuck ||
            (loads[i].stuck == loads[best].stuck &&
             loads[i].live < loads[best].live))
            best = i;
    }
    return best;
}

static void empty(struct room *room, uint32_t chosen)
{
    struct syncq_queue *queue = room->fixture->writer;

    for (unsigned i = 0; i < room->model.count; i++) {
        struct model_mail *mail = &room->model.mails[i];
        uint64_t base;
        uint32_t segment;

        if (mail->state == MODEL_LIVE &&
            syncq_segment_find(queue, model_lsn(mail, queue), &segment,
                               &base) == 0 &&
            segment == chosen)
            room_deliver(room, mail);
    }
}

void room_make(struct room *room)
{
    struct load loads[ROOM_SEGMENTS];
    uint32_t chosen;

    if (room_retire(room))
        return;
    weigh(room, loads);
    chosen = choose(loads);
    if (chosen == ROOM_SEGMENTS)
        return; /* nothing is left but what the head is in */
    /* With stuck mail in every segment: one of them has to go. */
    empty(room, chosen);
    (void)room_retire(room);
}
