/* SPDX-License-Identifier: MIT */
#include "tests/faults/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SANDBOX_NONE = 127 }; /* no namespaces */

#define FOLDER "syncq-sandbox."

static const char *parent_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder != NULL && *folder != '\0' ? folder : "/tmp";
}

/* Folders of runs that were killed: nobody holds their lock. */
static void remove_stale(void)
{
    char pattern[PATH_MAX];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s/" FOLDER "??????",
                   parent_folder());
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i],
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)rmdir(found.gl_pathv[i]); /* not empty: not ours */
        close(fd);
    }
    globfree(&found);
}

static int folder_make(char path[PATH_MAX])
{
    int fd;

    (void)snprintf(path, PATH_MAX, "%s/" FOLDER "XXXXXX", parent_folder());
    if (mkdtemp(path) == NULL)
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    (void)rmdir(path);
    return -1;
}

static void enter(const char *path)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0 ||
        mount("sandbox", path, "tmpfs", 0, "mode=0711") != 0) {
        perror("sandbox");
        _exit(EXIT_FAILURE);
    }
}

/* The first process there ignores most signals, so they are taken here. */
static int wait_for(pid_t pid)
{
    sigset_t signals;
    int number, status;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    while (sigwait(&signals, &number) == 0) {
        if (number != SIGCHLD)
            (void)kill(pid, SIGKILL);
        if (waitpid(pid, &status, number == SIGCHLD ? WNOHANG : 0) == pid)
            break;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A process between: what its caller forks later stays where it was. */
static int run_inside(const char *path,
                      int (*body)(const char *directory, void *context),
                      void *context, const sigset_t *signals)
{
    pid_t pid;
    int status;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0)
        return SANDBOX_NONE;
    pid = fork();
    if (pid == 0) {
        int result;

        (void)sigprocmask(SIG_SETMASK, signals, NULL);
        enter(path);
        result = body(path, context);
        (void)fflush(stdout);
        _exit(result);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return SANDBOX_NONE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int sandbox_run(int (*body)(const char *directory, void *context),
                void *context)
{
    char path[PATH_MAX];
    sigset_t signals, before;
    int fd, result = -1;
    pid_t pid;

    remove_stale();
    fd = folder_make(path);
    if (fd < 0)
        return -1;
    (void)sigfillset(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(run_inside(path, body, context, &before));
    if (pid > 0)
        result = wait_for(pid);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)rmdir(path);
    close(fd);
    return result == SANDBOX_NONE ? -1 : result;
}
