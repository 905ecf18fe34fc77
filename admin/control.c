/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"
#include "module/queue.h"

static int connect_to(const char *run_directory, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = CONTROL_TIMEOUT_S};
    int opened, size;

    size = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
                    run_directory, SYNCQ_CONTROL_FILE);
    if (size < 0 || (size_t)size >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened < 0)
        return errno;
    if (setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
        connect(opened, (const struct sockaddr *)&address, sizeof(address))) {
        int error = errno;

        close(opened);
        return error == ENOENT || error == ECONNREFUSED ? ESRCH : error;
    }
    *fd = opened;
    return 0;
}

static int send_line(int fd, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t size, done = 0;
    int result = 0;

    if (!text)
        return ENOMEM;
    size = strlen(text);
    text[size++] = '\n'; /* in the place of the NUL */
    while (!result && done < size) {
        ssize_t count = send(fd, text + done, size - done, MSG_NOSIGNAL);

        if (count < 0)
            result = errno == EAGAIN ? ETIMEDOUT : errno;
        else
            done += (size_t)count;
    }
    free(text);
    return result;
}

int control_ask(const char *run_directory, json_t *request, json_t **answer)
{
    int fd = -1, result;

    result = request ? connect_to(run_directory, &fd) : ENOMEM;
    if (!result)
        result = send_line(fd, request);
    if (!result) {
        errno = 0;
        *answer = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, NULL);
        if (!*answer)
            result = errno == EAGAIN ? ETIMEDOUT : EPROTO;
        else if (!json_is_object(*answer)) {
            json_decref(*answer);
            *answer = NULL;
            result = EPROTO;
        }
    }
    if (fd >= 0)
        close(fd);
    json_decref(request);
    return result;
}
