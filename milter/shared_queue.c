/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "milter/shared_queue.h"
#include "module/error.h"
#include "program/files.h"

struct shared_queue {
    const struct config *config;
    const char *directory;
    unsigned retry_ms;
    pthread_mutex_t mutex; /* guards all below */
    struct syncq_queue *queue;
    uint64_t message_size_max;
    unsigned user_count;
    int retired;  /* to be closed by its last user */
    int changing; /* a thread is in open or close, without the mutex */
    int result;   /* of the last attempt to open */
    int tried;
    int64_t tried_ms;
    int unwanted, in_background;
};

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int shared_queue_new(const struct config *config, const char *directory,
                     unsigned retry_ms, struct shared_queue **result)
{
    struct shared_queue *shared = calloc(1, sizeof(*shared));

    if (!shared)
        return ENOMEM;
    shared->config = config;
    shared->directory = directory;
    shared->retry_ms = retry_ms;
    pthread_mutex_init(&shared->mutex, NULL);
    *result = shared;
    return 0;
}

void shared_queue_free(struct shared_queue *shared)
{
    if (!shared)
        return;
    syncq_queue_close(shared->queue);
    pthread_mutex_destroy(&shared->mutex);
    free(shared);
}

/* Called and left with the mutex held, like queue_open. */
static void queue_close(struct shared_queue *shared)
{
    struct syncq_queue *queue = shared->queue;

    shared->queue = NULL;
    shared->retired = 0;
    shared->changing = 1;
    pthread_mutex_unlock(&shared->mutex);
    syncq_queue_close(queue);
    pthread_mutex_lock(&shared->mutex);
    shared->changing = 0;
}

static void queue_open(struct shared_queue *shared)
{
    struct syncq_queue *queue = NULL;
    struct syncq_queue_status status = {0};
    struct config one;
    int result;

    shared->tried = 1;
    shared->tried_ms = clock_ms();
    shared->changing = 1;
    pthread_mutex_unlock(&shared->mutex);
    result = files_config(shared->config, shared->directory, &one);
    if (!result)
        result = syncq_queue_open(one.queue_directory, one.run_directory,
                                  SYNCQ_OPEN_WRITE, &queue);
    files_config_clear(&one);
    if (!result)
        result = syncq_queue_status(queue, &status);
    if (result) {
        syncq_queue_close(queue);
        queue = NULL;
    }
    pthread_mutex_lock(&shared->mutex);
    shared->changing = 0;
    shared->queue = queue;
    shared->message_size_max = status.message_size_max;
    shared->result = result;
}

static int is_due(const struct shared_queue *shared)
{
    return !shared->tried || clock_ms() - shared->tried_ms >= shared->retry_ms;
}

static int queue_get_ready(struct shared_queue *shared)
{
    if (shared->queue && !shared->retired) {
        int result = syncq_queue_usable(shared->queue);

        if (result != SYNCQ_ERR_DETACHED)
            return result;
        shared->retired = 1;
        shared->result = result;
    }
    /* Only one may be open in a process: the old one must go first. */
    if (shared->retired && shared->user_count)
        return shared->result;
    if (shared->retired)
        queue_close(shared);
    if (shared->queue)
        return 0; /* another thread was faster while this one closed */
    if (shared->changing)
        return shared->result ? shared->result : SYNCQ_ERR_NO_HELPER;
    if (!is_due(shared) || shared->in_background || shared->unwanted)
        return shared->result ? shared->result : SYNCQ_ERR_DETACHED;
    queue_open(shared);
    return shared->result;
}

int shared_queue_take(struct shared_queue *shared, struct syncq_queue **queue,
                      uint64_t *message_size_max)
{
    int result;

    pthread_mutex_lock(&shared->mutex);
    result = queue_get_ready(shared);
    if (!result) {
        shared->user_count++;
        *queue = shared->queue;
        *message_size_max = shared->message_size_max;
    }
    pthread_mutex_unlock(&shared->mutex);
    return result;
}

void shared_queue_put(struct shared_queue *shared)
{
    pthread_mutex_lock(&shared->mutex);
    if (!--shared->user_count && shared->retired)
        queue_close(shared);
    pthread_mutex_unlock(&shared->mutex);
}

void shared_queue_set_use(struct shared_queue *shared, int wanted,
                          int in_background)
{
    pthread_mutex_lock(&shared->mutex);
    shared->unwanted = !wanted;
    shared->in_background = in_background;
    pthread_mutex_unlock(&shared->mutex);
}

void shared_queue_check(struct shared_queue *shared)
{
    pthread_mutex_lock(&shared->mutex);
    if (shared->queue && !shared->retired &&
        (shared->unwanted ||
         syncq_queue_usable(shared->queue) == SYNCQ_ERR_DETACHED)) {
        shared->retired = 1;
        shared->result = SYNCQ_ERR_DETACHED;
    }
    if (shared->queue && shared->retired && !shared->user_count)
        queue_close(shared);
    if (!shared->queue && shared->in_background && !shared->unwanted &&
        !shared->changing && is_due(shared))
        queue_open(shared);
    pthread_mutex_unlock(&shared->mutex);
}
