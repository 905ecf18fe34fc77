/* SPDX-License-Identifier: MIT */
#include "qmgr/retire.h"

#include <event2/event.h>
#include <stdlib.h>

#include "module/error.h"
#include "module/retire.h"
#include "program/log.h"
#include "qmgr/backlog.h"
#include "qmgr/committer.h"
#include "qmgr/memory.h"

#define RETIRE_LOOK_S     10   /* while there was nothing to retire */
#define RETIRE_AGAIN_S    1    /* after one was: there may be more */
#define RETIRE_CONFIRM_MS 2000 /* then the helper counts as gone */

struct retire {
    struct backlog *backlog;
    struct event *timer;
    struct committer_job job;
    int busy; /* the committer has the job */
};

/* Marks that are durable: only then may the segment that held them go. */
static int retire_carry(struct syncq_queue *queue,
                        const struct syncq_mark *marks, uint32_t count)
{
    struct syncq_ticket ticket;
    int result = syncq_marks_append(queue, marks, count, &ticket);

    if (result != 0)
        return result;
    result = syncq_ticket_wait(queue, &ticket, RETIRE_CONFIRM_MS);
    if (result == SYNCQ_ERR_TIMEOUT &&
        syncq_ticket_abandon(queue, &ticket) == SYNCQ_ERR_EXISTS)
        result = 0;
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    return result;
}

/*
 * In the committer's thread: marks that the event loop makes of later changes
 * come after these in the log, because the same thread appends them.
 */
static int retire_work(struct syncq_queue *queue)
{
    struct syncq_mark *marks = NULL;
    uint32_t segment, mark_count, done, count;
    int result = syncq_retire_find(queue, &segment, &marks, &mark_count);

    if (result != 0)
        return result;
    for (done = 0; done < mark_count && result == 0; done += count) {
        count = mark_count - done < SYNCQ_MARKS_MAX ? mark_count - done
                                                    : SYNCQ_MARKS_MAX;
        result = retire_carry(queue, marks + done, count);
    }
    if (result == 0)
        syncq_retire_ask(queue, segment);
    free(marks);
    return result;
}

static void retire_plan(struct retire *retire, int seconds)
{
    struct timeval wait = {seconds, 0};

    (void)event_add(retire->timer, &wait);
}

static void retire_on_done(struct committer_job *job, void *context)
{
    struct retire *retire = context;

    retire->busy = 0;
    if (job->result != 0 && job->result != SYNCQ_ERR_SEGMENTS_FULL)
        log_warning("cannot retire a segment: %s", syncq_strerror(job->result));
    retire_plan(retire, job->result == 0 ? RETIRE_AGAIN_S : RETIRE_LOOK_S);
}

static int retire_is_due(struct backlog *backlog)
{
    struct syncq_queue_status status;

    return backlog_accepts(backlog) &&
           syncq_queue_status(backlog->queue, &status) == 0 &&
           (status.segments_free < (status.segment_count + 1) / 2 ||
            status.entries_free < status.entry_count / 2);
}

static void retire_on_timer(int fd, short events, void *context)
{
    struct retire *retire = context;

    (void)fd;
    (void)events;
    if (retire->busy)
        return;
    if (!retire_is_due(retire->backlog)) {
        retire_plan(retire, RETIRE_LOOK_S);
        return;
    }
    retire->busy = 1;
    retire->job = (struct committer_job){
        .work = retire_work, .done = retire_on_done, .context = retire};
    committer_submit(retire->backlog->committer, &retire->job);
}

struct retire *retire_new(struct backlog *backlog)
{
    struct retire *retire = memory_new(sizeof(*retire));

    retire->backlog = backlog;
    retire->timer = evtimer_new(backlog->qmgr->base, retire_on_timer, retire);
    retire_plan(retire, RETIRE_AGAIN_S);
    return retire;
}

void retire_free(struct retire *retire)
{
    if (retire == NULL)
        return;
    event_free(retire->timer);
    free(retire);
}
