/* SPDX-License-Identifier: MIT */
#include "qmgr/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/service.h"

#define GUARD_TITLE "syncq-guard"

static pid_t guard_pid = -1;
static int guard_argc;
static char **guard_argv;

/* The words of a command line lie one behind the other in memory. */
static void guard_set_title(void)
{
    char *start = guard_argv[0];
    char *last = guard_argv[guard_argc - 1];
    size_t size = (size_t)(last - start) + strlen(last) + 1;

    (void)prctl(PR_SET_NAME, GUARD_TITLE);
    if (size < sizeof(GUARD_TITLE))
        return;
    memset(start, 0, size);
    memcpy(start, GUARD_TITLE, sizeof(GUARD_TITLE));
}

/* In the guard: nothing but the pipe stays open, so that no socket of
 * master(8) or lock of ours outlives us in it. */
static void guard_run(int pipe_fd, const struct sockaddr_un *address,
                      socklen_t size)
{
    sigset_t none;
    char byte;
    int fd;

    guard_set_title();
    (void)sigemptyset(&none);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (pipe_fd > SERVICE_FLOW_READ)
        (void)close_range(SERVICE_FLOW_READ, (unsigned)pipe_fd - 1, 0);
    (void)close_range((unsigned)pipe_fd + 1, ~0u, 0);
    while (read(pipe_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, size) == 0)
        (void)!write(fd, "W", 1);
    _exit(0);
}

static void guard_fork(void)
{
    static int kept_end = -1;
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int ends[2];

    /* A FIFO in an old master.cf has no address: then there is no guard. */
    if (getsockname(SERVICE_LISTEN, (struct sockaddr *)&address, &size) != 0 ||
        address.sun_family != AF_UNIX)
        return;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_warning("start the guard: %s", strerror(errno));
        return;
    }
    guard_pid = fork();
    if (guard_pid == 0)
        guard_run(ends[0], &address, size);
    if (guard_pid < 0)
        log_warning("start the guard: %s", strerror(errno));
    (void)close(ends[0]);
    /* The other end is closed by the kernel, whatever ends us. */
    if (kept_end >= 0)
        (void)close(kept_end);
    kept_end = ends[1];
}

void guard_start(int argc, char **argv)
{
    guard_argc = argc;
    guard_argv = argv;
    guard_fork();
}

void guard_on_child(void)
{
    if (guard_pid > 0 && waitpid(guard_pid, NULL, WNOHANG) == guard_pid)
        guard_fork();
}
