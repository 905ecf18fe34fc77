/* SPDX-License-Identifier: MIT */
#include "qmgr/cleaner.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "module/cleaner.h"
#include "module/error.h"
#include "module/reserve.h"
#include "module/retire.h"
#include "program/log.h"
#include "qmgr/backlog.h"
#include "qmgr/committer.h"
#include "qmgr/memory.h"
#include "qmgr/retire.h"
#include "qmgr/space_watch.h"

#define CLEANER_LOOK_S     1  /* between looks at the counters */
#define CLEANER_SURVEY_S   10 /* between walks of the index without need */
#define CLEANER_WARN_S     60 /* between two lines about the same trouble */
#define CLEANER_CONFIRM_MS 2000
#define CLEANER_LEFT_MS    50 /* between looks at a segment just left */
#define CLEANER_LEFT_TRIES 40
#define CLEANER_MOVES_MAX  32         /* messages in one job */
#define CLEANER_MOVE_SIZE  (4u << 20) /* bytes in one job, and one message */

struct cleaner {
    struct backlog *backlog;
    struct event *timer;
    struct committer_job job;
    int busy; /* the committer has the job, and all that follows */
    struct syncq_space_sizes *sizes;
    struct syncq_cleaner_list list; /* slots NULL: no segment is emptied */
    struct syncq_relocation moves[CLEANER_MOVES_MAX];
    unsigned move_count;
    uint32_t head; /* the segment of it at the last survey */
    int unmoved;   /* why a message of the list could not be moved */
    enum syncq_cleaner_need need; /* what is being done */
    int left;     /* looks at a segment that was left, until its rest is void */
    int progress; /* the last job did something: go on at once */
    struct syncq_space space; /* of the last survey */
    time_t surveyed, warned;
};

/* Copies that are durable: their entries are changed in the event loop. */
static int cleaner_wait(struct cleaner *cleaner, struct syncq_queue *queue)
{
    int left_ms = CLEANER_CONFIRM_MS;
    int result = 0;
    unsigned i;

    for (i = 0; i < cleaner->move_count; i++) {
        int waited =
            syncq_ticket_wait(queue, &cleaner->moves[i].ticket, left_ms);

        if (waited == SYNCQ_ERR_TIMEOUT)
            left_ms = 0; /* look at the others, and come again */
        if (waited != 0)
            result = waited;
    }
    return result;
}

/* One message cannot be moved, which does not keep the others. */
static int cleaner_is_of_one(int error)
{
    return error == ENOENT || error == EIO || error == SYNCQ_ERR_BUSY ||
           error == SYNCQ_ERR_BAD_RECORD || error == SYNCQ_ERR_BAD_ENTRY ||
           error == SYNCQ_ERR_BAD_ENVELOPE;
}

static int cleaner_move(struct cleaner *cleaner, struct syncq_queue *queue)
{
    uint64_t size = 0;
    int result = 0;

    while (cleaner->move_count < CLEANER_MOVES_MAX &&
           size < CLEANER_MOVE_SIZE) {
        struct syncq_relocation *move = &cleaner->moves[cleaner->move_count];

        result = syncq_cleaner_start(queue, &cleaner->list, move);
        if (cleaner_is_of_one(result)) {
            if (result != ENOENT) /* else it was finished meanwhile */
                cleaner->unmoved = result;
            continue;
        }
        if (result != 0)
            break;
        size += move->size;
        cleaner->move_count++;
        cleaner->progress = 1;
    }
    /* All is moved: the segment can be retired.  An empty list tells nothing.
     */
    if (result == ERANGE && cleaner->list.count > 0 && cleaner->unmoved == 0)
        cleaner->progress = 1;
    if (result != 0) /* done, or it cannot go on: a new list tells */
        syncq_cleaner_list_clear(&cleaner->list);
    if (result == ERANGE)
        result = cleaner->unmoved;
    if (result == 0)
        return cleaner_wait(cleaner, queue);
    (void)cleaner_wait(cleaner, queue);
    return result;
}

static int cleaner_empty(struct cleaner *cleaner, struct syncq_queue *queue,
                         uint32_t segment)
{
    const struct syncq_segment_use *use = &cleaner->space.segments[segment];
    int result = 0;

    if (use->state != SYNCQ_SEGMENT_EMPTYING) {
        result = syncq_retire_ask_emptying(queue, segment);
        if (result == 0)
            result = syncq_retire_wait(queue, segment, CLEANER_CONFIRM_MS);
    }
    cleaner->unmoved = 0;
    if (result == 0)
        result = syncq_cleaner_list(queue, use->base_lsn, &cleaner->list);
    return result == 0 ? cleaner_move(cleaner, queue) : result;
}

/* Is there a segment to retire, and is it time? */
static int cleaner_can_retire(const struct syncq_space *space)
{
    uint32_t i;

    for (i = 0; i < space->segment_count; i++) {
        const struct syncq_segment_use *use = &space->segments[i];

        if (use->live_parts == 0 &&
            (use->state == SYNCQ_SEGMENT_EMPTYING ||
             (use->state == SYNCQ_SEGMENT_CLOSED &&
              (space->segments_free < (space->segment_count + 1) / 2 ||
               space->entries_free < space->entry_count / 2))))
            return 1;
    }
    return 0;
}

static int cleaner_survey(struct cleaner *cleaner, struct syncq_queue *queue)
{
    enum syncq_cleaner_need need;
    uint32_t segment;
    int result;

    syncq_space_clear(&cleaner->space);
    result = syncq_space_read(queue, cleaner->sizes, &cleaner->space);
    if (result != 0)
        return result;
    if (cleaner_can_retire(&cleaner->space)) {
        result = retire_one(queue);
        cleaner->progress = result == 0;
        if (result != SYNCQ_ERR_SEGMENTS_FULL)
            return result;
    }
    need = syncq_cleaner_need(&cleaner->space, cleaner->need);
    result = syncq_cleaner_choose(&cleaner->space, need, &segment);
    if (result == 0 && need == SYNCQ_CLEANER_GATHER && cleaner->need != need)
        (void)syncq_reserve_leave(queue); /* what is gathered lies apart */
    if (need != SYNCQ_CLEANER_FINISH || cleaner->need == SYNCQ_CLEANER_NOTHING)
        cleaner->need = result == 0 ? need : SYNCQ_CLEANER_NOTHING;
    while (result == 0) {
        cleaner->left = 0;
        result = cleaner_empty(cleaner, queue, segment);
        if (result != SYNCQ_ERR_BAD_RECORD || need == SYNCQ_CLEANER_FINISH)
            return result;
        /* Damaged: kept for the administrator.  That must not keep others. */
        cleaner->space.segments[segment].broken = 1;
        result = syncq_cleaner_choose(&cleaner->space, need, &segment);
    }
    if (result == EAGAIN) {
        result = syncq_reserve_leave(queue);
        cleaner->progress = result == 0;
        if (result == 0)
            cleaner->left = CLEANER_LEFT_TRIES;
    } else if (cleaner->left > 0) {
        cleaner->left--;
    }
    return result == ENOENT || result == EAGAIN ? 0 : result;
}

/* In the committer's thread. */
static int cleaner_work(struct syncq_queue *queue, void *context)
{
    struct cleaner *cleaner = context;

    if (cleaner->move_count > 0) /* the helper was slow */
        return cleaner_wait(cleaner, queue);
    if (cleaner->list.slots != NULL)
        return cleaner_move(cleaner, queue);
    cleaner->surveyed = time(NULL);
    cleaner->head = syncq_space_head(queue);
    return cleaner_survey(cleaner, queue);
}

/* Entries name the copies that are durable; the others are waited for. */
static void cleaner_finish_moves(struct cleaner *cleaner)
{
    struct syncq_queue *queue = cleaner->backlog->queue;
    unsigned i, left = 0;

    for (i = 0; i < cleaner->move_count; i++) {
        struct syncq_relocation *move = &cleaner->moves[i];

        if (syncq_ticket_wait(queue, &move->ticket, 0) == SYNCQ_ERR_TIMEOUT)
            cleaner->moves[left++] = *move;
        else
            syncq_relocate_finish(queue, move);
    }
    cleaner->move_count = left;
}

static void cleaner_warn(struct cleaner *cleaner, int error)
{
    time_t now = time(NULL);

    if (now - cleaner->warned < CLEANER_WARN_S)
        return;
    cleaner->warned = now;
    log_warning("queue %s: cannot make space: %s", cleaner->backlog->directory,
                syncq_strerror(error));
}

static void cleaner_plan_ms(struct cleaner *cleaner, int wait_ms)
{
    struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};

    (void)event_add(cleaner->timer, &wait);
}

static void cleaner_plan(struct cleaner *cleaner, int seconds)
{
    cleaner_plan_ms(cleaner, seconds * 1000);
}

static void cleaner_on_done(struct committer_job *job, void *context)
{
    struct cleaner *cleaner = context;

    cleaner->busy = 0;
    cleaner_finish_moves(cleaner);
    if (cleaner->space.segments != NULL)
        space_watch_look(cleaner->backlog->space_watch, &cleaner->space);
    if (job->result != 0 && job->result != SYNCQ_ERR_BUSY &&
        job->result != ECANCELED)
        cleaner_warn(cleaner, job->result);
    /* Nothing tells when the rest of a segment has become void. */
    cleaner_plan_ms(cleaner, cleaner->progress   ? 0
                             : cleaner->left > 0 ? CLEANER_LEFT_MS
                                                 : CLEANER_LOOK_S * 1000);
}

/* Few are free, or it is time for a survey; cheap enough for each second. */
static int cleaner_is_due(const struct cleaner *cleaner)
{
    const struct backlog *backlog = cleaner->backlog;
    struct syncq_queue_status status;

    /* A file that is drained needs room for marks, too. */
    if (!backlog->identified || backlog->latched ||
        syncq_queue_status(backlog->queue, &status) != 0)
        return 0;
    return cleaner->list.slots != NULL || cleaner->move_count > 0 ||
           cleaner->progress || cleaner->left > 0 ||
           (cleaner->head != syncq_space_head(backlog->queue) &&
            status.segments_free < (status.segment_count + 1) / 2) ||
           status.segments_free <= 2 + status.segment_count / 16 ||
           status.entries_free < status.entry_count / 16 ||
           time(NULL) - cleaner->surveyed >= CLEANER_SURVEY_S;
}

static void cleaner_on_timer(int fd, short events, void *context)
{
    struct cleaner *cleaner = context;

    (void)fd;
    (void)events;
    if (cleaner->busy)
        return;
    if (!cleaner_is_due(cleaner)) {
        cleaner_plan(cleaner, CLEANER_LOOK_S);
        return;
    }
    cleaner->busy = 1;
    cleaner->progress = 0;
    cleaner->job = (struct committer_job){.work = cleaner_work,
                                          .work_context = cleaner,
                                          .done = cleaner_on_done,
                                          .context = cleaner};
    committer_submit(cleaner->backlog->committer, &cleaner->job);
}

void cleaner_notice(struct cleaner *cleaner)
{
    if (cleaner != NULL && !cleaner->busy &&
        cleaner->head != syncq_space_head(cleaner->backlog->queue))
        cleaner_plan(cleaner, 0);
}

void cleaner_wake(struct cleaner *cleaner)
{
    if (cleaner == NULL || cleaner->busy)
        return;
    cleaner->surveyed = 0;
    cleaner_plan(cleaner, 0);
}

int cleaner_is_busy(const struct cleaner *cleaner)
{
    return cleaner->busy || cleaner->progress || cleaner->left > 0 ||
           cleaner->surveyed == 0;
}

struct cleaner *cleaner_new(struct backlog *backlog)
{
    struct cleaner *cleaner = memory_new(sizeof(*cleaner));

    cleaner->backlog = backlog;
    /* Without it there is no live_size, and so no policy for bytes. */
    if (syncq_space_sizes_new(backlog->queue, &cleaner->sizes) != 0)
        log_fatal(EX_OSERR, "out of memory");
    cleaner->timer =
        evtimer_new(backlog->qmgr->base, cleaner_on_timer, cleaner);
    cleaner_plan(cleaner, CLEANER_LOOK_S);
    return cleaner;
}

void cleaner_free(struct cleaner *cleaner)
{
    unsigned i;

    if (cleaner == NULL)
        return;
    for (i = 0; i < cleaner->move_count; i++) {
        free(cleaner->moves[i].slots);
        free(cleaner->moves[i].parts);
    }
    syncq_cleaner_list_clear(&cleaner->list);
    syncq_space_clear(&cleaner->space);
    syncq_space_sizes_free(cleaner->sizes);
    event_free(cleaner->timer);
    free(cleaner);
}
