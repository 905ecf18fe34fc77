/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/entry.h"
#include "module/error.h"
#include "module/retire.h"
#include "tests/faults/kill_world.h"

enum {
    LOOK_US = 1000,     /* when there is nothing to do */
    TICK_US = 3000,     /* the helper's minutes go by as milliseconds */
    ABANDON_EVERY = 12, /* mails */
    MANAGER_BATCH = 64, /* marks in one record */
    CONFIRM_MS = 15000, /* longer than any test stops the helper */
};

static void trouble(struct role *role, const char *what, int result)
{
    (void)snprintf(role->trouble, sizeof role->trouble, "%s: %s", what,
                   syncq_strerror(result));
    _exit(99);
}

static void say(struct role *role, const struct mail *mail,
                enum oracle_word word)
{
    uint32_t count = atomic_load(&role->journal.count);

    if (count >= JOURNAL_WORDS)
        trouble(role, "journal", ENOSPC);
    role->journal.words[count].mail = *mail;
    role->journal.words[count].word = word;
    atomic_store(&role->journal.count, count + 1);
}

static void did(struct role *role)
{
    atomic_fetch_add(&role->progress, 1);
    syncq_futex_wake(&role->progress);
}

/* Wait for a change that nobody tells of. */
static void look_later(struct role *role)
{
    (void)syncq_futex_wait(&role->stop, 0, LOOK_US);
}

/* Open the queue as soon as a helper serves it; NULL: told to stop. */
static struct syncq_queue *open_queue(struct role *role,
                                      const struct fixture *fixture)
{
    struct syncq_queue *queue = NULL;

    while (!atomic_load(&role->stop)) {
        int result = syncq_queue_open(fixture->queue, fixture->run,
                                      SYNCQ_OPEN_WRITE, &queue);

        if (result == 0)
            break;
        if (result != SYNCQ_ERR_NO_HELPER && result != SYNCQ_ERR_RECOVERING &&
            result != SYNCQ_ERR_LATCHED)
            trouble(role, "open", result);
        look_later(role);
    }
    if (queue != NULL)
        atomic_store(&role->ready, 1);
    return queue;
}

/* ---- writers ---- */

static void next_mail(struct role *role, enum role_name name, struct mail *mail)
{
    uint32_t number = atomic_fetch_add(&role->seed, 1) + 1;
    struct chance chance;
    uint32_t recipients;
    uint64_t size;

    chance_init(&chance, number, name);
    recipients = 1 + (uint32_t)chance_below(&chance, 4);
    switch (chance_below(&chance, 16)) {
    case 0:
        size = 300000 + chance_below(&chance, 1200000);
        break;
    case 1:
    case 2:
        size = chance_below(&chance, 60000);
        break;
    default:
        size = chance_below(&chance, 6000);
        break;
    }
    mail_init(mail, number * ROLES + name, recipients,
              1 + (uint32_t)chance_below(&chance, recipients), size);
}

static int is_full(int result)
{
    return result == SYNCQ_ERR_SEGMENTS_FULL ||
           result == SYNCQ_ERR_ENTRIES_FULL ||
           result == SYNCQ_ERR_REQUESTS_FULL;
}

/* 0, or SYNCQ_ERR_DETACHED. */
static int finish_mail(struct role *role, struct syncq_queue *queue,
                       const struct mail *mail, struct syncq_ticket *ticket)
{
    int result;

    if (mail->seed / ROLES % ABANDON_EVERY == 0) {
        say(role, mail, ORACLE_CANCELLED);
        result = syncq_ticket_abandon(queue, ticket) == SYNCQ_ERR_EXISTS
                     ? 0
                     : SYNCQ_ERR_ABANDONED;
    } else {
        result = syncq_ticket_wait(queue, ticket, CONFIRM_MS);
    }
    if (result == 0)
        say(role, mail, ORACLE_CONFIRMED);
    else if (result != SYNCQ_ERR_ABANDONED)
        say(role, mail, ORACLE_CANCELLED);
    syncq_arrival_send(queue, ticket);
    syncq_ticket_finish(queue, ticket,
                        result == 0 ? SYNCQ_STATUS_SYNCED
                                    : SYNCQ_STATUS_CANCELLED);
    if (result != 0 && result != SYNCQ_ERR_ABANDONED &&
        result != SYNCQ_ERR_DETACHED && result != SYNCQ_ERR_SYNC_FAILED)
        trouble(role, "wait", result);
    return result == SYNCQ_ERR_DETACHED ? result : 0;
}

static int write_mail(struct role *role, enum role_name name,
                      struct syncq_queue *queue)
{
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    next_mail(role, name, &mail);
    say(role, &mail, ORACLE_SUBMITTED);
    result = mail_append(queue, &mail, &ticket);
    if (result == 0)
        return finish_mail(role, queue, &mail, &ticket);
    say(role, &mail, ORACLE_CANCELLED);
    if (is_full(result) || result == EIO) {
        look_later(role);
        return 0;
    }
    if (result != SYNCQ_ERR_DETACHED && result != SYNCQ_ERR_TIMEOUT &&
        result != SYNCQ_ERR_LATCHED)
        trouble(role, "append", result);
    return result == SYNCQ_ERR_TIMEOUT ? 0 : SYNCQ_ERR_DETACHED;
}

/* As many mails as the test has asked for; false: told to stop. */
static int await_permit(struct world *world, struct role *role)
{
    while (!atomic_load(&role->stop)) {
        uint32_t permits = atomic_load(&world->permits);

        if ((int32_t)(permits - atomic_load(&role->progress)) > 0)
            return 1;
        (void)syncq_futex_wait(&world->permits, permits, LOOK_US * 20);
    }
    return 0;
}

void writer_run(struct world *world, struct fixture *fixture,
                enum role_name name)
{
    struct role *role = &world->roles[name];
    struct syncq_queue *queue = NULL;

    while (!atomic_load(&role->stop)) {
        if (queue == NULL)
            queue = open_queue(role, fixture);
        if (queue == NULL || !await_permit(world, role))
            break;
        if (write_mail(role, name, queue) == SYNCQ_ERR_DETACHED) {
            syncq_queue_close(queue);
            queue = NULL;
        } else {
            did(role);
        }
    }
    syncq_queue_close(queue);
}

/* ---- the manager ---- */

struct manager {
    struct role *role;
    struct syncq_queue *queue;
    struct syncq_mark marks[MANAGER_BATCH];
    struct mail mails[MANAGER_BATCH]; /* one for each mark */
    uint32_t count;
};

/* Which mail is this part of?  A part may be retired while it is read. */
static int read_mail(struct manager *manager,
                     const struct syncq_entry_view *view, struct mail *mail)
{
    struct syncq_record record;
    int found = 0;

    if (syncq_record_read(manager->queue, view->state.lsn, view->sequence,
                          &record) != 0)
        return 0;
    *mail = (struct mail){.sequence = view->sequence,
                          .lsn = view->state.lsn,
                          .part_count = view->part_count,
                          .recipient_count = record.header.recipient_count,
                          .size = record.content_size};
    found = mail_seed(&record, &mail->seed);
    syncq_record_clear(&record);
    return found;
}

/* One mail of five waits for the other parts of the log: a part of an older
 * mail is then done in a later segment than its record's. */
static int is_due(struct manager *manager, const struct mail *mail)
{
    const struct role *writer =
        &(manager->role - ROLE_MANAGER)[mail->seed % ROLES];

    return mail->seed / ROLES % 5 != 0 ||
           atomic_load(&writer->seed) > mail->seed / ROLES + 8;
}

static void deliver(struct manager *manager, struct syncq_entry_view *view)
{
    struct syncq_state state = view->state;
    struct mail *mail = &manager->mails[manager->count];

    if (view->state.status != SYNCQ_STATUS_SYNCED ||
        !read_mail(manager, view, mail) || !is_due(manager, mail))
        return;
    state.status = SYNCQ_STATUS_DONE;
    state.mask = syncq_recipients_mask(view->recipient_count);
    say(manager->role, mail, ORACLE_DONE);
    if (syncq_entry_update(manager->queue, view, &state) != 0)
        return;
    SYNCQ_FAILPOINT("manager.entry-written");
    manager->marks[manager->count++] =
        (struct syncq_mark){view->sequence, view->part, state};
}

/* Append marks and wait until they are durable.  0 or an error. */
static int record(struct manager *manager, const struct syncq_mark *marks,
                  uint32_t count)
{
    struct syncq_ticket ticket;
    int result = syncq_marks_append(manager->queue, marks, count, &ticket);

    if (result != 0)
        return result;
    result = syncq_ticket_wait(manager->queue, &ticket, CONFIRM_MS);
    SYNCQ_FAILPOINT("manager.marks-confirmed");
    syncq_ticket_finish(manager->queue, &ticket, SYNCQ_STATUS_SYNCED);
    return result;
}

/* 0, or what marks could not be recorded for. */
static int manage_marks(struct manager *manager)
{
    int result = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(manager->queue) &&
                            manager->count < MANAGER_BATCH;
         slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(manager->queue, slot, &view) == 0)
            deliver(manager, &view);
    }
    if (manager->count == 0)
        return 0;
    result = record(manager, manager->marks, manager->count);
    if (result != 0)
        return result;
    /* Only a mail with one part is done when a part is. */
    for (uint32_t i = 0; i < manager->count; i++)
        if (manager->mails[i].part_count == 1)
            say(manager->role, &manager->mails[i], ORACLE_DONE_DURABLE);
    manager->count = 0;
    did(manager->role);
    return 0;
}

static int manage_segments(struct manager *manager)
{
    struct syncq_queue_status status;
    struct syncq_mark *marks;
    uint32_t segment, count;
    int result = syncq_queue_status(manager->queue, &status);

    if (result != 0 || status.segments_free >= status.segment_count / 2)
        return result;
    result = syncq_retire_find(manager->queue, &segment, &marks, &count);
    if (result != 0)
        return result == SYNCQ_ERR_SEGMENTS_FULL ? 0 : result;
    if (count > 0)
        result = record(manager, marks, count);
    SYNCQ_FAILPOINT("manager.marks-carried");
    if (result == 0)
        syncq_retire_ask(manager->queue, segment);
    free(marks);
    return result;
}

static int manage(struct manager *manager)
{
    int result = manage_marks(manager);

    if (result == 0)
        result = manage_segments(manager);
    if (result == 0 || is_full(result) || result == SYNCQ_ERR_TIMEOUT ||
        result == EIO)
        return syncq_queue_usable(manager->queue);
    return result;
}

void manager_run(struct world *world, struct fixture *fixture)
{
    struct role *role = &world->roles[ROLE_MANAGER];
    struct manager manager = {.role = role};
    int fd = -1, result = syncq_manager_lock(fixture->queue, &fd);

    if (result != 0)
        trouble(role, "manager lock", result);
    while (!atomic_load(&role->stop)) {
        if (manager.queue == NULL)
            manager.queue = open_queue(role, fixture);
        if (manager.queue == NULL)
            break;
        result = manage(&manager);
        if (result != 0 && result != SYNCQ_ERR_DETACHED &&
            result != SYNCQ_ERR_LATCHED && result != SYNCQ_ERR_SYNC_FAILED)
            trouble(role, "manage", result);
        if (result != 0) {
            syncq_queue_close(manager.queue);
            manager.queue = NULL;
        }
        look_later(role);
    }
    syncq_queue_close(manager.queue);
    close(fd);
}

/* ---- the helper ---- */

struct ticker {
    struct helper *helper;
    struct role *role;
};

/* Wake the keeper often, and the batches when it is time to stop. */
static void *tick(void *context)
{
    struct ticker *ticker = context;

    while (!atomic_load(&ticker->role->stop)) {
        (void)syncq_futex_wait(&ticker->role->stop, 0, TICK_US);
        keeper_wake(ticker->helper);
    }
    atomic_store(&ticker->helper->stop, 1);
    syncq_channel_ring(ticker->helper->channel);
    return NULL;
}

void helper_run(struct world *world, struct fixture *fixture)
{
    struct role *role = &world->roles[ROLE_HELPER];
    struct helper *helper = &fixture->helper;
    struct ticker ticker = {helper, role};
    pthread_t thread;
    int result;

    fixture->config.index_sync_interval_ms = 20;
    memset(helper, 0, sizeof *helper);
    if (helper_open(helper, &fixture->config) != 0)
        _exit(1);
    result = pthread_create(&thread, NULL, tick, &ticker);
    if (result != 0)
        trouble(role, "ticker", result);
    atomic_store(&role->ready, 1);
    did(role);
    result = batch_run(helper);
    if (result != 0)
        trouble(role, "batches", result);
    (void)pthread_join(thread, NULL);
    helper_close(helper);
}
