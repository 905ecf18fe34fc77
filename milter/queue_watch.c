/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "milter/queue_watch.h"

struct queue_watch {
    struct shared_queue *shared;
    unsigned interval_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    int stop;
};

static struct timespec deadline(unsigned interval_ms)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += interval_ms / 1000;
    time.tv_nsec += (long)(interval_ms % 1000) * 1000000;
    if (time.tv_nsec >= 1000000000) {
        time.tv_sec++;
        time.tv_nsec -= 1000000000;
    }
    return time;
}

static void *watch_main(void *context)
{
    struct queue_watch *watch = context;

    pthread_mutex_lock(&watch->mutex);
    while (!watch->stop) {
        struct timespec time = deadline(watch->interval_ms);

        /* Opening can take long: the mutex is for the end of the thread. */
        pthread_mutex_unlock(&watch->mutex);
        shared_queue_check(watch->shared);
        pthread_mutex_lock(&watch->mutex);
        while (!watch->stop &&
               !pthread_cond_timedwait(&watch->stopped, &watch->mutex, &time))
            ;
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

int queue_watch_new(struct shared_queue *shared, unsigned interval_ms,
                    struct queue_watch **watch)
{
    struct queue_watch *made = calloc(1, sizeof(*made));
    pthread_condattr_t attributes;
    int result;

    if (!made)
        return ENOMEM;
    made->shared = shared;
    made->interval_ms = interval_ms;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    result = pthread_create(&made->thread, NULL, watch_main, made);
    if (result) {
        free(made);
        return result;
    }
    *watch = made;
    return 0;
}

void queue_watch_free(struct queue_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stop = 1;
    pthread_cond_signal(&watch->stopped);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->stopped);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
