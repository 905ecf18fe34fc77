/* SPDX-License-Identifier: MIT */
/*
 * backlog_message.c - messages and the entries of their parts
 */
#include "qmgr/backlog.h"

#include <string.h>

#include "module/error.h"
#include "module/index_format.h"
#include "program/log.h"
#include "qmgr/admission.h"
#include "qmgr/identify.h"
#include "qmgr/marks.h"
#include "qmgr/queue_source.h"
#include "qmgr/reason.h"
#include "qmgr/retry.h"

#define BACKLOG_GROUPS_FAILURES_MAX 3 /* then do without */
#define BACKLOG_READ_RETRY_S        60

void backlog_update(struct backlog *backlog, struct syncq_entry_view *view,
                    const struct syncq_state *state)
{
    int result = syncq_entry_update(backlog->queue, view, state);

    if (result != 0) {
        log_error("message %#llx part %u: cannot update its entry: %s",
                  (unsigned long long)view->sequence, (unsigned)view->part,
                  syncq_strerror(result));
        return;
    }
    marks_note(backlog->marks, view->slot, view->sequence);
}

void backlog_set_status(struct backlog *backlog, struct message *message,
                        unsigned status)
{
    uint32_t i;

    for (i = 0; i < message->part_count; i++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        if (backlog_read_part(backlog, message, i, &view) != 0 ||
            syncq_status_is_final(view.state.status))
            continue;
        state = view.state;
        state.status = (uint8_t)status;
        if (message->next_attempt_s > retry_now_s())
            state.next_attempt_s = message->next_attempt_s;
        if (i == 0 && (message->flags & MESSAGE_EXPIRE))
            state.reason |= REASON_EXPIRE;
        backlog_update(backlog, &view, &state);
    }
}

/*
 * The slot named this part once, so it is free or another's by now only if it
 * was given back; part 0 keeps its slot as long as there is a message.
 */
int backlog_read_part(struct backlog *backlog, struct message *message,
                      uint32_t i, struct syncq_entry_view *view)
{
    uint32_t slot = message_slots(message)[i];
    int result;

    memset(view, 0, sizeof(*view));
    result = syncq_entry_read(backlog->queue, slot, view);
    if (view->sequence == message->sequence && view->part == i)
        return result;
    *view = (struct syncq_entry_view){.sequence = message->sequence,
                                      .slot = slot,
                                      .part = (uint16_t)i,
                                      .part_count = message->part_count,
                                      .state = {.status = SYNCQ_STATUS_DONE}};
    return 0;
}

struct message *backlog_collect(struct backlog *backlog,
                                const struct syncq_entry_view *view)
{
    struct message_table *table = &backlog->qmgr->messages;
    struct message *message =
        message_find_sequence(table, backlog->number, view->sequence);

    if (message == NULL) {
        /*
         * A part that is done may belong to a message that is over; only
         * part 0, which is done last, tells.  It makes the message known.
         */
        if (syncq_status_is_final(view->state.status) && view->part == 0)
            return NULL;
        message = message_add_queue(table, backlog->number, view->sequence,
                                    view->part_count);
    }
    if (message->stage != MESSAGE_PARTIAL ||
        view->part >= message->part_count ||
        message_slots(message)[view->part] != SYNCQ_SLOT_NONE)
        return NULL;
    message_slots(message)[view->part] = view->slot;
    if (++message->parts_seen < message->part_count)
        return NULL;
    return message;
}

/* What the parts of a message say together. */
struct backlog_summary {
    int synced, open, held, lost, final;
    uint32_t next_attempt_s, arrival_s;
};

static void backlog_summarize(struct backlog *backlog, struct message *message,
                              struct backlog_summary *summary)
{
    uint32_t i;

    memset(summary, 0, sizeof(*summary));
    summary->final = 1;
    summary->next_attempt_s = UINT32_MAX;
    for (i = 0; i < message->part_count; i++) {
        struct syncq_entry_view view;

        if (backlog_read_part(backlog, message, i, &view) != 0) {
            summary->synced = 1; /* being written: look again */
            continue;
        }
        if (i == 0 && syncq_status_is_final(view.state.status))
            return; /* part 0 goes last: so all are */
        if (view.arrival_s != 0)
            summary->arrival_s = view.arrival_s;
        summary->final &= syncq_status_is_final(view.state.status);
        summary->synced |= view.state.status == SYNCQ_STATUS_NEW ||
                           view.state.status == SYNCQ_STATUS_SYNCED;
        summary->lost |= view.state.status == SYNCQ_STATUS_LOST;
        if (!queue_part_is_open(&view) &&
            view.state.status != SYNCQ_STATUS_FLUSHING)
            continue;
        if (queue_part_is_held(&view)) {
            summary->held = 1;
            continue;
        }
        summary->open = 1;
        if (view.state.next_attempt_s < summary->next_attempt_s)
            summary->next_attempt_s = view.state.next_attempt_s;
    }
}

void backlog_place(struct backlog *backlog, struct message *message)
{
    struct backlog_summary summary;

    backlog_summarize(backlog, message, &summary);
    if (summary.final) {
        message_remove(&backlog->qmgr->messages, message);
    } else if (summary.synced) {
        admission_add(backlog->admission, message);
    } else if (summary.lost) {
        message->stage = MESSAGE_PARKED;
    } else if (summary.open || !summary.held) {
        /* Nothing open and nothing held: only the reports are left. */
        if (!summary.open || summary.next_attempt_s == 0)
            summary.next_attempt_s = summary.arrival_s;
        retry_add(backlog->qmgr, message, summary.next_attempt_s);
    } else {
        message->stage = MESSAGE_HELD;
    }
}

void backlog_lose(struct backlog *backlog, struct message *message, int error)
{
    if (message->heap_index != 0)
        retry_remove(backlog->qmgr->retry, message);
    if (error > 0) {
        log_error("message %#llx: cannot read it: %s",
                  (unsigned long long)message->sequence, syncq_strerror(error));
        retry_add(backlog->qmgr, message, retry_now_s() + BACKLOG_READ_RETRY_S);
        return;
    }
    log_error("message %#llx is damaged: %s; it is kept aside",
              (unsigned long long)message->sequence, syncq_strerror(error));
    backlog_set_status(backlog, message, SYNCQ_STATUS_LOST);
    message->stage = MESSAGE_PARKED;
}

/* Without groups mail flows on; they are built again, but not for ever. */
static void backlog_forget_groups(struct message *message, void *context)
{
    const struct backlog *backlog = context;

    if (message->file == backlog->number)
        message->flags &= (uint8_t)~MESSAGE_GROUPED;
}

static void backlog_groups_failed(struct backlog *backlog)
{
    syncq_groups_free(backlog->groups);
    backlog->groups = NULL;
    message_visit_queue(&backlog->qmgr->messages, backlog_forget_groups,
                        backlog);
    log_warning("the groups by domain failed; %s",
                backlog->groups_failures < BACKLOG_GROUPS_FAILURES_MAX
                    ? "building them again"
                    : "going on without");
    if (backlog->groups_failures++ >= BACKLOG_GROUPS_FAILURES_MAX ||
        syncq_groups_new(syncq_entry_count(backlog->queue), &backlog->groups) !=
            0)
        return;
    if (backlog->identify != NULL)
        identify_start(backlog->identify);
}

static int backlog_change_groups(struct backlog *backlog,
                                 struct message *message,
                                 const struct syncq_envelope *envelope, int add)
{
    uint32_t i;
    int result = 0;

    for (i = 0; i < envelope->part_count && i < message->part_count; i++) {
        struct syncq_entry_view view;
        const char *domain = envelope->parts[i].domain;

        if (result != 0)
            break;
        if (backlog_read_part(backlog, message, i, &view) != 0)
            continue;
        if (!add)
            result = syncq_groups_remove(backlog->groups, domain,
                                         view.state.next_attempt_s, view.slot);
        else if (queue_part_is_open(&view))
            result = syncq_groups_add(backlog->groups, domain,
                                      view.state.next_attempt_s, view.slot);
    }
    return result;
}

void backlog_group(struct backlog *backlog, struct message *message,
                   const struct syncq_envelope *envelope)
{
    if (backlog->groups == NULL || (message->flags & MESSAGE_GROUPED))
        return;
    message->flags |= MESSAGE_GROUPED;
    if (backlog_change_groups(backlog, message, envelope, 1) != 0)
        backlog_groups_failed(backlog);
}

void backlog_ungroup(struct backlog *backlog, struct message *message,
                     const struct syncq_envelope *envelope)
{
    if (backlog->groups == NULL || !(message->flags & MESSAGE_GROUPED))
        return;
    message->flags &= (uint8_t)~MESSAGE_GROUPED;
    if (backlog_change_groups(backlog, message, envelope, 0) != 0)
        backlog_groups_failed(backlog);
}
