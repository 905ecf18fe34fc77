/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "milter/socket.h"

#define UNIX_PREFIX "unix:"
#define UMASK_GROUP 0117 /* leaves 0660 of a socket */

const char *socket_path(const char *address)
{
    size_t size = sizeof(UNIX_PREFIX) - 1;

    return strncmp(address, UNIX_PREFIX, size) ? NULL : address + size;
}

/* True when somebody accepts connections at this path. */
static int path_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int answers;

    if (fd < 0)
        return 0;
    answers = !connect(fd, (const void *)address, sizeof(*address)) ||
              errno == EAGAIN;
    close(fd);
    return answers;
}

/*
 * libmilter removes whatever is there before it binds, and says little when it
 * cannot: look first, so that a running milter keeps its socket.
 */
static int path_check(const char *path, char *error, size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char *slash;

    if (strlen(path) >= sizeof(address.sun_path)) {
        (void)snprintf(error, error_size, "%s: longer than %zu bytes", path,
                       sizeof(address.sun_path) - 1);
        return EX_CONFIG;
    }
    strcpy(address.sun_path, path);
    if (!lstat(path, &status)) {
        if (!S_ISSOCK(status.st_mode)) {
            (void)snprintf(error, error_size, "%s: is not a socket", path);
            return EX_CONFIG;
        }
        if (path_answers(&address)) {
            (void)snprintf(error, error_size, "%s: another milter is using it",
                           path);
            return EX_TEMPFAIL;
        }
    }
    slash = strrchr(address.sun_path, '/');
    if (slash && slash != address.sun_path)
        *slash = 0;
    if (access(address.sun_path, W_OK | X_OK)) {
        (void)snprintf(error, error_size, "%s: %s", address.sun_path,
                       strerror(errno));
        return errno == EACCES ? EX_NOPERM : EX_CONFIG;
    }
    return 0;
}

int socket_open(const char *address, char *error, size_t error_size)
{
    const char *path = socket_path(address);
    char *copy;
    mode_t mask;
    int result;

    result = path ? path_check(path, error, error_size) : 0;
    if (result)
        return result;
    copy = strdup(address); /* libmilter keeps a copy of its own */
    mask = umask(UMASK_GROUP);
    errno = 0; /* libmilter has a reason of its own in the log otherwise */
    if (!copy || smfi_setconn(copy) != MI_SUCCESS ||
        smfi_opensocket(path != NULL) != MI_SUCCESS) {
        (void)snprintf(error, error_size, "%s: cannot listen: %s", address,
                       errno ? strerror(errno) : "bad address");
        result = EX_UNAVAILABLE;
    }
    umask(mask);
    free(copy);
    return result;
}
