/* SPDX-License-Identifier: MIT */
#include "tests/faults/kill_round.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"

#define BIT(name) (1u << (name))

enum {
    CLIENTS = BIT(ROLE_MANAGER) | BIT(ROLE_WRITER) | BIT(ROLE_OTHER),
    SOON_MS = 200, /* for a later hit, which may not come */
    CRASH_MS = 10, /* of load without a helper */
    REPAIRS = 40,  /* tries to be the one who repairs */
};

static int is_stop(const struct round *round)
{
    return round->action == SYNCQ_FAILPOINT_STOP;
}

/* The armed process has to fire; a later hit may have to be the first. */
static void await(struct session *session, const struct round *round)
{
    enum role_name fired = ROLES;

    if (round->hit > 1)
        fired = session_wait_fired(session, BIT(round->name), SOON_MS);
    if (fired == ROLES && !session->failed && round->hit > 1)
        session_arm(session, round->name, round->point, 1, round->action);
    if (fired == ROLES)
        fired = session_wait_fired(session, BIT(round->name), WORLD_WAIT_MS);
    if (fired == ROLES && !session->failed)
        session_fail(session, "the point is never reached");
    if (fired != ROLES)
        session_wait_end(session, round->name, round->action);
    if (!session->failed)
        findings_count(session->findings, TRIAL_KILL, 1);
}

/* Kill a process at a point; it is only a means. */
static void kill_at(struct session *session, enum role_name name,
                    const char *point)
{
    struct round round = {.point = syncq_failpoint_find(point),
                          .name = name,
                          .action = SYNCQ_FAILPOINT_KILL,
                          .hit = 1};

    session_arm(session, name, round.point, 1, round.action);
    await(session, &round);
}

/* Start a helper that gets there while it starts, the first time. */
static void start_helper_at(struct session *session, const struct round *round)
{
    session_arm(session, ROLE_HELPER, round->point, 1, round->action);
    session_start(session, ROLE_HELPER);
    await(session, round);
}

void round_crash(struct session *session)
{
    if (session->failed)
        return;
    kill_at(session, ROLE_HELPER, "batch.closed");
    (void)session_wait_fired(session, CLIENTS, CRASH_MS);
}

static void start_missing(struct session *session)
{
    for (enum role_name name = 0; name < ROLES && !session->failed; name++)
        if (session->pids[name] == 0)
            session_start_ready(session, name);
}

static void go_on(struct session *session, const struct round *round)
{
    if (is_stop(round) && session->pids[round->name] != 0)
        (void)kill(session->pids[round->name], SIGCONT);
    start_missing(session);
    session_progress(session, CLIENTS);
}

/* Does somebody who is stopped here hold what all need? */
static int holds_all_up(const struct round *round)
{
    static const char *const prefixes[] = {"reserve.", "move.", "repair.",
                                           "index."};

    if (round->name == ROLE_HELPER)
        return 1;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(round->point->name, prefixes[i], strlen(prefixes[i])) == 0)
            return 1;
    return 0;
}

/* A process that works gets there by itself. */
static void round_run(struct session *session, const struct round *round)
{
    enum role_name other = round->name == ROLE_OTHER ? ROLE_WRITER : ROLE_OTHER;

    session_arm(session, round->name, round->point, round->hit, round->action);
    await(session, round);
    if (!session->failed && round->name != ROLE_HELPER &&
        !(is_stop(round) && holds_all_up(round)))
        session_progress(session, BIT(other));
    go_on(session, round);
}

/* The helper dies with requests in hand; its successor gets there. */
static void round_takeover(struct session *session, const struct round *round)
{
    kill_at(session, ROLE_HELPER, "batch.closed");
    if (session->failed)
        return;
    start_helper_at(session, round);
    go_on(session, round);
}

/* All die, one in the middle of an append; the next helper recovers. */
static void round_recovery(struct session *session, const struct round *round)
{
    const struct round stop = {.point = syncq_failpoint_find("append.reserved"),
                               .name = ROLE_WRITER,
                               .action = SYNCQ_FAILPOINT_STOP,
                               .hit = 1};

    session_arm(session, stop.name, stop.point, stop.hit, stop.action);
    await(session, &stop);
    session_progress(session, BIT(ROLE_OTHER));
    session_kill_all(session);
    if (session->failed)
        return;
    if (strcmp(round->point->name, "recovery.index-remade") == 0)
        (void)unlink(fixture_path(session->fixture, SYNCQ_INDEX_FILE));
    start_helper_at(session, round);
    go_on(session, round);
}

/* The lock's owner dies with a reservation half made; who takes the lock
 * next, and repairs, gets there.  It is not always the one we want. */
static void round_repair(struct session *session, const struct round *round)
{
    enum role_name fired = ROLES;

    for (int i = 0; i < REPAIRS && fired == ROLES && !session->failed; i++) {
        session_arm(session, round->name, round->point, 1, round->action);
        kill_at(session, ROLE_WRITER, "reserve.placed");
        fired = session_wait_fired(session, BIT(round->name), 20);
        if (fired == ROLES && !session->failed)
            start_missing(session);
    }
    if (session->failed)
        return;
    await(session, round);
    go_on(session, round);
}

/* A writer dies; the helper finishes for it and gets there. */
static void round_writers(struct session *session, const struct round *round)
{
    session_arm(session, ROLE_HELPER, round->point, 1, round->action);
    kill_at(session, ROLE_WRITER,
            strcmp(round->point->name, "writers.synced") == 0
                ? "ticket.answered"
                : "append.reserved");
    await(session, round);
    go_on(session, round);
}

/* A copy fails: whose it is gets there. */
static void round_withdraw(struct session *session, const struct round *round)
{
    struct round found = *round;

    for (enum role_name name = ROLE_MANAGER; name < ROLES; name++)
        session_arm(session, name, round->point, 1, round->action);
    atomic_store(&session->world->fail_write, 1);
    found.name = session_wait_fired(session, CLIENTS, WORLD_WAIT_MS);
    for (enum role_name name = ROLE_MANAGER; name < ROLES; name++)
        session_disarm(session, name);
    if (found.name == ROLES) {
        session_fail(session, "the point is never reached");
        return;
    }
    await(session, &found);
    go_on(session, &found);
}

/* The helper is told to stop after all others, and gets there. */
static void round_close(struct session *session, const struct round *round)
{
    struct role *helper = &session->world->roles[ROLE_HELPER];

    for (enum role_name name = ROLE_MANAGER; name < ROLES; name++)
        session_stop(session, name);
    session_arm(session, ROLE_HELPER, round->point, 1, round->action);
    atomic_store(&helper->stop, 1);
    syncq_futex_wake(&helper->stop);
    await(session, round);
    if (is_stop(round) && !session->failed) {
        (void)kill(session->pids[ROLE_HELPER], SIGCONT);
        session_stop(session, ROLE_HELPER);
    }
    go_on(session, round);
}

/* The error of a sync is known to nobody, or to some only: none of the mails
 * in it may ever be confirmed without another sync. */
static void round_fail(struct session *session, const struct round *round)
{
    session_arm(session, ROLE_HELPER, round->point, 1, round->action);
    atomic_store(&session->world->fail_sync, 1);
    await(session, round);
    if (session->failed)
        return;
    if (is_stop(round))
        (void)kill(session->pids[ROLE_HELPER], SIGCONT);
    else
        session_start(session, ROLE_HELPER);
    if (!is_stop(round) && strcmp(round->point->name, "fail.begins") == 0) {
        session_progress(session, CLIENTS);
        return;
    }
    session_await_latch(session);
    session_kill_all(session);
    session_unlatch(session);
    start_missing(session);
    session_progress(session, CLIENTS);
}

static const struct syncq_create_options made_options = {
    .size = FIXTURE_SEGMENT_SIZE * FIXTURE_SEGMENT_COUNT,
    .segment_size = FIXTURE_SEGMENT_SIZE,
    .entry_count = FIXTURE_ENTRY_COUNT,
    .allow_any_filesystem = 1,
};

/* A queue is made; cut off, it is made anew, unless it is whole already. */
static void round_create(struct session *session, const struct round *round)
{
    struct syncq_failpoint_plan *plan = &session->world->roles[ROLE_OTHER].plan;
    char path[600];
    int result, whole = strcmp(round->point->name, "create.renamed") == 0;

    (void)snprintf(path, sizeof path, "%s/made%u", session->fixture->directory,
                   round->hit);
    session_kill(session, ROLE_OTHER);
    if (mkdir(path, 0700) != 0)
        session_fail(session, "mkdir fails");
    session_arm(session, ROLE_OTHER, round->point, 1, round->action);
    session->pids[ROLE_OTHER] = fork();
    if (session->pids[ROLE_OTHER] == 0) {
        syncq_failpoint_follow(plan);
        _exit(syncq_queue_create(path, &made_options) != 0);
    }
    await(session, round);
    if (session->failed)
        return;
    result = syncq_queue_create(path, &made_options);
    if (is_stop(round)) {
        if (result != SYNCQ_ERR_BUSY && result != SYNCQ_ERR_EXISTS)
            session_fail(session, "two at a time: %s", syncq_strerror(result));
        (void)kill(session->pids[ROLE_OTHER], SIGCONT);
        session_stop(session, ROLE_OTHER);
    } else if (result != (whole ? SYNCQ_ERR_EXISTS : 0)) {
        session_fail(session, "made anew: %s", syncq_strerror(result));
    }
    if (syncq_queue_create(path, &made_options) != SYNCQ_ERR_EXISTS)
        session_fail(session, "the queue made is not there");
    go_on(session, round);
}

static const struct way ways[] = {
    {"create.", BIT(ROLE_OTHER), round_create},
    {"append.some-copied", BIT(ROLE_WRITER), round_run},
    {"append.entry-written", BIT(ROLE_WRITER), round_run},
    {"append.", BIT(ROLE_WRITER) | BIT(ROLE_MANAGER), round_run},
    {"marks.", BIT(ROLE_MANAGER), round_run},
    {"manager.", BIT(ROLE_MANAGER), round_run},
    {"retire.asked", BIT(ROLE_MANAGER), round_run},
    {"ticket.withdrawing", BIT(ROLE_WRITER), round_withdraw},
    {"ticket.part-set", BIT(ROLE_WRITER), round_run},
    {"ticket.", BIT(ROLE_WRITER) | BIT(ROLE_MANAGER), round_run},
    {"reserve.placed", BIT(ROLE_WRITER) | BIT(ROLE_MANAGER) | BIT(ROLE_HELPER),
     round_run},
    {"reserve.head-moved",
     BIT(ROLE_WRITER) | BIT(ROLE_MANAGER) | BIT(ROLE_HELPER), round_run},
    {"reserve.slot-unlinked", BIT(ROLE_WRITER), round_run},
    {"reserve.", BIT(ROLE_WRITER) | BIT(ROLE_MANAGER), round_run},
    {"move.", BIT(ROLE_WRITER), round_run},
    {"repair.", BIT(ROLE_HELPER) | BIT(ROLE_OTHER), round_repair},
    {"fail.", BIT(ROLE_HELPER), round_fail},
    {"writers.", BIT(ROLE_HELPER), round_writers},
    {"takeover.", BIT(ROLE_HELPER), round_takeover},
    {"recovery.", BIT(ROLE_HELPER), round_recovery},
    {"channel.made", BIT(ROLE_HELPER), round_recovery},
    {"start.", BIT(ROLE_HELPER), round_recovery},
    {"close.", BIT(ROLE_HELPER), round_close},
    {"seal.", BIT(ROLE_HELPER), round_run},
    {"index.", BIT(ROLE_HELPER), round_run},
    {"superblock.", BIT(ROLE_HELPER), round_run},
    {"segment-page.", BIT(ROLE_HELPER), round_run},
    {"batch.", BIT(ROLE_HELPER), round_run},
    {"checkpoint.", BIT(ROLE_HELPER), round_run},
    {"segment.", BIT(ROLE_HELPER), round_run},
    {"retire.", BIT(ROLE_HELPER), round_run},
};

const struct way *way_find(const char *point)
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strncmp(point, ways[i].prefix, strlen(ways[i].prefix)) == 0)
            return &ways[i];
    return NULL;
}
