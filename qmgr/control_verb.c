/* SPDX-License-Identifier: MIT */
#include "qmgr/control_verb.h"

#include <stdlib.h>
#include <string.h>

#include "module/listing.h"
#include "module/read.h"
#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/gate.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"
#include "qmgr/queue_source.h"
#include "qmgr/retry.h"
#include "qmgr/scheduler.h"

/* A change that is answered when its marks are durable. */
struct control_change {
    struct qmgr *qmgr;
    const json_t *request;
    int release; /* else retry */
    json_int_t parts;
    void (*answer)(void *context, json_t *object);
    void *context;
};

static int control_wants(const struct control_change *change,
                         const struct message *message)
{
    const json_t *ids = json_object_get(change->request, "ids");
    const char *directory =
        json_string_value(json_object_get(change->request, "queue_directory"));
    char sequence[32];
    size_t i;

    if (directory != NULL &&
        strcmp(directory, backlog_of(change->qmgr, message)->directory) != 0)
        return 0;
    if (json_is_true(json_object_get(change->request, "all")))
        return 1;
    syncq_sequence_text(message->sequence, sequence);
    for (i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));

        if (id != NULL &&
            (strcmp(id, sequence) == 0 ||
             (message->queue_id != NULL && strcmp(id, message->queue_id) == 0)))
            return 1;
    }
    return 0;
}

/* The record, for the domains of a message that is in the groups. */
static int control_read(const struct backlog *backlog, struct message *message,
                        struct syncq_record *record)
{
    struct syncq_entry_view view;

    if ((message->flags & MESSAGE_GROUPED) == 0 ||
        syncq_entry_read(backlog->queue, message_slots(message)[0], &view) != 0)
        return 0;
    return syncq_record_read(backlog->queue, view.state.lsn, message->sequence,
                             record) == 0;
}

/* Held or waiting parts are due now. */
static json_int_t control_change_parts(struct control_change *change,
                                       struct message *message)
{
    struct backlog *backlog = backlog_of(change->qmgr, message);
    json_int_t changed = 0;
    uint32_t i;

    for (i = 0; i < message->part_count; i++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        if (backlog_read_part(backlog, message, i, &view) != 0)
            continue;
        if (view.state.status !=
            (change->release ? SYNCQ_STATUS_HELD : SYNCQ_STATUS_DEFERRED))
            continue;
        state = view.state;
        state.status = SYNCQ_STATUS_READY;
        state.next_attempt_s = 0;
        backlog_update(backlog, &view, &state);
        changed++;
    }
    return changed;
}

static void control_visit(struct message *message, void *context)
{
    struct control_change *change = context;
    struct backlog *backlog = backlog_of(change->qmgr, message);
    struct syncq_record record;
    json_int_t changed;
    int grouped;

    if (message->stage != MESSAGE_HELD && message->stage != MESSAGE_WAITING)
        return;
    if (!control_wants(change, message))
        return;
    grouped = control_read(backlog, message, &record);
    if (grouped)
        backlog_ungroup(backlog, message, &record.envelope);
    changed = control_change_parts(change, message);
    if (grouped) {
        backlog_group(backlog, message, &record.envelope);
        syncq_record_clear(&record);
    }
    change->parts += changed;
    if (changed == 0)
        return;
    message->flags |= MESSAGE_FLUSH;
    if (change->release && message->queue_id != NULL)
        log_info("%s: released from hold", message->queue_id);
    if (message->heap_index != 0)
        retry_remove(change->qmgr->retry, message);
    backlog_place(backlog, message);
}

static void control_on_durable(void *context, int failed)
{
    struct control_change *change = context;

    if (failed)
        change->answer(change->context,
                       json_pack("{s:b,s:s}", "ok", 0, "error",
                                 "done, but that could not be recorded"));
    else
        change->answer(change->context,
                       json_pack("{s:b,s:I}", "ok", 1,
                                 change->release ? "released" : "retried",
                                 change->parts));
    free(change);
}

/* Why nothing can be changed now, or NULL.  A queue file that is missing does
 * not stop the others. */
static const char *control_obstacle(const struct backlogs *backlogs)
{
    unsigned i, open = 0;

    for (i = 0; i < backlogs->count; i++) {
        if (!backlog_is_settled(backlogs->list[i]))
            return "still reading the queue; try again";
        open += backlogs->list[i]->queue != NULL;
    }
    return open > 0 ? NULL : backlogs->list[0]->reason;
}

static void control_run_change(struct qmgr *qmgr, const json_t *request,
                               int release,
                               void (*answer)(void *context, json_t *object),
                               void *context)
{
    struct control_change *change;
    const char *obstacle;

    obstacle = control_obstacle(qmgr->backlogs);
    if (obstacle != NULL) {
        answer(context, json_pack("{s:b,s:s}", "ok", 0, "error", obstacle));
        return;
    }
    change = memory_new(sizeof(*change));
    change->qmgr = qmgr;
    change->request = request;
    change->release = release;
    change->answer = answer;
    change->context = context;
    message_visit_queue(&qmgr->messages, control_visit, change);
    change->request = NULL; /* the caller's */
    backlogs_flush(qmgr->backlogs, control_on_durable, change);
}

struct control_counts {
    json_int_t checking, waiting, active, held, aside;
};

static void control_count(struct message *message, void *context)
{
    struct control_counts *counts = context;

    switch ((enum message_stage)message->stage) {
    case MESSAGE_PARTIAL:
    case MESSAGE_CHECKING:
    case MESSAGE_CANCELLING:
        counts->checking++;
        break;
    case MESSAGE_WAITING:
        counts->waiting++;
        break;
    case MESSAGE_ACTIVE:
        counts->active++;
        break;
    case MESSAGE_HELD:
        counts->held++;
        break;
    case MESSAGE_PARKED:
        counts->aside++;
        break;
    }
}

static const char *control_queue_text(const struct backlog *backlog)
{
    return backlog->queue == NULL || backlog->latched ? backlog->reason
                                                      : "in use";
}

static json_t *control_files(const struct backlogs *backlogs)
{
    json_t *array = json_array();
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        const struct backlog *backlog = backlogs->list[i];

        (void)json_array_append_new(
            array, json_pack("{s:s,s:s,s:b,s:b}", "queue_directory",
                             backlog->directory, "queue",
                             control_queue_text(backlog), "identified",
                             backlog->identified, "drain", backlog->drain));
    }
    return array;
}

static json_t *control_status(struct qmgr *qmgr)
{
    const struct backlogs *backlogs = qmgr->backlogs;
    struct control_counts counts = {0};
    const char *queue = "in use";
    int identified = 1;
    unsigned i;

    for (i = backlogs->count; i-- > 0;) {
        identified &= backlogs->list[i]->identified;
        if (strcmp(control_queue_text(backlogs->list[i]), "in use") != 0)
            queue = control_queue_text(backlogs->list[i]);
    }
    message_visit_queue(&qmgr->messages, control_count, &counts);
    return json_pack("{s:b,s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "ok",
                     1, "queue", queue, "identified", identified, "gate",
                     gate_reason(qmgr->gate), "checking", counts.checking,
                     "waiting", counts.waiting, "active", counts.active, "held",
                     counts.held, "aside", counts.aside, "passes",
                     (json_int_t)qmgr->active_count, "deliveries",
                     (json_int_t)scheduler_running(qmgr->scheduler), "files",
                     control_files(backlogs));
}

void control_verb_run(struct qmgr *qmgr, const json_t *request,
                      void (*answer)(void *context, json_t *object),
                      void *context)
{
    const char *verb = json_string_value(json_object_get(request, "verb"));

    if (verb != NULL && strcmp(verb, "status") == 0)
        answer(context, control_status(qmgr));
    else if (verb != NULL && strcmp(verb, "release") == 0)
        control_run_change(qmgr, request, 1, answer, context);
    else if (verb != NULL && strcmp(verb, "retry") == 0)
        control_run_change(qmgr, request, 0, answer, context);
    else
        answer(context,
               json_pack("{s:b,s:s}", "ok", 0, "error", "unknown verb"));
}
