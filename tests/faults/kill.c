/* SPDX-License-Identifier: MIT */
/*
 * kill.c - a process ends or stops at each failpoint; the others go on
 *
 * One case is one point, who reaches it, what happens there, and a number from
 * which its chances come:  batch.synced:helper:kill:3.  In each case the point
 * is hit some times, the first time, the second time and some later time, in
 * one queue under load.  After each hit the others have to get on with their
 * work, and then the one that was killed or stopped, too.  In the end what a
 * crash of all processes leaves, and what a power cut leaves, are recovered
 * and compared with what was promised.
 *
 * --count: how many kills; the first pass over all points alone is some more
 * than 100.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/kill_round.h"
#include "tests/faults/kill_world.h"
#include "tests/temporary.h"

enum {
    KILLS_DEFAULT = 130,
    PASSES_MAX = 1000,
    HITS = 3,
    CASE_WAIT_MS = 180000,
};

static const char *const action_names[] = {"", "kill", "stop", "exit", "abort"};

/* The last word on a case: who ended how, then recovery. */
static void end_case(struct session *session)
{
    uint64_t way = chance_below(&session->chance, 4);

    if (way < 2) {
        for (enum role_name name = ROLE_MANAGER; name < ROLES; name++)
            session_stop(session, name);
        session_check_settled(session);
    }
    if (way == 0)
        session_stop(session, ROLE_HELPER);
    if (way == 3)
        round_crash(session);
    session_kill_all(session);
    if (!session->failed)
        session_check_recovered(session);
}

static void run_case(struct session *session, const struct way *way,
                     struct round *round, int hits)
{
    session_start_ready(session, ROLE_HELPER);
    for (enum role_name name = ROLE_MANAGER; name < ROLES; name++)
        session_start_ready(session, name);
    for (int i = 0; i < hits && !session->failed; i++) {
        round->hit = i < 2 ? (uint32_t)i + 1
                           : 3 + (uint32_t)chance_below(&session->chance, 10);
        way->round(session, round);
    }
    end_case(session);
}

static void be_quiet(const struct findings *findings)
{
    if (!findings->verbose && freopen("/dev/null", "w", stderr) == NULL)
        exit(1);
}

/* The case in a process of its own: it may hang, or an assertion fail. */
static void run_apart(struct findings *findings, struct world *world,
                      struct round *round, const char *text, uint64_t number,
                      int hits)
{
    struct session session = {.findings = findings, .case_text = text};
    char *directory = temporary_make(); /* gone, however the case ends */
    pid_t pid;
    int status = 0;

    (void)fflush(stdout);
    pid = directory == NULL ? -1 : fork();
    if (pid == 0) {
        (void)setenv("TMPDIR", directory, 1);
        (void)setpgid(0, 0);
        be_quiet(findings);
        (void)alarm(CASE_WAIT_MS / 1000);
        chance_init(&session.chance, findings->seed, number);
        session_begin(&session, world);
        run_case(&session, way_find(round->point->name), round, hits);
        session_end(&session);
        (void)fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        exit(1);
    }
    (void)kill(-pid, SIGKILL);
    temporary_remove(directory);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        findings_add(findings, FINDING_STUCK, text,
                     "the test itself ended: %s %d; --verbose says more",
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status)
                                         : WEXITSTATUS(status));
}

static int is_wanted(const struct findings *findings, const char *text)
{
    return findings->only == NULL || strcmp(findings->only, text) == 0;
}

/* One point and role in one pass. */
static void try_case(struct findings *findings, struct world *world,
                     struct round *round, unsigned pass)
{
    static const enum syncq_failpoint_action actions[] = {
        SYNCQ_FAILPOINT_KILL,    SYNCQ_FAILPOINT_STOP, SYNCQ_FAILPOINT_KILL,
        SYNCQ_FAILPOINT_DO_EXIT, SYNCQ_FAILPOINT_KILL, SYNCQ_FAILPOINT_ABORT};
    char text[128];
    uint64_t number = (uint64_t)pass << 32 | round->point->number << 8 |
                      (uint64_t)round->name;

    round->action = actions[pass % (sizeof actions / sizeof actions[0])];
    (void)snprintf(text, sizeof text, "%s:%s:%s:%u", round->point->name,
                   role_text(round->name), action_names[round->action], pass);
    if (!is_wanted(findings, text))
        return;
    if (findings->verbose)
        (void)printf("%s\n", text);
    run_apart(findings, world, round, text, number,
              pass == 0 && findings->only == NULL ? 1 : HITS);
}

static void try_point(struct findings *findings, struct world *world,
                      const struct syncq_failpoint *point, unsigned pass)
{
    const struct way *way = way_find(point->name);

    if (way == NULL) {
        if (pass == 0)
            findings_add(findings, FINDING_STUCK, point->name,
                         "nobody has said how this point is reached");
        return;
    }
    for (enum role_name name = 0; name < ROLES; name++)
        if ((way->roles >> name & 1) != 0) {
            struct round round = {.point = point, .name = name};

            try_case(findings, world, &round, pass);
        }
}

static void try_all(struct findings *findings, struct world *world)
{
    uint64_t wanted = findings->count == 0 ? KILLS_DEFAULT : findings->count;
    unsigned passes = findings->only == NULL ? PASSES_MAX : PASSES_MAX / 10;
    size_t count;
    struct syncq_failpoint **points = syncq_failpoints(&count);

    if (count > FAILPOINTS_MAX)
        exit(1);
    for (unsigned pass = 0; pass < passes; pass++)
        for (size_t i = 0; i < count; i++) {
            if (pass > 0 && findings->only == NULL &&
                findings->trials[TRIAL_KILL] >= wanted)
                return;
            try_point(findings, world, points[i], pass);
        }
}

/* Memory costs less than a disk here, and kills do not tell them apart. */
static void choose_directory(void)
{
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
}

int main(int argc, char **argv)
{
    struct world *world = world_new();
    struct findings *findings = &world->findings; /* counts from all */

    findings_begin(findings, "kill", argc, argv);
    choose_directory();
    (void)fixture_group_setup(NULL);
    try_all(findings, world);
    (void)fixture_group_teardown(NULL);
    if (findings->only != NULL && findings->trials[TRIAL_KILL] == 0)
        findings_add(findings, FINDING_STUCK, findings->only,
                     "there is no such case");
    return findings_end(findings);
}
