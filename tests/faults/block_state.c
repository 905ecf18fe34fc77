/* SPDX-License-Identifier: MIT */
#include "tests/faults/block_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/limits.h"
#include "tests/faults/block_player.h"

enum { TRY_S = 60 }; /* a state that takes longer is stuck */

static const char *const choices[] = {"all", "none", "random", "few", "most"};

void block_case_text(const struct block_case *one, const char *log, char *text,
                     size_t size)
{
    (void)snprintf(text, size, "%s %" PRIu64 " %s %" PRIu64 " %" PRIu32 "%s",
                   log, one->cut.number, choices[one->cut.choice],
                   one->cut.seed, one->cut.unit,
                   one->thorough ? " thorough" : "");
}

int block_case_parse(const char *text, struct block_case *one, char *log)
{
    char choice[16], rest[16] = "";

    *one = (struct block_case){.phase = "again"};
    if (sscanf(text, "%4095s %" SCNu64 " %15s %" SCNu64 " %" SCNu32 " %15s",
               log, &one->cut.number, choice, &one->cut.seed, &one->cut.unit,
               rest) < 5)
        return 0;
    one->thorough = strcmp(rest, "thorough") == 0;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        if (strcmp(choice, choices[i]) == 0) {
            one->cut.choice = (enum crash_choice)i;
            return 1;
        }
    return 0;
}

/* A file of the disk's size, mapped. */
static int file_make(const char *path, uint64_t size, int *fd, uint8_t **map)
{
    void *mapped;

    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*fd < 0 || ftruncate(*fd, (off_t)size) != 0)
        return errno;
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (mapped == MAP_FAILED)
        return errno;
    *map = mapped;
    return 0;
}

int block_worker_init(struct block_worker *worker, const char *directory,
                      const struct write_log *log, const struct story *story,
                      struct findings *findings)
{
    char path[PATH_MAX + 16];
    int result;

    *worker = (struct block_worker){.log = log,
                                    .story = story,
                                    .findings = findings,
                                    .oracle = oracle_new(),
                                    .base = {.fd = -1},
                                    .fd = -1,
                                    .device = {.fd = -1}};
    (void)snprintf(worker->directory, PATH_MAX, "%s", directory);
    (void)snprintf(worker->image, PATH_MAX, "%s/image", directory);
    (void)snprintf(worker->mount, PATH_MAX, "%s/disk", directory);
    (void)snprintf(worker->output, PATH_MAX, "%s/out", directory);
    if (mkdir(worker->mount, 0755) != 0)
        return errno;
    (void)snprintf(path, sizeof path, "%s/base", directory);
    result =
        file_make(path, log->disk_size, &worker->base.fd, &worker->base_map);
    if (result == 0)
        result =
            file_make(worker->image, log->disk_size, &worker->fd, &worker->map);
    if (result == 0)
        result = block_device_attach(&worker->device, worker->image);
    if (result == 0)
        result = player_configure(directory, worker->mount, worker->queue,
                                  worker->run, worker->config);
    return result;
}

void block_worker_clear(struct block_worker *worker)
{
    size_t size = (size_t)worker->log->disk_size;

    block_device_detach(&worker->device);
    if (worker->map != NULL)
        (void)munmap(worker->map, size);
    if (worker->base_map != NULL)
        (void)munmap(worker->base_map, size);
    close(worker->fd);
    close(worker->base.fd);
    oracle_free(worker->oracle);
}

/* Only what the last state and the flushes since have changed is copied. */
static int build(struct block_worker *worker, const struct crash_cut *cut)
{
    struct crash_report report;
    int result = crash_base_advance(worker->log, cut->number, &worker->base);

    if (result != 0)
        return result;
    for (uint64_t at = 0; at < worker->log->disk_size; at += SYNCQ_PAGE_SIZE)
        if (memcmp(worker->map + at, worker->base_map + at, SYNCQ_PAGE_SIZE) !=
            0)
            memcpy(worker->map + at, worker->base_map + at, SYNCQ_PAGE_SIZE);
    result =
        crash_base_build(worker->log, &worker->base, cut, worker->fd, &report);
    if (result == 0)
        result = block_device_forget(&worker->device);
    return result;
}

static void stuck(struct block_worker *worker, const char *case_text,
                  const char *what, int code)
{
    char line[256] = "";
    int fd = open(worker->output, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) { /* the end of what they said */
        off_t size = lseek(fd, 0, SEEK_END), most = sizeof line - 1;
        ssize_t count =
            pread(fd, line, sizeof line - 1, size > most ? size - most : 0);

        line[count < 0 ? 0 : count] = '\0';
        close(fd);
    }
    findings_add(worker->findings, FINDING_STUCK, case_text, "%s: %d %s", what,
                 code, line);
}

static int run_try(struct block_worker *worker, const struct block_case *one,
                   const char *case_text)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int output = open(worker->output, O_WRONLY | O_CREAT | O_APPEND, 0600);

        (void)dup2(output, STDERR_FILENO);
        (void)alarm(TRY_S);
        block_try(worker, one, case_text);
        (void)fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return errno;
    if (WIFSIGNALED(status))
        stuck(worker, case_text, "recovery ended by signal", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        stuck(worker, case_text, "recovery ended with", WEXITSTATUS(status));
    return 0;
}

static void check_filesystem(struct block_worker *worker, const char *case_text)
{
    const char *argv[] = {"/sbin/fsck.ext4", "-fn", worker->image, NULL};
    int code;

    (void)unlink(worker->output);
    code = block_command(argv, worker->output);
    if (code != 0)
        stuck(worker, case_text, "fsck.ext4", code);
}

int block_worker_try(struct block_worker *worker, const struct block_case *one,
                     const char *case_text)
{
    int result = build(worker, &one->cut);

    if (result != 0)
        return result;
    story_tell(worker->story, &worker->next_event, one->cut.number,
               worker->oracle);
    (void)unlink(worker->output);
    findings_count(worker->findings, TRIAL_STATE, 1);
    if (mount(worker->device.path, worker->mount, "ext4", MS_NOATIME, NULL) !=
        0) {
        stuck(worker, case_text, "mount", errno);
        return 0;
    }
    result = run_try(worker, one, case_text);
    if (umount2(worker->mount, 0) != 0)
        return errno;
    if (result == 0)
        check_filesystem(worker, case_text);
    return result;
}
