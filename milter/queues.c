/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/queue_watch.h"
#include "milter/queues.h"
#include "module/choice.h"
#include "module/error.h"
#include "program/log.h"

/* A file that was ever in the list stays here, since a mail may hold it. */
struct member {
    char *directory;
    struct shared_queue *shared;
    struct queue_watch *watch;
    int listed;
};

struct queues {
    const struct config *config;
    unsigned retry_ms;
    pthread_mutex_t mutex; /* guards all below */
    struct member *members;
    unsigned count;
    unsigned turn;
    int reported; /* obstacle holds what was logged last */
    char obstacle[QUEUES_OBSTACLE_SIZE];
};

static struct member *find(struct queues *queues, const char *directory)
{
    unsigned i;

    for (i = 0; i < queues->count; i++)
        if (!strcmp(queues->members[i].directory, directory))
            return &queues->members[i];
    return NULL;
}

static void member_clear(struct member *member)
{
    queue_watch_free(member->watch);
    shared_queue_free(member->shared);
    free(member->directory);
}

static int add(struct queues *queues, const char *directory, int several)
{
    struct member *grown, *member;
    int result;

    grown = reallocarray(queues->members, queues->count + 1, sizeof(*grown));
    if (!grown)
        return ENOMEM;
    queues->members = grown;
    member = &grown[queues->count];
    memset(member, 0, sizeof(*member));
    member->directory = strdup(directory);
    result = member->directory
                 ? shared_queue_new(queues->config, member->directory,
                                    queues->retry_ms, &member->shared)
                 : ENOMEM;
    if (!result)
        shared_queue_set_use(member->shared, 1, several);
    if (!result)
        result =
            queue_watch_new(member->shared, queues->retry_ms, &member->watch);
    if (result) {
        member_clear(member);
        return result;
    }
    queues->count++;
    return 0;
}

int queues_change(struct queues *queues, const struct files *files)
{
    struct member *member;
    int result = 0, error;
    unsigned i;

    pthread_mutex_lock(&queues->mutex);
    for (i = 0; i < files->count; i++) {
        if (find(queues, files->list[i].directory))
            continue;
        error = add(queues, files->list[i].directory, files->count > 1);
        if (error)
            result = error;
    }
    for (i = 0; i < queues->count; i++) {
        member = &queues->members[i];
        member->listed = files_find(files, member->directory) != NULL;
        shared_queue_set_use(member->shared, member->listed, files->count > 1);
    }
    pthread_mutex_unlock(&queues->mutex);
    return result;
}

int queues_new(const struct config *config, const struct files *files,
               unsigned retry_ms, struct queues **result_queues)
{
    struct queues *queues = calloc(1, sizeof(*queues));
    int result;

    if (!queues)
        return ENOMEM;
    queues->config = config;
    queues->retry_ms = retry_ms;
    pthread_mutex_init(&queues->mutex, NULL);
    result = queues_change(queues, files);
    if (result) {
        queues_free(queues);
        return result;
    }
    *result_queues = queues;
    return 0;
}

void queues_free(struct queues *queues)
{
    unsigned i;

    if (!queues)
        return;
    for (i = 0; i < queues->count; i++)
        member_clear(&queues->members[i]);
    free(queues->members);
    pthread_mutex_destroy(&queues->mutex);
    free(queues);
}

static unsigned collect(struct queues *queues, struct candidates *candidates)
{
    struct candidate *candidate;
    unsigned i, turn;

    pthread_mutex_lock(&queues->mutex);
    candidates->count = 0;
    for (i = 0; i < queues->count && candidates->count < SYNCQ_FILES_MAX; i++) {
        if (!queues->members[i].listed)
            continue;
        candidate = &candidates->list[candidates->count++];
        candidate->shared = queues->members[i].shared;
        candidate->directory = queues->members[i].directory;
        candidate->queue = NULL;
        candidate->message_size_max = 0;
        *candidate->gate = 0;
    }
    turn = queues->turn++;
    pthread_mutex_unlock(&queues->mutex);
    return turn;
}

/* What it costs to wait for this one; UINT64_MAX: it cannot be used.  Where a
 * helper has died another file takes the mail, without waiting for the next. */
static uint64_t candidate_cost(struct candidate *candidate)
{
    struct syncq_load load;

    if (!candidate->queue)
        return UINT64_MAX;
    syncq_load_read(candidate->queue, &load);
    if (load.served)
        return syncq_load_cost(&load);
    shared_queue_put(candidate->shared);
    candidate->queue = NULL;
    candidate->error = SYNCQ_ERR_NO_HELPER;
    return UINT64_MAX;
}

static void sort(struct candidates *candidates, unsigned turn)
{
    struct candidate sorted[SYNCQ_FILES_MAX];
    uint64_t costs[SYNCQ_FILES_MAX];
    unsigned order[SYNCQ_FILES_MAX], i;

    if (candidates->count < 2)
        return;
    for (i = 0; i < candidates->count; i++)
        costs[i] = candidate_cost(&candidates->list[i]);
    syncq_choice_order(costs, candidates->count, turn, order);
    for (i = 0; i < candidates->count; i++)
        sorted[i] = candidates->list[order[i]];
    memcpy(candidates->list, sorted, candidates->count * sizeof(sorted[0]));
}

void queues_take(struct queues *queues, struct candidates *candidates)
{
    unsigned turn = collect(queues, candidates), i;
    struct candidate *candidate;

    for (i = 0; i < candidates->count; i++) {
        candidate = &candidates->list[i];
        candidate->error = shared_queue_take(
            candidate->shared, &candidate->queue, &candidate->message_size_max);
    }
    sort(candidates, turn);
    candidates->usable = 0;
    while (candidates->usable < candidates->count &&
           candidates->list[candidates->usable].queue)
        candidates->usable++;
}

void queues_put(struct candidates *candidates)
{
    unsigned i;

    for (i = 0; i < candidates->usable; i++)
        shared_queue_put(candidates->list[i].shared);
    candidates->count = candidates->usable = 0;
}

void queues_explain(const struct candidates *candidates,
                    char text[QUEUES_OBSTACLE_SIZE])
{
    size_t used = 0;
    unsigned i;

    *text = 0;
    for (i = 0; i < candidates->count && used < QUEUES_OBSTACLE_SIZE; i++) {
        const struct candidate *candidate = &candidates->list[i];

        if (candidates->count > 1)
            used +=
                (size_t)snprintf(text + used, QUEUES_OBSTACLE_SIZE - used,
                                 "%s%s: ", i ? "; " : "", candidate->directory);
        if (used < QUEUES_OBSTACLE_SIZE)
            used += (size_t)snprintf(
                text + used, QUEUES_OBSTACLE_SIZE - used, "%s",
                *candidate->gate ? candidate->gate
                                 : syncq_strerror(candidate->error));
    }
}

/* "/a, /b"; the mutex is held. */
static void name_all(const struct queues *queues, char *text, size_t size)
{
    size_t used = 0;
    unsigned i;

    *text = 0;
    for (i = 0; i < queues->count && used < size; i++)
        if (queues->members[i].listed)
            used += (size_t)snprintf(text + used, size - used, "%s%s",
                                     used ? ", " : "",
                                     queues->members[i].directory);
}

void queues_report(struct queues *queues, const char *obstacle)
{
    const char *text = obstacle ? obstacle : "";
    char names[QUEUES_OBSTACLE_SIZE];
    int news;

    pthread_mutex_lock(&queues->mutex);
    news = !queues->reported ||
           strncmp(queues->obstacle, text, QUEUES_OBSTACLE_SIZE - 1) != 0;
    if (news) {
        queues->reported = 1;
        (void)snprintf(queues->obstacle, QUEUES_OBSTACLE_SIZE, "%s", text);
        name_all(queues, names, sizeof(names));
    }
    pthread_mutex_unlock(&queues->mutex);
    if (news && obstacle)
        log_warning("not capturing mail: %s", obstacle);
    else if (news)
        log_info("capturing mail into %s", names);
}
