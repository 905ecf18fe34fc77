/* SPDX-License-Identifier: MIT */
#include "qmgr/backlog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/index_format.h"
#include "module/read.h"
#include "module/relocate.h"
#include "program/log.h"
#include "qmgr/admission.h"
#include "qmgr/arrivals.h"
#include "qmgr/backlogs.h"
#include "qmgr/cleaner.h"
#include "qmgr/committer.h"
#include "qmgr/gate.h"
#include "qmgr/identify.h"
#include "qmgr/importer.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"
#include "qmgr/space_watch.h"

#define BACKLOG_TICK_S                                                         \
    1 /* between attempts to open, and looks at the state                      \
       */

/* One line for each new reason, not for each attempt. */
static void backlog_set_reason(struct backlog *backlog, const char *reason)
{
    if (strcmp(backlog->reason, reason) == 0)
        return;
    (void)snprintf(backlog->reason, sizeof(backlog->reason), "%s", reason);
    if (*reason != '\0')
        log_warning("queue %s: %s; %s", backlog->directory, reason,
                    backlog->qmgr->backlogs->files.count > 1
                        ? "its mail waits"
                        : "mail goes out from Postfix's own files");
    else
        log_info("queue %s: in use", backlog->directory);
}

int backlog_accepts(const struct backlog *backlog)
{
    return backlog->queue != NULL && backlog->identified && !backlog->latched &&
           !backlog->drain && !syncq_queue_draining(backlog->queue);
}

int backlog_is_settled(const struct backlog *backlog)
{
    return backlog->queue == NULL || backlog->identified;
}

/*
 * Was the message moved in the log?  Then all of its parts were written long
 * ago, and those that are missing were finished.  A record that cannot be read
 * is for whoever delivers it.
 */
static int backlog_was_moved(struct backlog *backlog, struct message *message)
{
    struct syncq_record_header header;
    struct syncq_entry_view view;

    return syncq_entry_read(backlog->queue, message_slots(message)[0], &view) ==
               0 &&
           view.sequence == message->sequence &&
           view.state.status != SYNCQ_STATUS_NEW &&
           (syncq_record_read_header(backlog->queue, view.state.lsn, &header) !=
                0 ||
            header.copy > 0);
}

/* What the walk has seen in part only. */
static void backlog_settle_partial(struct message *message, void *context)
{
    struct backlog *backlog = context;

    if (message->file != backlog->number || message->stage != MESSAGE_PARTIAL)
        return;
    if (message_slots(message)[0] == SYNCQ_SLOT_NONE)
        message_remove(&backlog->qmgr->messages, message); /* it is over */
    else if (backlog_was_moved(backlog, message))
        backlog_place(backlog, message);
}

void backlog_walk(struct backlog *backlog)
{
    uint32_t count = syncq_entry_count(backlog->queue);
    uint32_t slot;

    for (slot = 0; slot < count; slot++) {
        struct syncq_entry_view view;
        struct message *message;

        if (syncq_entry_read(backlog->queue, slot, &view) != 0)
            continue;
        message = backlog_collect(backlog, &view);
        if (message != NULL)
            backlog_place(backlog, message);
    }
    message_visit_queue(&backlog->qmgr->messages, backlog_settle_partial,
                        backlog);
}

static int backlog_open_parts(struct backlog *backlog)
{
    int result = arrivals_new(backlog, &backlog->arrivals);

    if (result == 0)
        result = committer_new(backlog->qmgr->base, backlog->queue,
                               &backlog->committer);
    if (result != 0)
        return result;
    if (syncq_groups_new(syncq_entry_count(backlog->queue), &backlog->groups) !=
        0)
        backlog->groups = NULL;
    backlog->marks =
        marks_new(backlog, backlog->qmgr->config.marks_interval_ms);
    backlog->admission = admission_new(backlog);
    return 0;
}

/* With its own run directory, for which its UUID is needed. */
static int backlog_open_queue(struct backlog *backlog)
{
    struct syncq_queue_status status;
    struct config one;
    int result = files_config(&backlog->qmgr->config, backlog->directory, &one);

    if (result == 0 && backlog->lock < 0)
        result = syncq_manager_lock(backlog->directory, &backlog->lock);
    if (result == 0)
        result = syncq_queue_open(one.queue_directory, one.run_directory,
                                  SYNCQ_OPEN_WRITE, &backlog->queue);
    if (result == 0)
        result = syncq_queue_status(backlog->queue, &status);
    if (result == 0)
        memcpy(backlog->uuid, status.uuid, sizeof(backlog->uuid));
    files_config_clear(&one);
    return result;
}

static int backlog_open(struct backlog *backlog)
{
    int result = backlog_open_queue(backlog);

    /* Before any entry is changed: what the last manager was moving. */
    if (result == 0)
        result = syncq_relocate_settle(backlog->queue);
    if (result == 0)
        result = backlog_open_parts(backlog);
    if (result == 0)
        return 0;
    arrivals_free(backlog->arrivals);
    backlog->arrivals = NULL;
    syncq_queue_close(backlog->queue);
    backlog->queue = NULL;
    return result;
}

void backlog_finish_recipient(struct backlog *backlog, uint64_t sequence,
                              uint32_t recipient)
{
    struct message *message = message_find_sequence(&backlog->qmgr->messages,
                                                    backlog->number, sequence);
    uint32_t i;

    for (i = 0; message != NULL && i < message->part_count; i++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        if (backlog_read_part(backlog, message, i, &view) != 0 ||
            recipient < view.first_recipient ||
            recipient - view.first_recipient >= view.recipient_count)
            continue;
        state = view.state;
        state.mask |= UINT64_C(1) << (recipient - view.first_recipient);
        if (state.mask != view.state.mask)
            backlog_update(backlog, &view, &state);
    }
}

/*
 * The order: entries, so that messages are known; the marks of agents that
 * outlived their manager, before anything is delivered; then the rest.
 */
static void backlog_attach(struct backlog *backlog)
{
    backlog_set_reason(backlog, "");
    backlog_walk(backlog);
    marks_note_finished(backlog->marks);
    backlogs_recover_files(backlog->qmgr->backlogs, backlog->qmgr);
    gate_apply(backlog->qmgr->gate, backlog->queue);
    backlog->identify = identify_new(backlog);
    backlog->space_watch = space_watch_new(backlog->queue, backlog->directory);
    backlog->cleaner = cleaner_new(backlog);
}

/* Is it still the same channel, and does it take mail? */
static void backlog_look(struct backlog *backlog)
{
    int result = syncq_queue_usable(backlog->queue);

    if (result == SYNCQ_ERR_LATCHED && !backlog->latched) {
        backlog->latched = 1;
        backlog_set_reason(backlog, syncq_strerror(result));
    } else if (result == SYNCQ_ERR_DETACHED) {
        /*
         * What the new channel's recovery made of the entries is unknown to
         * every message in memory: start afresh, from the files.
         */
        log_warning("queue %s: %s; starting again", backlog->directory,
                    syncq_strerror(result));
        exit(0); /* the guard asks master(8) for a new one */
    }
    backlogs_recover_files(backlog->qmgr->backlogs, backlog->qmgr);
}

static void backlog_on_tick(int fd, short events, void *context)
{
    struct backlog *backlog = context;
    struct timeval wait = {BACKLOG_TICK_S, 0};
    int result;

    (void)fd;
    (void)events;
    (void)event_add(backlog->timer, &wait);
    if (backlog->qmgr->stopping)
        return;
    if (backlog->queue != NULL) {
        backlog_look(backlog);
        return;
    }
    result = backlog_open(backlog);
    if (result == 0)
        backlog_attach(backlog);
    else
        backlog_set_reason(backlog, syncq_strerror(result));
}

struct backlog *backlog_new(struct qmgr *qmgr, uint8_t number,
                            const struct files_one *file)
{
    struct backlog *backlog = memory_new(sizeof(*backlog));

    backlog->qmgr = qmgr;
    backlog->number = number;
    backlog->directory = file->directory;
    backlog->drain = file->drain;
    backlog->lock = -1;
    backlog->timer = evtimer_new(qmgr->base, backlog_on_tick, backlog);
    return backlog;
}

void backlog_start(struct backlog *backlog)
{
    backlog_on_tick(-1, 0, backlog);
}

void backlog_free(struct backlog *backlog)
{
    if (backlog == NULL)
        return;
    committer_free(backlog->committer);
    cleaner_free(backlog->cleaner);
    space_watch_free(backlog->space_watch);
    identify_free(backlog->identify);
    admission_free(backlog->admission);
    arrivals_free(backlog->arrivals);
    marks_free(backlog->marks);
    syncq_groups_free(backlog->groups);
    syncq_queue_close(backlog->queue);
    if (backlog->lock >= 0)
        (void)close(backlog->lock);
    event_free(backlog->timer);
    free(backlog);
}
