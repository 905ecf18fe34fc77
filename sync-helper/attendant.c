/* SPDX-License-Identifier: MIT */
#include "sync-helper/attendant.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "module/error.h"
#include "module/queue.h"
#include "module/running.h"
#include "program/log.h"
#include "sync-helper/worker.h"

enum {
    RETRY_FIRST_S = 1,
    RETRY_MAX_S = 60,
    DRAIN_LOOK_S = 2,  /* between looks for mail that is left */
    DRAIN_LOOKS = 2,   /* in a row without mail: drained */
    SET_AGAIN_S = 60,  /* after the set could not be written */
    FOR_EVER_S = 86400 /* nothing to do until somebody says so */
};

static struct timespec after(time_t seconds)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    return end;
}

/* Wait for a change or that time; the lock is held. */
static int wait_until(struct attendant *attendant, const struct timespec *end)
{
    return pthread_cond_timedwait(&attendant->roster->changed,
                                  &attendant->roster->lock, end);
}

/* What other files said the last time that this one was here. */
static void read_set(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    struct syncq_set copy;
    int result = syncq_set_read(attendant->directory, &copy);

    if (result != 0 && result != SYNCQ_ERR_NO_QUEUE)
        log_warning("queue %s: cannot read %s: %s", attendant->directory,
                    SYNCQ_SET_FILE, syncq_strerror(result));
    (void)pthread_mutex_lock(&roster->lock);
    attendant->written = copy.generation;
    roster_merge(roster, &copy);
    attendant->looked = 1;
    (void)pthread_mutex_unlock(&roster->lock);
}

static int copy_set(const struct syncq_set *set, struct syncq_set *copy)
{
    int result = 0;

    *copy = (struct syncq_set){.count = 0};
    for (unsigned i = 0; i < set->count && result == 0; i++)
        result =
            syncq_set_put(copy, set->members[i].uuid, set->members[i].directory,
                          set->members[i].state);
    copy->generation = set->generation;
    return result;
}

/* The lock is held, but not while the disk is at work. */
static int write_set(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    struct syncq_set copy;
    int result = copy_set(&roster->set, &copy);

    (void)pthread_mutex_unlock(&roster->lock);
    if (result == 0)
        result = syncq_set_write(attendant->directory, &copy);
    if (result == 0)
        attendant->written = copy.generation;
    else
        log_warning("queue %s: cannot write %s: %s", attendant->directory,
                    SYNCQ_SET_FILE, syncq_strerror(result));
    syncq_set_clear(&copy);
    (void)pthread_mutex_lock(&roster->lock);
    return result;
}

static int enter(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    int result = syncq_queue_uuid(attendant->directory, uuid);

    if (result != 0)
        return result;
    (void)pthread_mutex_lock(&roster->lock);
    result = roster_enter(roster, attendant, uuid);
    (void)pthread_mutex_unlock(&roster->lock);
    return result;
}

static int make_run_directory(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0
           : errno == ENOENT                         ? SYNCQ_ERR_RUN_DIRECTORY
                                                     : errno;
}

/* What is known to be hopeless is not tried by a worker, whose every attempt
 * would be a line in the log. */
static int check_file(const struct attendant *attendant)
{
    struct syncq_queue_status status;
    struct syncq_queue *queue = NULL;
    int result = syncq_queue_open(attendant->config.queue_directory,
                                  attendant->config.run_directory,
                                  SYNCQ_OPEN_READ, &queue);

    if (result == SYNCQ_ERR_INDEX || result == SYNCQ_ERR_NO_QUEUE)
        return 0; /* the index is made anew */
    if (result == 0)
        result = syncq_queue_status(queue, &status);
    if (result == 0 && status.latched)
        result = SYNCQ_ERR_LATCHED;
    syncq_queue_close(queue);
    return result;
}

/* 0: a worker was started. */
static int start_worker(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    const char *usual = roster->config->run_directory;
    int result;

    read_set(attendant);
    result = enter(attendant);
    if (result != 0)
        return result;
    files_config_clear(&attendant->config);
    result =
        files_config(roster->config, attendant->directory, &attendant->config);
    if (result == 0 && strcmp(attendant->config.run_directory, usual) != 0)
        result = make_run_directory(attendant->config.run_directory);
    if (result == 0)
        result = check_file(attendant);
    if (result != 0)
        return result;
    (void)pthread_mutex_lock(&roster->lock);
    attendant->told = attendant->drain;
    if (!attendant->stop)
        result = worker_start(roster->argv, &attendant->config,
                              attendant->drain, &attendant->worker);
    (void)pthread_mutex_unlock(&roster->lock);
    return result;
}

/* Mail that is left, while a worker serves the file and knows that it takes no
 * more; else any number that is not 0. */
static uint64_t count_live(const struct attendant *attendant)
{
    struct syncq_queue *queue = NULL;
    uint64_t live = 1;

    if (syncq_queue_open(attendant->config.queue_directory,
                         attendant->config.run_directory, SYNCQ_OPEN_READ,
                         &queue) == 0 &&
        syncq_running_helper(queue) == 0 && syncq_queue_draining(queue))
        live = syncq_queue_live_count(queue);
    syncq_queue_close(queue);
    return live;
}

static void note_state(struct attendant *attendant, enum syncq_set_state state,
                       uint64_t live)
{
    struct roster *roster = attendant->roster;
    const struct syncq_set_member *member =
        syncq_set_find(&roster->set, attendant->uuid);

    if (member != NULL && member->state == state)
        return;
    if (state == SYNCQ_SET_DRAINED)
        log_info("queue %s: drained: may be removed", attendant->directory);
    else if (state == SYNCQ_SET_DRAINING)
        log_info("queue %s: draining, %llu parts of messages are left",
                 attendant->directory, (unsigned long long)live);
    (void)syncq_set_put(&roster->set, attendant->uuid, attendant->directory,
                        state);
    (void)pthread_cond_broadcast(&roster->changed);
}

/* Is there still mail in a file that takes no more?  The lock is held. */
static void look_at_drain(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    uint64_t live;

    if (attendant->told != attendant->drain)
        (void)kill(attendant->worker,
                   attendant->drain ? WORKER_SIGNAL_DRAIN : WORKER_SIGNAL_USE);
    attendant->told = attendant->drain;
    if (!attendant->drain) {
        attendant->empty = 0;
        note_state(attendant, SYNCQ_SET_USED, 0);
        return;
    }
    (void)pthread_mutex_unlock(&roster->lock);
    live = count_live(attendant);
    (void)pthread_mutex_lock(&roster->lock);
    if (!attendant->drain)
        return;
    /* A writer that was about to reserve shows up until the next look. */
    attendant->empty = live == 0 ? attendant->empty + 1 : 0;
    note_state(attendant,
               attendant->empty >= DRAIN_LOOKS ? SYNCQ_SET_DRAINED
                                               : SYNCQ_SET_DRAINING,
               live);
}

/* Until somebody wants the end, or the worker has ended; the lock is held. */
static void attend(struct attendant *attendant)
{
    struct roster *roster = attendant->roster;
    struct timespec end;
    int failed = 0;

    while (!attendant->stop && attendant->worker != 0) {
        look_at_drain(attendant);
        roster_check(roster);
        if (attendant->stop || attendant->worker == 0)
            break;
        if (attendant->written != roster->set.generation && !failed) {
            failed = write_set(attendant) != 0;
            continue; /* it may have changed meanwhile */
        }
        end = after(attendant->drain ? DRAIN_LOOK_S
                    : failed         ? SET_AGAIN_S
                                     : FOR_EVER_S);
        if (wait_until(attendant, &end) == ETIMEDOUT)
            failed = 0;
    }
}

/* The lock is held, but not while the worker ends. */
static void stop_worker(struct attendant *attendant)
{
    pid_t worker = attendant->worker;

    if (worker == 0)
        return;
    (void)kill(worker, SIGTERM);
    (void)pthread_mutex_unlock(&attendant->roster->lock);
    while (waitpid(worker, NULL, 0) < 0 && errno == EINTR)
        ; /* ECHILD: roster_reap was faster */
    (void)pthread_mutex_lock(&attendant->roster->lock);
    attendant->worker = 0;
}

static void report(struct attendant *attendant, int error)
{
    if (attendant->error == error)
        return;
    attendant->error = error;
    if (error != 0)
        log_error("queue %s: %s", attendant->directory,
                  error == SYNCQ_ERR_EXISTS
                      ? "a copy of a queue file that is in use; it is left "
                        "alone"
                      : syncq_strerror(error));
}

static void *run(void *context)
{
    struct attendant *attendant = context;
    struct roster *roster = attendant->roster;
    time_t wait_s = RETRY_FIRST_S;
    int stop = 0;

    while (!stop) {
        struct timespec end, started = after(0);
        int result = start_worker(attendant);

        report(attendant, result);
        (void)pthread_mutex_lock(&roster->lock);
        if (result == 0)
            attend(attendant);
        stop_worker(attendant);
        roster_check(roster);
        end = after(0);
        if (end.tv_sec - started.tv_sec > RETRY_MAX_S)
            wait_s = RETRY_FIRST_S; /* it had served for a while */
        end.tv_sec += wait_s;
        while (!attendant->stop && wait_until(attendant, &end) == 0)
            ;
        stop = attendant->stop;
        (void)pthread_mutex_unlock(&roster->lock);
        wait_s = wait_s * 2 > RETRY_MAX_S ? RETRY_MAX_S : wait_s * 2;
    }
    return NULL;
}

struct attendant *attendant_new(struct roster *roster, const char *directory,
                                int drain)
{
    struct attendant *attendant = calloc(1, sizeof *attendant);
    int result = ENOMEM;

    if (attendant == NULL)
        goto out;
    attendant->roster = roster;
    attendant->drain = drain;
    attendant->directory = strdup(directory);
    if (attendant->directory == NULL)
        goto out;
    result = pthread_create(&attendant->thread, NULL, run, attendant);
out:
    if (result == 0)
        return attendant;
    log_error("queue %s: %s", directory, syncq_strerror(result));
    if (attendant != NULL)
        free(attendant->directory);
    free(attendant);
    return NULL;
}

void attendant_free(struct attendant *attendant)
{
    (void)pthread_join(attendant->thread, NULL);
    files_config_clear(&attendant->config);
    free(attendant->directory);
    free(attendant);
}
