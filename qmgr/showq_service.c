/* SPDX-License-Identifier: MIT */
#include "qmgr/showq_service.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/service.h"

enum { STATUS_TAKEN = 0, STATUS_AVAILABLE = 1 };

/* False when master is gone or has made a new channel. */
static int tell_master(int available)
{
    const char *text = getenv("GENERATION");
    const struct {
        int pid;
        unsigned generation;
        int available;
    } status = {
        .pid = (int)getpid(),
        .generation = text != NULL ? (unsigned)strtoul(text, NULL, 8) : 0,
        .available = available,
    };

    return write(SERVICE_STATUS, &status, sizeof(status)) ==
           (ssize_t)sizeof(status);
}

/* A connection, or -1 when it is time to end. */
static int wait_for_client(int64_t max_idle_s)
{
    struct pollfd waits[] = {{.fd = SERVICE_LISTEN, .events = POLLIN},
                             {.fd = SERVICE_STATUS, .events = POLLIN}};
    int timeout_ms =
        max_idle_s > INT_MAX / 1000 ? INT_MAX : (int)(max_idle_s * 1000);
    int fd;

    for (;;) {
        int count = poll(waits, 2, timeout_ms);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -1;
        if (waits[0].revents != 0) {
            fd = accept(SERVICE_LISTEN, NULL, NULL);
            if (fd >= 0)
                return fd;
            /* Another process of the service was quicker. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log_fatal(EX_OSERR, "accept: %s", strerror(errno));
        }
        if (waits[1].revents != 0)
            return -1;
    }
}

void showq_service_run(int64_t max_idle_s, int64_t max_use,
                       void (*list)(int fd, void *context), void *context)
{
    int64_t uses;
    int fd;

    for (uses = 0; uses < max_use; uses++) {
        fd = wait_for_client(max_idle_s);
        if (fd < 0)
            return;
        if (!tell_master(STATUS_TAKEN)) {
            close(fd);
            return;
        }
        list(fd, context);
        close(fd);
        if (!tell_master(STATUS_AVAILABLE))
            return;
    }
}
