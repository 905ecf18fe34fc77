/* SPDX-License-Identifier: MIT */
/*
 * block_log.c - every crash point of the real file system
 *
 * A queue lives on ext4 on a disk that writes down what it is asked to do
 * (block_player.h).  Then power cuts at places all over that log are rebuilt,
 * block by block, mounted, recovered and compared (block_state.h), by as many
 * workers as there are cores.
 *
 * The log is another one each time, since writers are never as fast as the
 * last time.  So the log of a run that found something is kept, and its name
 * is part of the cases.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/file.h"
#include "tests/faults/block_disk.h"
#include "tests/faults/block_player.h"
#include "tests/faults/block_state.h"
#include "tests/faults/sandbox.h"

enum {
    SKIPPED = 77,
    DISK_SIZE = 96 << 20,
    COUNT_DEFAULT = 120,
    COUNT_MAX = 10000000,
    WORKERS_MAX = 8,
    THOROUGH_EVERY = 8,
};

struct run {
    struct findings *findings; /* one for each worker; the first: all */
    struct write_log log;
    struct story story;
    struct block_case *cases;
    uint64_t count;
    unsigned worker_count;
    char log_path[PATH_MAX]; /* where it is */
    char kept[PATH_MAX];     /* its name, should it be kept */
};

/* ---- record ---- */

/* In a process of its own: what it asserts ends only that. */
static int play(const struct block_disk *disk, const char *directory,
                uint64_t seed)
{
    pid_t pid;
    int status;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(player_run(disk, directory, seed));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECANCELED;
}

static void show(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        (void)printf("  %s", line);
    if (file != NULL)
        (void)fclose(file);
}

static int record(struct run *run, const char *directory)
{
    struct block_disk disk;
    char output[PATH_MAX + 16];
    int result = block_disk_start(&disk, directory, DISK_SIZE, run->log_path);

    if (result != 0)
        return result;
    result = play(&disk, directory, run->findings->seed);
    if (result != 0) {
        (void)snprintf(output, sizeof output, "%s/syncq.out", directory);
        show(output);
        findings_add(run->findings, FINDING_STUCK, "live",
                     "the queue does not work");
        return result;
    }
    return block_disk_stop(&disk);
}

/* ---- choose ---- */

static enum crash_choice choose(struct chance *chance)
{
    static const enum crash_choice choices[] = {
        CRASH_RANDOM, CRASH_RANDOM, CRASH_RANDOM, CRASH_RANDOM, CRASH_FEW,
        CRASH_FEW,    CRASH_MOST,   CRASH_MOST,   CRASH_NONE,   CRASH_ALL};

    return choices[chance_below(chance, sizeof choices / sizeof choices[0])];
}

/* As many of each phase, spread over its length. */
static void case_make(const struct run *run, uint64_t number,
                      struct block_case *one)
{
    unsigned phases = run->story.phase_count;
    const struct story_phase *phase = &run->story.phases[number % phases];
    uint64_t turns = (run->count + phases - 1) / phases;
    uint64_t length = phase->last - phase->first + 1;
    struct chance chance;

    chance_init(&chance, run->findings->seed, number);
    *one = (struct block_case){
        .phase = phase->name,
        .cut.number = phase->first + number / phases * length / turns +
                      chance_below(&chance, length / turns + 1),
        .cut.choice = choose(&chance),
        .cut.seed = chance_next(&chance) >> 32,
        .cut.unit = chance_below(&chance, 4) == 0 ? 4096 : CRASH_IMAGE_UNIT,
        .thorough = number / phases % THOROUGH_EVERY == 0,
    };
    if (one->cut.number > phase->last)
        one->cut.number = phase->last;
}

static int compare_cases(const void *a, const void *b)
{
    const struct block_case *left = a, *right = b;

    if (left->cut.number != right->cut.number)
        return left->cut.number < right->cut.number ? -1 : 1;
    return left->cut.seed < right->cut.seed ? -1
                                            : left->cut.seed > right->cut.seed;
}

static int choose_cases(struct run *run)
{
    run->cases = calloc(run->count, sizeof *run->cases);
    if (run->cases == NULL)
        return ENOMEM;
    for (uint64_t i = 0; i < run->count; i++)
        case_make(run, i, &run->cases[i]);
    qsort(run->cases, run->count, sizeof *run->cases, compare_cases);
    return 0;
}

/* ---- try ---- */

static int work(struct run *run, const char *directory, unsigned number)
{
    char own[PATH_MAX + 16], text[PATH_MAX + 128];
    struct block_worker worker;
    int result;

    (void)snprintf(own, sizeof own, "%s/w%u", directory, number);
    result = mkdir(own, 0711) != 0 ? errno : 0;
    if (result == 0)
        result = block_worker_init(&worker, own, &run->log, &run->story,
                                   &run->findings[number]);
    if (result != 0)
        return result;
    for (uint64_t i = number; i < run->count && result == 0;
         i += run->worker_count) {
        const struct block_case *one = &run->cases[i];

        block_case_text(one, run->kept, text, sizeof text);
        if (run->findings->verbose)
            (void)printf("%s: %s\n", one->phase, text);
        result = block_worker_try(&worker, one, text);
    }
    block_worker_clear(&worker);
    return result;
}

static int start_work(struct run *run, const char *directory, unsigned number)
{
    int result;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid != 0)
        return pid < 0 ? errno : 0;
    result = work(run, directory, number);
    if (result != 0)
        findings_add(&run->findings[number], FINDING_STUCK, "all",
                     "worker %u: %s", number, strerror(result));
    (void)fflush(stdout);
    _exit(0);
}

static int try_all(struct run *run, const char *directory)
{
    int result = 0, status;

    for (unsigned i = 0; i < run->worker_count && result == 0; i++)
        result = start_work(run, directory, i);
    while (wait(&status) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            result = ECHILD;
    for (unsigned i = 1; i < run->worker_count; i++) {
        for (int k = 0; k < TRIAL_KINDS; k++)
            run->findings->trials[k] += run->findings[i].trials[k];
        for (int k = 0; k < FINDING_KINDS; k++)
            run->findings->found[k] += run->findings[i].found[k];
    }
    return result;
}

/* ---- all of it ---- */

static void say_story(const struct run *run)
{
    (void)printf("block-log: %zu notes, %" PRIu64 " flushes, %" PRIu64
                 " log entries\n",
                 run->story.event_count, run->story.flushes,
                 run->story.phases[run->story.phase_count - 1].last);
    for (unsigned i = 0; run->findings->verbose && i < run->story.phase_count;
         i++)
        (void)printf("  %s: %" PRIu64 " to %" PRIu64 "\n",
                     run->story.phases[i].name, run->story.phases[i].first,
                     run->story.phases[i].last);
}

static int load(struct run *run)
{
    int result = write_log_open(run->log_path, &run->log);

    if (result == 0)
        result = story_read(&run->log, &run->story);
    if (result == 0)
        say_story(run);
    return result;
}

static int again(struct run *run)
{
    run->count = run->worker_count = 1;
    run->cases = calloc(1, sizeof *run->cases);
    if (run->cases == NULL)
        return ENOMEM;
    if (!block_case_parse(run->findings->only, run->cases, run->kept)) {
        (void)fprintf(stderr, "block-log: --case 'LOG CUT CHOICE SEED UNIT'\n");
        return EINVAL;
    }
    (void)snprintf(run->log_path, sizeof run->log_path, "%s", run->kept);
    return load(run);
}

static int anything_found(const struct run *run)
{
    for (int i = 0; i < FINDING_KINDS; i++)
        if (run->findings->found[i] > 0)
            return 1;
    return 0;
}

static void keep_log(const struct run *run)
{
    int fd = open(run->kept, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || syncq_file_write(fd, run->log.map, run->log.map_size, 0) != 0)
        perror(run->kept);
    if (fd >= 0)
        close(fd);
}

static int body(const char *directory, void *context)
{
    struct run *run = context;
    int result;

    (void)snprintf(run->log_path, sizeof run->log_path, "%s/log", directory);
    (void)snprintf(run->kept, sizeof run->kept, "block-log.%" PRIu64 ".log",
                   run->findings->seed);
    if (run->findings->only != NULL) {
        result = again(run);
    } else {
        result = record(run, directory);
        if (result == 0)
            result = load(run);
        if (result == 0)
            result = choose_cases(run);
    }
    if (result == 0)
        result = try_all(run, directory);
    if (result != 0)
        findings_add(run->findings, FINDING_STUCK, "all", "%s",
                     strerror(result));
    if (run->findings->only == NULL && run->log.map != NULL &&
        anything_found(run))
        keep_log(run);
    return findings_end(run->findings);
}

static int skip(const char *reason)
{
    (void)printf("skipped: %s\n", reason);
    return SKIPPED;
}

int main(int argc, char **argv)
{
    struct run run = {0};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct findings findings;
    int result;

    findings_begin(&findings, "block-log", argc, argv);
    (void)setenv("SYNCQ_BUILD", "../..", 0);
    if (block_disk_missing() != NULL)
        return skip(block_disk_missing());
    run.count = findings.count == 0 ? COUNT_DEFAULT : findings.count;
    if (run.count > COUNT_MAX)
        run.count = COUNT_MAX;
    run.worker_count = cores < 1 ? 1 : (unsigned)cores;
    if (run.worker_count > WORKERS_MAX)
        run.worker_count = WORKERS_MAX;
    run.findings =
        mmap(NULL, WORKERS_MAX * sizeof findings, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.findings == MAP_FAILED)
        return 1;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        run.findings[i] = findings;
    result = sandbox_run(body, &run);
    return result < 0 ? skip("no namespaces of one's own") : result;
}
