/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/entry.h"
#include "module/error.h"
#include "module/file.h"
#include "tests/faults/kill_world.h"

enum {
    SLICE_US = 1000,
    LOAD_AT_ONCE = 2, /* mails of each writer */
};

static const char *const role_names[ROLES] = {"helper", "manager", "writer",
                                              "other"};

const char *role_text(enum role_name name)
{
    return role_names[name];
}

struct world *world_new(void)
{
    void *map = mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return map;
}

void session_begin(struct session *session, struct world *world)
{
    memset(world->roles, 0, sizeof world->roles);
    atomic_store(&world->fail_sync, 0);
    atomic_store(&world->fail_write, 0);
    session->world = world;
    session->fixture = fixture_new();
    session->medium = fixture_image(session->fixture);
    syncq_failpoint_count(world->reached);
    medium_use(world, session->fixture, session->medium);
}

void session_end(struct session *session)
{
    session_kill_all(session);
    medium_use(NULL, NULL, NULL);
    fixture_free(session->fixture);
    fixture_free(session->medium);
}

void session_fail(struct session *session, const char *format, ...)
{
    char text[300];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    session->failed = 1;
    findings_add(session->findings, FINDING_STUCK, session->case_text, "%s",
                 text);
}

static void role_main(struct session *session, enum role_name name)
{
    struct world *world = session->world;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    syncq_failpoint_follow(&world->roles[name].plan);
    switch (name) {
    case ROLE_HELPER:
        helper_run(world, session->fixture);
        break;
    case ROLE_MANAGER:
        manager_run(world, session->fixture);
        break;
    default:
        writer_run(world, session->fixture, name);
        break;
    }
    _exit(0);
}

void session_start(struct session *session, enum role_name name)
{
    struct role *role = &session->world->roles[name];
    pid_t pid;

    if (session->failed)
        return;
    atomic_store(&role->stop, 0);
    atomic_store(&role->ready, 0);
    pid = fork();
    if (pid == 0)
        role_main(session, name);
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    session->pids[name] = pid;
}

/* Has some process ended that was not to?  Reaps it. */
static int look_for_deaths(struct session *session)
{
    for (enum role_name name = 0; name < ROLES; name++) {
        const struct role *role = &session->world->roles[name];
        int status;

        if (session->pids[name] == 0 || atomic_load(&role->plan.fired) ||
            waitpid(session->pids[name], &status, WNOHANG) !=
                session->pids[name])
            continue;
        session->pids[name] = 0;
        session_fail(
            session, "the %s has ended by itself: %s %d, %s", role_names[name],
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            role->trouble[0] == '\0' ? "no word" : role->trouble);
        return 1;
    }
    return 0;
}

/* While the test waits, there is load; and never much more than that. */
static void ask_for_load(struct session *session)
{
    struct world *world = session->world;
    uint32_t wanted = 0;

    for (enum role_name name = ROLE_WRITER; name < ROLES; name++) {
        uint32_t progress = atomic_load(&world->roles[name].progress);

        if (progress > wanted)
            wanted = progress;
    }
    atomic_store(&world->permits, wanted + LOAD_AT_ONCE);
    syncq_futex_wake(&world->permits);
}

/* Wait until a number is no longer below wanted; false: out of time. */
static int wait_for(struct session *session, _Atomic uint32_t *word,
                    uint32_t wanted, int timeout_ms)
{
    uint64_t end_us = syncq_clock_us() + (uint64_t)timeout_ms * 1000;

    for (;;) {
        uint32_t value = atomic_load(word);

        if ((int32_t)(value - wanted) >= 0)
            return 1;
        if (session->failed || look_for_deaths(session) ||
            syncq_clock_us() >= end_us)
            return 0;
        ask_for_load(session);
        (void)syncq_futex_wait(word, value, SLICE_US);
    }
}

void session_start_ready(struct session *session, enum role_name name)
{
    session_start(session, name);
    if (!wait_for(session, &session->world->roles[name].ready, 1,
                  WORLD_WAIT_MS) &&
        !session->failed)
        session_fail(session, "the %s does not begin to work",
                     role_names[name]);
}

void session_kill(struct session *session, enum role_name name)
{
    int status;

    if (session->pids[name] == 0)
        return;
    (void)kill(session->pids[name], SIGKILL);
    (void)waitpid(session->pids[name], &status, 0);
    session->pids[name] = 0;
}

void session_kill_all(struct session *session)
{
    for (enum role_name name = 0; name < ROLES; name++)
        if (session->pids[name] != 0)
            (void)kill(session->pids[name], SIGKILL);
    for (enum role_name name = 0; name < ROLES; name++)
        session_kill(session, name);
}

/* Wait for a change of the process's state; false: none in time. */
static int wait_state(struct session *session, enum role_name name, int flags,
                      int *status)
{
    uint64_t end_us = syncq_clock_us() + WORLD_WAIT_MS * 1000;
    _Atomic uint32_t never = 0;

    while (waitpid(session->pids[name], status, flags | WNOHANG) !=
           session->pids[name]) {
        if (syncq_clock_us() >= end_us)
            return 0;
        (void)syncq_futex_wait(&never, 0, SLICE_US / 4);
    }
    return 1;
}

void session_stop(struct session *session, enum role_name name)
{
    struct role *role = &session->world->roles[name];
    int status;

    if (session->pids[name] == 0 || session->failed)
        return;
    atomic_store(&role->stop, 1);
    syncq_futex_wake(&role->stop);
    if (!wait_state(session, name, 0, &status)) {
        session_fail(session, "the %s does not stop", role_names[name]);
        return;
    }
    session->pids[name] = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        session_fail(session, "the %s stopped with status %d, %s",
                     role_names[name], status, role->trouble);
}

void session_arm(struct session *session, enum role_name name,
                 const struct syncq_failpoint *point, uint32_t hit,
                 enum syncq_failpoint_action action)
{
    struct syncq_failpoint_plan *plan = &session->world->roles[name].plan;

    atomic_store(&plan->number, 0);
    plan->action = action;
    atomic_store(&plan->fired, 0);
    atomic_store(&plan->left, hit);
    atomic_store(&plan->number, point->number);
}

void session_disarm(struct session *session, enum role_name name)
{
    atomic_store(&session->world->roles[name].plan.number, 0);
}

static enum role_name find_fired(struct session *session, unsigned names)
{
    enum role_name name = 0;

    while (name < ROLES &&
           ((names >> name & 1) == 0 ||
            !atomic_load(&session->world->roles[name].plan.fired)))
        name++;
    return name;
}

enum role_name session_wait_fired(struct session *session, unsigned names,
                                  int timeout_ms)
{
    uint64_t end_us = syncq_clock_us() + (uint64_t)timeout_ms * 1000;
    enum role_name fired = find_fired(session, names), first = 0;

    while ((names >> first & 1) == 0)
        first++;
    while (fired == ROLES && !session->failed && !look_for_deaths(session) &&
           syncq_clock_us() < end_us) {
        ask_for_load(session);
        (void)syncq_futex_wait(&session->world->roles[first].plan.fired, 0,
                               SLICE_US);
        fired = find_fired(session, names);
    }
    return fired;
}

void session_wait_end(struct session *session, enum role_name name,
                      enum syncq_failpoint_action action)
{
    int stopping = action == SYNCQ_FAILPOINT_STOP;
    int status = 0, good;

    if (session->failed)
        return;
    if (!wait_state(session, name, stopping ? WUNTRACED : 0, &status)) {
        session_fail(session, "the %s does not act", role_names[name]);
        return;
    }
    if (!stopping)
        session->pids[name] = 0;
    switch (action) {
    case SYNCQ_FAILPOINT_KILL:
        good = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        break;
    case SYNCQ_FAILPOINT_STOP:
        good = WIFSTOPPED(status);
        break;
    case SYNCQ_FAILPOINT_DO_EXIT:
        good = WIFEXITED(status) && WEXITSTATUS(status) == SYNCQ_FAILPOINT_EXIT;
        break;
    default:
        good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
        break;
    }
    if (!good)
        session_fail(session, "the %s has ended otherwise: %d",
                     role_names[name], status);
    atomic_store(&session->world->roles[name].plan.fired, 0);
}

void session_progress(struct session *session, unsigned names)
{
    uint32_t before[ROLES];

    for (enum role_name name = 0; name < ROLES; name++)
        before[name] = atomic_load(&session->world->roles[name].progress);
    for (enum role_name name = 0; name < ROLES; name++)
        if ((names >> name & 1) != 0 && session->pids[name] != 0 &&
            !wait_for(session, &session->world->roles[name].progress,
                      before[name] + 2, WORLD_WAIT_MS) &&
            !session->failed)
            session_fail(session, "the %s makes no progress", role_names[name]);
}

static int open_queue_directory(const struct session *session)
{
    int fd = -1;
    int result = syncq_directory_open(session->fixture->queue, &fd);

    if (result != 0) {
        (void)fprintf(stderr, "%s\n", syncq_strerror(result));
        exit(1);
    }
    return fd;
}

void session_await_latch(struct session *session)
{
    int fd = open_queue_directory(session);
    uint64_t end_us = syncq_clock_us() + WORLD_WAIT_MS * 1000;
    uint64_t lsn;
    _Atomic uint32_t never = 0;
    int latched = 0;

    while (!latched && syncq_clock_us() < end_us) {
        latched = syncq_latch_read(fd, &lsn) == SYNCQ_ERR_LATCHED;
        if (!latched)
            (void)syncq_futex_wait(&never, 0, SLICE_US);
    }
    close(fd);
    if (!latched)
        session_fail(session, "the latch is not set");
}

void session_unlatch(struct session *session)
{
    int fd = open_queue_directory(session);

    if (syncq_latch_clear(fd) != 0)
        session_fail(session, "the latch cannot be cleared");
    close(fd);
}
