/* SPDX-License-Identifier: MIT */
#include "sync-helper/roster.h"

#include <string.h>
#include <sys/wait.h>

#include "module/error.h"
#include "program/log.h"
#include "sync-helper/attendant.h"

void roster_merge(struct roster *roster, struct syncq_set *copy)
{
    struct attendant *each;

    if (!syncq_set_merge(&roster->set, copy))
        return;
    /* An older state of things may lack who is here now. */
    for (each = roster->first; each != NULL; each = each->next)
        if (each->has_uuid && syncq_set_find(&roster->set, each->uuid) == NULL)
            (void)syncq_set_put(&roster->set, each->uuid, each->directory,
                                SYNCQ_SET_USED);
    (void)pthread_cond_broadcast(&roster->changed);
}

int roster_enter(struct roster *roster, struct attendant *attendant,
                 const uint8_t uuid[SYNCQ_UUID_SIZE])
{
    const struct syncq_set_member *known = syncq_set_find(&roster->set, uuid);
    enum syncq_set_state state =
        attendant->drain ? SYNCQ_SET_DRAINING : SYNCQ_SET_USED;
    struct attendant *each;
    int result;

    for (each = roster->first; each != NULL; each = each->next)
        if (each != attendant && each->has_uuid && !each->stop &&
            memcmp(each->uuid, uuid, SYNCQ_UUID_SIZE) == 0)
            return SYNCQ_ERR_EXISTS;
    /* Whether mail is left is looked at anew once it is open. */
    if (attendant->drain && known != NULL)
        state = known->state;
    result = syncq_set_put(&roster->set, uuid, attendant->directory, state);
    if (result != 0)
        return result;
    memcpy(attendant->uuid, uuid, SYNCQ_UUID_SIZE);
    attendant->has_uuid = 1;
    (void)pthread_cond_broadcast(&roster->changed);
    return 0;
}

/* Is a member of the set in the list?  One that cannot be read is told by its
 * directory. */
static int is_listed(const struct roster *roster,
                     const struct syncq_set_member *member)
{
    const struct attendant *each;

    for (each = roster->first; each != NULL; each = each->next) {
        if (each->stop)
            continue;
        if (each->has_uuid
                ? memcmp(each->uuid, member->uuid, SYNCQ_UUID_SIZE) == 0
                : strcmp(each->directory, member->directory) == 0)
            return 1;
    }
    return 0;
}

static void report(struct roster *roster, const struct syncq_set_member *member)
{
    char text[FILES_UUID_TEXT_SIZE];

    for (unsigned i = 0; i < roster->reported_count; i++)
        if (memcmp(roster->reported[i], member->uuid, SYNCQ_UUID_SIZE) == 0)
            return;
    if (roster->reported_count < SYNCQ_FILES_MAX)
        memcpy(roster->reported[roster->reported_count++], member->uuid,
               SYNCQ_UUID_SIZE);
    files_uuid_text(member->uuid, text);
    log_error("queue %s: this queue file (%s) was in use and is not drained, "
              "but neither queue_files nor drain_files has it; its mail waits",
              member->directory, text);
}

void roster_check(struct roster *roster)
{
    const struct attendant *each;

    if (roster->stopping)
        return;
    for (each = roster->first; each != NULL; each = each->next)
        if (!each->stop && !each->looked)
            return;
    for (unsigned i = roster->set.count; i-- > 0;) {
        const struct syncq_set_member *member = &roster->set.members[i];

        if (is_listed(roster, member))
            continue;
        if (member->state != SYNCQ_SET_DRAINED) {
            report(roster, member);
            continue;
        }
        log_info("queue %s: was drained and is no longer in use",
                 member->directory);
        syncq_set_remove(&roster->set, member->uuid);
        (void)pthread_cond_broadcast(&roster->changed);
    }
}

static void add(struct roster *roster, const struct files_one *file)
{
    struct attendant *attendant =
        attendant_new(roster, file->directory, file->drain);

    if (attendant == NULL)
        return;
    attendant->next = roster->first;
    roster->first = attendant;
}

/*
 * The usual directory may have held the only queue file until now, which then
 * is the only one that remembers it.
 */
static void read_usual(struct roster *roster, const struct files *files)
{
    const char *directory = roster->config->queue_directory;
    struct syncq_set copy;

    if (files_find(files, directory) == NULL &&
        syncq_set_read(directory, &copy) == 0)
        (void)syncq_set_merge(&roster->set, &copy);
}

void roster_start(struct roster *roster, const struct config *config,
                  char **argv, const struct files *files)
{
    pthread_condattr_t attributes;

    memset(roster, 0, sizeof *roster);
    roster->config = config;
    roster->argv = argv;
    (void)pthread_mutex_init(&roster->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&roster->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    read_usual(roster, files);
    (void)pthread_mutex_lock(&roster->lock);
    for (unsigned i = 0; i < files->count; i++)
        add(roster, &files->list[i]);
    (void)pthread_mutex_unlock(&roster->lock);
}

static struct attendant *find(const struct roster *roster,
                              const char *directory)
{
    struct attendant *each;

    for (each = roster->first; each != NULL; each = each->next)
        if (!each->stop && strcmp(each->directory, directory) == 0)
            return each;
    return NULL;
}

void roster_change(struct roster *roster, const struct files *files)
{
    struct attendant *each;

    (void)pthread_mutex_lock(&roster->lock);
    for (each = roster->first; each != NULL; each = each->next)
        each->stop |= files_find(files, each->directory) == NULL;
    for (unsigned i = 0; i < files->count; i++) {
        each = find(roster, files->list[i].directory);
        if (each != NULL)
            each->drain = files->list[i].drain;
        else
            add(roster, &files->list[i]);
    }
    /* What was missing and is back may be missed again. */
    roster->reported_count = 0;
    roster_check(roster);
    (void)pthread_cond_broadcast(&roster->changed);
    (void)pthread_mutex_unlock(&roster->lock);
}

void roster_reap(struct roster *roster)
{
    struct attendant *each;
    int status;

    (void)pthread_mutex_lock(&roster->lock);
    for (each = roster->first; each != NULL; each = each->next) {
        if (each->worker == 0 ||
            waitpid(each->worker, &status, WNOHANG) != each->worker)
            continue;
        each->worker = 0;
        if (!each->stop)
            log_warning(
                "queue %s: its sync helper has ended, %s %d", each->directory,
                WIFSIGNALED(status) ? "signal" : "exit code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    (void)pthread_cond_broadcast(&roster->changed);
    (void)pthread_mutex_unlock(&roster->lock);
}

void roster_stop(struct roster *roster)
{
    struct attendant *each;

    (void)pthread_mutex_lock(&roster->lock);
    roster->stopping = 1;
    for (each = roster->first; each != NULL; each = each->next)
        each->stop = 1;
    (void)pthread_cond_broadcast(&roster->changed);
    (void)pthread_mutex_unlock(&roster->lock);
    while ((each = roster->first) != NULL) {
        roster->first = each->next;
        attendant_free(each);
    }
    syncq_set_clear(&roster->set);
    (void)pthread_cond_destroy(&roster->changed);
    (void)pthread_mutex_destroy(&roster->lock);
}
