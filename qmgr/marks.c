/* SPDX-License-Identifier: MIT */
#include "qmgr/marks.h"

#include <stdlib.h>
#include <string.h>

#include "module/entry.h"
#include "module/error.h"
#include "module/marks.h"
#include "program/log.h"
#include "qmgr/backlog.h"
#include "qmgr/committer.h"
#include "qmgr/memory.h"
#include "qmgr/pass.h"

#define MARKS_WARN_S 60 /* between two lines about the same trouble */

struct marks_noted {
    uint64_t sequence;
    uint32_t slot;
};

/* Somebody waits until all jobs up to this number are durable. */
struct marks_waiter {
    uint64_t job;
    int failed; /* one of them was not */
    void (*done)(void *context, int failed);
    void *context;
    struct marks_waiter *next;
};

struct marks {
    struct backlog *backlog;
    struct event *timer;
    struct timeval interval;
    struct marks_noted *noted;
    uint32_t noted_count, noted_capacity;
    uint8_t *is_noted;            /* a bit for each slot */
    size_t is_noted_size;         /* bytes */
    uint64_t submitted, finished; /* jobs */
    struct marks_waiter *first, **last;
    time_t warned;
};

struct marks_job {
    struct marks *marks;
    struct committer_job job;
    struct marks_noted *noted; /* as many as job.mark_count */
};

/* The index may have grown since. */
static void marks_cover(struct marks *marks, uint32_t slot)
{
    size_t size = syncq_entry_count(marks->backlog->queue) / 8 + 1;

    if (size <= slot / 8)
        size = slot / 8 + 1;
    marks->is_noted = memory_grow(marks->is_noted, size);
    memset(marks->is_noted + marks->is_noted_size, 0,
           size - marks->is_noted_size);
    marks->is_noted_size = size;
}

void marks_note(struct marks *marks, uint32_t slot, uint64_t sequence)
{
    uint8_t bit = (uint8_t)(1u << (slot & 7));

    if (slot / 8 >= marks->is_noted_size)
        marks_cover(marks, slot);
    if (marks->is_noted[slot / 8] & bit)
        return;
    marks->is_noted[slot / 8] |= bit;
    if (marks->noted_count == marks->noted_capacity) {
        marks->noted_capacity = marks->noted_capacity * 2 + 256;
        marks->noted = memory_grow(marks->noted, marks->noted_capacity *
                                                     sizeof(marks->noted[0]));
    }
    marks->noted[marks->noted_count].slot = slot;
    marks->noted[marks->noted_count++].sequence = sequence;
}

void marks_note_finished(struct marks *marks)
{
    uint32_t count = syncq_entry_count(marks->backlog->queue);
    struct syncq_entry_view view;

    for (uint32_t slot = 0; slot < count; slot++)
        if (syncq_entry_read(marks->backlog->queue, slot, &view) == 0 &&
            (syncq_status_is_final(view.state.status) || view.state.mask != 0))
            marks_note(marks, slot, view.sequence);
}

static void marks_answer(struct marks *marks, uint64_t job, int failed)
{
    struct marks_waiter *each;

    for (each = marks->first; each != NULL && failed; each = each->next)
        each->failed = 1;
    while (marks->first != NULL && marks->first->job <= job) {
        struct marks_waiter *waiter = marks->first;

        marks->first = waiter->next;
        if (marks->first == NULL)
            marks->last = &marks->first;
        waiter->done(waiter->context, waiter->failed);
        free(waiter);
    }
}

/* The states still stand in the entries: note their parts again. */
static void marks_note_again(struct marks_job *job)
{
    struct marks *marks = job->marks;
    time_t now = time(NULL);
    uint32_t i;

    if (job->job.result == SYNCQ_ERR_LATCHED ||
        job->job.result == SYNCQ_ERR_SYNC_FAILED)
        return; /* nothing will ever be appended again */
    for (i = 0; i < job->job.mark_count; i++)
        marks_note(marks, job->noted[i].slot, job->noted[i].sequence);
    if (now - marks->warned >= MARKS_WARN_S) {
        log_warning("queue %s: cannot record what was delivered: %s",
                    marks->backlog->directory, syncq_strerror(job->job.result));
        marks->warned = now;
    }
}

static void marks_on_done(struct committer_job *job, void *context)
{
    struct marks_job *own = context;
    struct marks *marks = own->marks;
    int failed = job->result != 0;

    if (failed)
        marks_note_again(own);
    marks->finished++;
    free(own->noted);
    free(job->marks);
    free(own);
    marks_answer(marks, marks->finished, failed);
}

/*
 * Read the present states.  A slot may have been given back since it was noted,
 * and taken again: then the part that it holds now is meant, which has changed
 * while the slot counted as noted.  One that its writer still has is not ours.
 */
static struct marks_job *marks_collect(struct marks *marks, uint32_t first,
                                       uint32_t count)
{
    struct syncq_queue *queue = marks->backlog->queue;
    struct marks_job *own = memory_new(sizeof(*own));
    uint32_t i, used = 0;

    own->marks = marks;
    own->noted = memory_new(count * sizeof(own->noted[0]));
    own->job.marks = memory_new(count * sizeof(own->job.marks[0]));
    for (i = first; i < first + count; i++) {
        const struct marks_noted *noted = &marks->noted[i];
        struct syncq_entry_view view;

        marks->is_noted[noted->slot / 8] &=
            (uint8_t) ~(1u << (noted->slot & 7));
        if (syncq_entry_read(queue, noted->slot, &view) != 0 ||
            view.state.status == SYNCQ_STATUS_NEW)
            continue;
        own->noted[used].slot = noted->slot;
        own->noted[used].sequence = view.sequence;
        own->job.marks[used].sequence = view.sequence;
        own->job.marks[used].part = view.part;
        own->job.marks[used++].state = view.state;
    }
    own->job.mark_count = used;
    own->job.done = marks_on_done;
    own->job.context = own;
    return own;
}

static void marks_submit_all(struct marks *marks)
{
    uint32_t first = 0;

    while (first < marks->noted_count) {
        uint32_t count = marks->noted_count - first;
        struct marks_job *own;

        if (count > SYNCQ_MARKS_MAX)
            count = SYNCQ_MARKS_MAX;
        own = marks_collect(marks, first, count);
        first += count;
        if (own->job.mark_count == 0) {
            free(own->noted);
            free(own->job.marks);
            free(own);
            continue;
        }
        marks->submitted++;
        committer_submit(marks->backlog->committer, &own->job);
    }
    marks->noted_count = 0;
}

void marks_flush(struct marks *marks, void (*done)(void *context, int failed),
                 void *context)
{
    struct marks_waiter *waiter;

    marks_submit_all(marks);
    if (done == NULL)
        return;
    if (marks->submitted == marks->finished) {
        done(context, 0);
        return;
    }
    waiter = memory_new(sizeof(*waiter));
    waiter->job = marks->submitted;
    waiter->done = done;
    waiter->context = context;
    *marks->last = waiter;
    marks->last = &waiter->next;
}

/*
 * Deliveries of many recipients take long: what agents have marked so far is
 * recorded without waiting for their answers.
 */
static void marks_look_at_pass(struct pass *pass, void *context)
{
    const struct marks *marks = context;

    if (pass->message->origin == MESSAGE_QUEUE &&
        pass->message->file == marks->backlog->number && pass->requests > 0 &&
        pass->agents_started && pass->work_count > 1 &&
        pass_read_back(pass, NULL))
        pass->source->progress(pass, NULL);
}

static void marks_on_timer(int fd, short events, void *context)
{
    struct marks *marks = context;

    (void)fd;
    (void)events;
    pass_visit(marks_look_at_pass, marks);
    if (marks->submitted == marks->finished)
        marks_submit_all(marks);
    (void)event_add(marks->timer, &marks->interval);
}

struct marks *marks_new(struct backlog *backlog, uint64_t interval_ms)
{
    struct marks *marks = memory_new(sizeof(*marks));

    marks->backlog = backlog;
    marks->last = &marks->first;
    marks_cover(marks, 0);
    marks->interval.tv_sec = (time_t)(interval_ms / 1000);
    marks->interval.tv_usec = (suseconds_t)(interval_ms % 1000 * 1000);
    marks->timer = evtimer_new(backlog->qmgr->base, marks_on_timer, marks);
    (void)event_add(marks->timer, &marks->interval);
    return marks;
}

int marks_are_clean(const struct marks *marks)
{
    return marks->noted_count == 0 && marks->submitted == marks->finished;
}

void marks_free(struct marks *marks)
{
    if (marks == NULL)
        return;
    while (marks->first != NULL) {
        struct marks_waiter *waiter = marks->first;

        marks->first = waiter->next;
        free(waiter);
    }
    event_free(marks->timer);
    free(marks->noted);
    free(marks->is_noted);
    free(marks);
}
