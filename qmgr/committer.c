/* SPDX-License-Identifier: MIT */
/*
 * committer.c - order of writes for an imported file
 *
 *   append, sync: the record is durable, its parts `synced`
 *   unlink, sync the directory: the file is gone for good
 *   then the event loop makes the parts `ready`
 *
 * A crash before the unlink leaves both: the record is cancelled and the file
 * imported anew.  A crash after it leaves a `synced` record without a file,
 * which becomes ready.
 */
#include "qmgr/committer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "module/append.h"
#include "module/error.h"
#include "module/record_format.h"
#include "qmgr/memory.h"

#define COMMITTER_BATCH_COUNT 256   /* jobs appended before one waits */
#define COMMITTER_WAIT_MS     200   /* between looks at the stop flag */
#define COMMITTER_CONFIRM_MS  10000 /* then the helper counts as gone */
#define COMMITTER_STALLED_MS  1000  /* the same while it is known to be */
#define COMMITTER_PATH_SIZE   512

struct committer_batch {
    struct committer_job *first, **last;
};

struct committer {
    struct syncq_queue *queue;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct committer_batch waiting, done; /* under lock */
    int stop;                             /* under lock */
    unsigned count;                       /* submitted, not reported */
    int stalled; /* the thread's: the last confirm did not come */
    int eventfd;
    struct event *event;
};

static void committer_push(struct committer_batch *batch,
                           struct committer_job *job)
{
    job->next = NULL;
    *batch->last = job;
    batch->last = &job->next;
}

static void committer_batch_init(struct committer_batch *batch)
{
    batch->first = NULL;
    batch->last = &batch->first;
}

static int committer_is_stopping(struct committer *committer)
{
    int stop;

    (void)pthread_mutex_lock(&committer->lock);
    stop = committer->stop;
    (void)pthread_mutex_unlock(&committer->lock);
    return stop;
}

static int committer_append(struct committer *committer,
                            const struct committer_job *job,
                            struct syncq_ticket *ticket)
{
    struct iovec content = {(void *)(uintptr_t)job->content, job->content_size};

    if (job->envelope == NULL)
        return syncq_marks_append(committer->queue, job->marks, job->mark_count,
                                  ticket);
    return syncq_append(committer->queue, SYNCQ_RECORD_POSTFIX, job->envelope,
                        &content, 1, ticket);
}

static void committer_keep_slots(struct committer_job *job,
                                 const struct syncq_ticket *ticket)
{
    if (job->envelope == NULL)
        return;
    job->sequence = ticket->sequence;
    job->slots =
        memory_copy(ticket->slots, ticket->slot_count * sizeof(job->slots[0]));
}

/*
 * Without a helper nothing is confirmed.  Mail must not wait for that: it goes
 * out from its file, and marks are tried again.
 */
static int committer_wait(struct committer *committer,
                          struct syncq_ticket *ticket)
{
    int left_ms =
        committer->stalled ? COMMITTER_STALLED_MS : COMMITTER_CONFIRM_MS;
    int result;

    do {
        result = syncq_ticket_wait(committer->queue, ticket, COMMITTER_WAIT_MS);
        left_ms -= COMMITTER_WAIT_MS;
    } while (result == SYNCQ_ERR_TIMEOUT && left_ms > 0 &&
             !committer_is_stopping(committer));
    committer->stalled = result == SYNCQ_ERR_TIMEOUT;
    if (result == SYNCQ_ERR_TIMEOUT &&
        syncq_ticket_abandon(committer->queue, ticket) == SYNCQ_ERR_EXISTS)
        result = 0;
    return result;
}

/*
 * Sync the directories of the files that were removed, each once.  If that
 * fails, a file can come back after a power cut; it is then known by its time
 * of arrival and removed again.
 */
static void committer_sync_directories(const struct committer_job *jobs)
{
    char last[COMMITTER_PATH_SIZE] = "";
    const struct committer_job *job;

    for (job = jobs; job != NULL; job = job->next) {
        char path[COMMITTER_PATH_SIZE];
        char *slash;
        int fd;

        if (job->file == NULL || job->result != 0 ||
            strlen(job->file) >= sizeof(path))
            continue;
        memcpy(path, job->file, strlen(job->file) + 1);
        slash = strrchr(path, '/');
        if (slash == NULL)
            continue;
        *slash = '\0';
        if (strcmp(path, last) == 0)
            continue;
        memcpy(last, path, sizeof(last));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd);
            (void)close(fd);
        }
    }
}

/* Append all, wait for all, then remove the files. */
static void committer_commit(struct committer *committer,
                             struct committer_job *jobs)
{
    struct syncq_ticket tickets[COMMITTER_BATCH_COUNT];
    struct committer_job *job;
    size_t i = 0;

    for (job = jobs; job != NULL; job = job->next, i++)
        job->result = job->work != NULL
                          ? job->work(committer->queue, job->work_context)
                          : committer_append(committer, job, &tickets[i]);
    for (job = jobs, i = 0; job != NULL; job = job->next, i++) {
        if (job->result != 0 || job->work != NULL)
            continue;
        job->result = committer_wait(committer, &tickets[i]);
        committer_keep_slots(job, &tickets[i]);
        syncq_ticket_finish(committer->queue, &tickets[i],
                            job->result == 0 ? SYNCQ_STATUS_SYNCED
                                             : SYNCQ_STATUS_CANCELLED);
    }
    for (job = jobs; job != NULL; job = job->next) {
        if (job->file != NULL && job->result == 0)
            job->unlink_result = unlink(job->file) == 0 ? 0 : errno;
    }
    committer_sync_directories(jobs);
}

/* Up to a batch of waiting jobs; NULL: stop. */
static struct committer_job *committer_take(struct committer *committer)
{
    struct committer_batch batch;
    unsigned count = 0;

    committer_batch_init(&batch);
    (void)pthread_mutex_lock(&committer->lock);
    while (committer->waiting.first == NULL && !committer->stop)
        (void)pthread_cond_wait(&committer->work, &committer->lock);
    while (!committer->stop && committer->waiting.first != NULL &&
           count++ < COMMITTER_BATCH_COUNT) {
        struct committer_job *job = committer->waiting.first;

        committer->waiting.first = job->next;
        if (committer->waiting.first == NULL)
            committer->waiting.last = &committer->waiting.first;
        committer_push(&batch, job);
    }
    (void)pthread_mutex_unlock(&committer->lock);
    return batch.first;
}

static void *committer_main(void *context)
{
    struct committer *committer = context;
    struct committer_job *jobs;
    uint64_t one = 1;

    while ((jobs = committer_take(committer)) != NULL) {
        committer_commit(committer, jobs);
        (void)pthread_mutex_lock(&committer->lock);
        while (jobs != NULL) {
            struct committer_job *next = jobs->next;

            committer_push(&committer->done, jobs);
            jobs = next;
        }
        (void)pthread_mutex_unlock(&committer->lock);
        (void)!write(committer->eventfd, &one, sizeof(one));
    }
    return NULL;
}

static void committer_report(struct committer *committer)
{
    struct committer_job *jobs;

    (void)pthread_mutex_lock(&committer->lock);
    jobs = committer->done.first;
    committer_batch_init(&committer->done);
    (void)pthread_mutex_unlock(&committer->lock);
    while (jobs != NULL) {
        struct committer_job *job = jobs;

        jobs = job->next;
        committer->count--;
        job->done(job, job->context);
    }
}

static void committer_on_event(int fd, short events, void *context)
{
    uint64_t count;

    (void)events;
    (void)!read(fd, &count, sizeof(count));
    committer_report(context);
}

int committer_new(struct event_base *base, struct syncq_queue *queue,
                  struct committer **out)
{
    struct committer *committer = memory_new(sizeof(*committer));
    sigset_t all, old;
    int result;

    committer->queue = queue;
    committer_batch_init(&committer->waiting);
    committer_batch_init(&committer->done);
    (void)pthread_mutex_init(&committer->lock, NULL);
    (void)pthread_cond_init(&committer->work, NULL);
    committer->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (committer->eventfd < 0) {
        result = errno;
        free(committer);
        return result;
    }
    /* Signals are for the event loop. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &old);
    result =
        pthread_create(&committer->thread, NULL, committer_main, committer);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (result != 0) {
        (void)close(committer->eventfd);
        free(committer);
        return result;
    }
    committer->event = event_new(base, committer->eventfd, EV_READ | EV_PERSIST,
                                 committer_on_event, committer);
    (void)event_add(committer->event, NULL);
    *out = committer;
    return 0;
}

void committer_submit(struct committer *committer, struct committer_job *job)
{
    job->result = job->unlink_result = 0;
    job->slots = NULL;
    committer->count++;
    (void)pthread_mutex_lock(&committer->lock);
    committer_push(&committer->waiting, job);
    (void)pthread_cond_signal(&committer->work);
    (void)pthread_mutex_unlock(&committer->lock);
}

int committer_drain(struct committer *committer, int timeout_ms)
{
    struct pollfd ready = {.fd = committer->eventfd, .events = POLLIN};
    uint64_t count;

    if (committer->count == 0)
        return 0;
    if (poll(&ready, 1, timeout_ms) > 0)
        (void)!read(committer->eventfd, &count, sizeof(count));
    committer_report(committer);
    return committer->count > 0;
}

void committer_free(struct committer *committer)
{
    struct committer_job *job;

    if (committer == NULL)
        return;
    (void)pthread_mutex_lock(&committer->lock);
    committer->stop = 1;
    (void)pthread_cond_signal(&committer->work);
    (void)pthread_mutex_unlock(&committer->lock);
    (void)pthread_join(committer->thread, NULL);
    committer_report(committer);
    while ((job = committer->waiting.first) != NULL) {
        committer->waiting.first = job->next;
        job->result = ECANCELED;
        job->done(job, job->context);
    }
    event_free(committer->event);
    (void)close(committer->eventfd);
    (void)pthread_cond_destroy(&committer->work);
    (void)pthread_mutex_destroy(&committer->lock);
    free(committer);
}
