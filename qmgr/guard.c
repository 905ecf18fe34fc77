/* SPDX-License-Identifier: MIT */
#include "qmgr/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/service.h"

/* In the guard: nothing but the pipe stays open, so that no socket of
 * master(8) or lock of ours outlives us in it. */
static void guard_run(int pipe_fd, const struct sockaddr_un *address,
                      socklen_t size)
{
    char byte;
    int fd;

    (void)prctl(PR_SET_NAME, "syncq-qmgr-watch");
    (void)close_range(SERVICE_FLOW_READ, (unsigned)pipe_fd - 1, 0);
    (void)close_range((unsigned)pipe_fd + 1, ~0u, 0);
    while (read(pipe_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, size) == 0)
        (void)!write(fd, "W", 1);
    _exit(0);
}

void guard_start(void)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int ends[2];
    pid_t child;

    /* A FIFO in an old master.cf has no address: then there is no guard. */
    if (getsockname(SERVICE_LISTEN, (struct sockaddr *)&address, &size) != 0 ||
        address.sun_family != AF_UNIX)
        return;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_warning("start the guard: %s", strerror(errno));
        return;
    }
    child = fork();
    if (child == 0)
        guard_run(ends[0], &address, size);
    if (child < 0)
        log_warning("start the guard: %s", strerror(errno));
    (void)close(ends[0]);
    /* The other end is closed by the kernel, whatever ends us. */
}
