/* SPDX-License-Identifier: MIT */
/*
 * images.c - every file image that a crash can leave, recovered
 *
 *   images [--seed N] [--count STATES] [--case WORKLOAD:ROUND:LIFE:POINT:STATE]
 *
 * Rounds are shared out to one process per core; what a process dies of is a
 * finding of the state that it was trying.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/faults/crash_states.h"
#include "tests/faults/image.h"
#include "tests/faults/schedule.h"
#include "tests/faults/world.h"

enum {
    COUNT_DEFAULT = 10000,
    LIVES = 3,
    THOROUGH_EVERY = 100, /* states between two that are also used */
    POINT_STATES = 45,    /* that a point has, about */
    FOUND_ENOUGH = 500,   /* nobody reads more */
    WORKERS_MAX = 2,
    STUCK_S = 120, /* no state takes that long */
};

struct worker {
    pid_t pid;
    char case_text[96]; /* what it is trying */
    _Atomic uint64_t states;
};

/* Between all processes. */
static struct shared {
    struct findings findings;
    struct worker workers[WORKERS_MAX];
    _Atomic uint64_t next_round;
} * shared;

/* A state to be replayed; all others are left out. */
struct wanted {
    char workload[32];
    uint64_t round, life, point, state;
};

struct run {
    struct worker *worker;
    const struct wanted *wanted; /* NULL: all */
    const struct workload *workload;
    uint64_t round, life, point; /* where we are */
    uint64_t round_states;       /* tried in this round */
    struct chance fork;          /* which point the next life starts from */
    struct image image;
    struct world world, next; /* next.live: NULL until a point is chosen */
};

void __wrap_log_info(const char *format, ...);
void __wrap_log_info(const char *format, ...)
{
    (void)format; /* one line for each start of a helper would be thousands */
}

static uint64_t point_number(const struct run *run)
{
    return run->round << 32 | run->life << 28 | run->point;
}

static void try_state(struct run *run, struct crash_states *states, uint64_t i)
{
    struct findings *findings = &shared->findings;
    char *text = run->worker->case_text;
    int thorough = (run->point * 31 + i) % THOROUGH_EVERY == 0;

    (void)snprintf(text, sizeof run->worker->case_text,
                   "%s:%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64,
                   run->workload->name, run->round, run->life, run->point, i);
    if (findings->verbose)
        (void)printf("%s: %zu units, %d\n", text, states->unit_count,
                     states->exhaustive);
    crash_states_make(states, i);
    image_build(&run->image, states->units, states->choices,
                states->unit_count);
    if (states->loses_index)
        (void)unlink(fixture_path(run->image.fixture, SYNCQ_INDEX_FILE));
    image_try(&run->image, run->world.oracle, findings, text, thorough);
    atomic_fetch_add(&run->worker->states, 1);
    run->round_states++;
}

/* The next life starts from any point of this one, each as likely. */
static void choose_next(struct run *run, struct crash_states *states)
{
    struct chance chance;

    chance_init(&chance, shared->findings.seed, ~point_number(run));
    if (chance_below(&run->fork, run->point) != 0)
        return;
    crash_states_make(states, chance_below(&chance, states->count));
    image_build(&run->image, states->units, states->choices,
                states->unit_count);
    if (!run->image.has_queue)
        return;
    oracle_free(run->next.oracle);
    fixture_free(run->next.live);
    run->next = run->world;
    run->next.live = fixture_image(run->image.fixture);
    run->next.oracle = oracle_copy(run->world.oracle);
}

static uint64_t states_tried(void)
{
    uint64_t count = 0;

    for (int i = 0; i < WORKERS_MAX; i++)
        count += atomic_load(&shared->workers[i].states);
    return count;
}

static int is_enough(void)
{
    uint64_t found = 0;

    for (int i = 0; i < FINDING_KINDS; i++)
        found += __atomic_load_n(&shared->findings.found[i], __ATOMIC_RELAXED);
    return states_tried() >= shared->findings.count || found >= FOUND_ENOUGH;
}

static int is_wanted(const struct run *run, uint64_t state)
{
    const struct wanted *wanted = run->wanted;

    return wanted->life == run->life && wanted->point == run->point &&
           wanted->state == state;
}

static size_t workload_count(void)
{
    size_t count = 0;

    while (workloads[count].name != NULL)
        count++;
    return count;
}

/* Each round gets its share, spread over all of its lives. */
static int is_left_out(const struct run *run)
{
    uint64_t share = shared->findings.count / workload_count();
    struct chance chance;

    chance_init(&chance, shared->findings.seed, point_number(run) ^ 3);
    if (is_enough() || run->round_states > share)
        return 1;
    if (!run->workload->needs_queue && run->life == 0)
        return 0;
    return chance_below(&chance, run->workload->points) >=
           share / LIVES / POINT_STATES;
}

static void crash_here(void *context)
{
    struct run *run = context;
    struct crash_states states;
    int left_out;

    run->point++;
    left_out = run->wanted == NULL && is_left_out(run);
    crash_states_init(&states, shared->findings.seed, point_number(run));
    for (uint64_t i = 0; i < states.count; i++)
        if (run->wanted == NULL ? !left_out : is_wanted(run, i))
            try_state(run, &states, i);
    choose_next(run, &states);
    crash_states_clear(&states);
}

static void live(struct run *run)
{
    struct world *world = &run->world;
    const struct workload *workload = run->workload;

    /* Once it is made, a queue is a queue. */
    if (!workload->needs_queue && run->life > 0)
        workload = &workloads[0];
    run->point = 0;
    run->next = (struct world){.live = NULL};
    chance_init(&run->fork, shared->findings.seed, point_number(run) ^ 1);
    chance_init(&world->chance, shared->findings.seed, point_number(run) ^ 2);
    medium_begin(world->live->queue, crash_here, run);
    schedule_begin(&world->chance);
    workload->run(world);
    schedule_end();
    medium_end();
    if (shared->findings.verbose)
        (void)printf("%s:%" PRIu64 ":%" PRIu64 ": %" PRIu64 " points, %" PRIu64
                     " states\n",
                     run->workload->name, run->round, run->life, run->point,
                     atomic_load(&run->worker->states));
    fixture_free(world->live);
    oracle_free(world->oracle);
    *world = run->next;
}

static void run_round(struct run *run, uint64_t number, struct fixture *fresh)
{
    run->round = number;
    run->round_states = 0;
    run->workload = &workloads[number % workload_count()];
    memset(&run->world, 0, sizeof run->world);
    run->world.findings = &shared->findings;
    run->world.oracle = oracle_new();
    run->world.live =
        run->workload->needs_queue ? fixture_image(fresh) : fixture_bare();
    for (run->life = 0; run->life < LIVES && run->world.live != NULL;
         run->life++)
        live(run);
    fixture_free(run->world.live);
    oracle_free(run->world.oracle);
}

/* One round after the other, until all have tried enough. */
static void work(struct worker *worker, const struct wanted *wanted)
{
    static struct run run;
    struct fixture *fresh = fixture_bare();

    memset(&run, 0, sizeof run);
    run.worker = worker;
    run.wanted = wanted;
    image_init(&run.image);
    assert_int_equal(syncq_queue_create(fresh->queue, &world_queue_options), 0);
    if (wanted != NULL)
        run_round(&run, wanted->round, fresh);
    else
        while (!is_enough())
            run_round(&run, atomic_fetch_add(&shared->next_round, 1), fresh);
    image_clear(&run.image);
    fixture_free(fresh);
}

static void start_worker(struct worker *worker, const struct wanted *wanted)
{
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid > 0) {
        worker->pid = pid;
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(worker, wanted);
    (void)fflush(stdout);
    _exit(0);
}

/* One that stands still is ended; that is a finding, too. */
static void watch(struct worker *worker, uint64_t *seen, time_t *since)
{
    uint64_t states = atomic_load(&worker->states);

    if (states != *seen) {
        *seen = states;
        *since = time(NULL);
    } else if (time(NULL) - *since > STUCK_S) {
        (void)kill(worker->pid, SIGKILL);
    }
}

static void await_worker(struct worker *worker)
{
    uint64_t seen = 0;
    time_t since = time(NULL);
    int status;
    pid_t ended;

    while ((ended = waitpid(worker->pid, &status, WNOHANG)) == 0) {
        const struct timespec a_while = {.tv_nsec = 50000000};

        watch(worker, &seen, &since);
        (void)nanosleep(&a_while, NULL);
    }
    if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        findings_add(&shared->findings, FINDING_STUCK, worker->case_text,
                     "the process ended with status %#x", status);
}

static int read_case(const char *text, struct wanted *wanted)
{
    char end;

    return sscanf(text,
                  "%31[^:]:%" SCNu64 ":%" SCNu64 ":%" SCNu64 ":%" SCNu64 "%c",
                  wanted->workload, &wanted->round, &wanted->life,
                  &wanted->point, &wanted->state, &end) == 5;
}

int main(int argc, char **argv)
{
    struct wanted wanted;
    cpu_set_t cores;
    int count = 1;

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    findings_begin(&shared->findings, "images", argc, argv);
    if (shared->findings.count == 0)
        shared->findings.count = COUNT_DEFAULT;
    /* Thousands of small files a minute: in memory, where that is possible. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    if (shared->findings.only != NULL) {
        if (!read_case(shared->findings.only, &wanted)) {
            (void)fprintf(stderr, "%s: no such case\n", argv[0]);
            return 64;
        }
    } else if (sched_getaffinity(0, sizeof cores, &cores) == 0 &&
               CPU_COUNT(&cores) > 1) {
        count = WORKERS_MAX;
    }
    for (int i = 0; i < count; i++)
        start_worker(&shared->workers[i],
                     shared->findings.only == NULL ? NULL : &wanted);
    for (int i = 0; i < count; i++)
        await_worker(&shared->workers[i]);
    return findings_end(&shared->findings);
}
