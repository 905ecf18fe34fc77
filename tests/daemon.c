/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon.h"

const char *daemon_program(const char *name)
{
    static char path[PATH_MAX];
    const char *build = getenv("SYNCQ_BUILD");

    (void)snprintf(path, sizeof(path), "%s/%s", build ? build : "..", name);
    return path;
}

static void daemon_become(const char *const *argv,
                          const char *const *environment, const char *log_path)
{
    int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(127);
    /* A test that crashes must not leave it behind. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (; environment && *environment; environment++)
        (void)putenv((char *)*environment);
    (void)execv(argv[0], (char *const *)argv);
    perror(argv[0]);
    _exit(127);
}

pid_t daemon_start(const char *const *argv, const char *const *environment,
                   const char *log_path)
{
    pid_t pid = fork();

    if (!pid)
        daemon_become(argv, environment, log_path);
    return pid;
}

int daemon_wait(pid_t pid, int timeout_ms)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0),
                         .events = POLLIN};
    int status, ended;

    if (end.fd < 0)
        return DAEMON_KILLED;
    ended = poll(&end, 1, timeout_ms) == 1;
    close(end.fd);
    if (!ended)
        return DAEMON_RUNNING;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return DAEMON_KILLED;
    return WEXITSTATUS(status);
}

void daemon_kill(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
