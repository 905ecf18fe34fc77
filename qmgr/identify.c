/* SPDX-License-Identifier: MIT */
#include "qmgr/identify.h"

#include <stdlib.h>

#include "module/read.h"
#include "qmgr/backlog.h"
#include "qmgr/import.h"
#include "qmgr/importer.h"
#include "qmgr/memory.h"

#define IDENTIFY_BATCH 64 /* records read in one turn */

struct identify {
    struct backlog *backlog;
    uint64_t *sequences;
    uint32_t count, next, capacity;
    struct event *turn;
};

static void identify_want(struct message *message, void *context)
{
    struct identify *identify = context;

    if (message->file != identify->backlog->number ||
        (message->stage != MESSAGE_WAITING && message->stage != MESSAGE_HELD))
        return;
    if (message->queue_id != NULL && (message->flags & MESSAGE_GROUPED))
        return;
    if (identify->count == identify->capacity) {
        identify->capacity = identify->capacity * 2 + 1024;
        identify->sequences = memory_grow(
            identify->sequences, identify->capacity * sizeof(uint64_t));
    }
    identify->sequences[identify->count++] = message->sequence;
}

static void identify_one(struct identify *identify, uint64_t sequence)
{
    struct backlog *backlog = identify->backlog;
    struct message *message = message_find_sequence(&backlog->qmgr->messages,
                                                    backlog->number, sequence);
    struct syncq_entry_view view;
    struct syncq_record record = {0};
    int result;

    /* Delivered meanwhile, or in delivery, which knows its id. */
    if (message == NULL ||
        (message->stage != MESSAGE_WAITING && message->stage != MESSAGE_HELD))
        return;
    result = syncq_entry_read(backlog->queue, message_slots(message)[0], &view);
    if (result == 0)
        result = syncq_record_read(backlog->queue, view.state.lsn, sequence,
                                   &record);
    if (result != 0) {
        backlog_lose(backlog, message, result);
        return;
    }
    message_set_id(
        &backlog->qmgr->messages, message,
        syncq_envelope_attribute_text(&record.envelope, "queue_id", "NOQUEUE"));
    if (syncq_envelope_attribute(&record.envelope, IMPORT_INODE) != NULL)
        message->flags |= MESSAGE_IMPORT;
    backlog_group(backlog, message, &record.envelope);
    syncq_record_clear(&record);
}

static void identify_on_turn(int fd, short events, void *context)
{
    struct identify *identify = context;
    struct backlog *backlog = identify->backlog;
    struct timeval soon = {0, 0};
    unsigned i;

    (void)fd;
    (void)events;
    for (i = 0; i < IDENTIFY_BATCH && identify->next < identify->count; i++)
        identify_one(identify, identify->sequences[identify->next++]);
    if (identify->next < identify->count) {
        (void)event_add(identify->turn, &soon);
        return;
    }
    free(identify->sequences);
    identify->sequences = NULL;
    identify->count = identify->capacity = identify->next = 0;
    backlog->identified = 1;
    importer_wake(backlog->qmgr->importer);
}

void identify_start(struct identify *identify)
{
    identify->next = identify->count = 0;
    message_visit_queue(&identify->backlog->qmgr->messages, identify_want,
                        identify);
    event_active(identify->turn, EV_TIMEOUT, 0);
}

struct identify *identify_new(struct backlog *backlog)
{
    struct identify *identify = memory_new(sizeof(*identify));

    identify->backlog = backlog;
    identify->turn =
        evtimer_new(backlog->qmgr->base, identify_on_turn, identify);
    identify_start(identify);
    return identify;
}

void identify_free(struct identify *identify)
{
    if (identify == NULL)
        return;
    event_free(identify->turn);
    free(identify->sequences);
    free(identify);
}
