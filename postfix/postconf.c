/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "postfix/buffer.h"
#include "postfix/postconf.h"

#define ARGUMENTS_MAX 8    /* with the three that come first, and NULL */
#define READ_SIZE     8192 /* bytes */

/* All until end of file, as a C string. */
static int read_all(int fd, char **text)
{
    void *bytes = NULL;
    size_t capacity = 0, size = 0;
    ssize_t count;
    int error;

    for (;;) {
        error = buffer_reserve(&bytes, &capacity, size, READ_SIZE);
        if (error)
            goto out;
        count = read(fd, (char *)bytes + size, READ_SIZE - 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            error = EIO;
            goto out;
        }
        if (!count)
            break;
        size += (size_t)count;
    }
    ((char *)bytes)[size] = 0;
    *text = bytes;
    bytes = NULL;
out:
    free(bytes);
    return error;
}

/* The child's standard output is output_fd. */
static int spawn(const char *const *argv, int output_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);

    if (error)
        return ENOMEM;
    error =
        posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    /* The cast: it takes the texts as they are, only its type has no const. */
    if (!error)
        error = posix_spawn(pid, POSTCONF_PATH, &actions, NULL,
                            (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error == ENOMEM ? ENOMEM : error ? EIO : 0;
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EIO;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EIO;
}

int postconf_run(const char *config_directory, const char *const *arguments,
                 char **text)
{
    const char *argv[ARGUMENTS_MAX] = {POSTCONF_PATH};
    int pipe_fds[2] = {-1, -1}, error, wait_error;
    char *result = NULL;
    size_t count = 1;
    pid_t pid;

    if (config_directory) {
        argv[count++] = "-c";
        argv[count++] = config_directory;
    }
    for (; *arguments; arguments++) {
        if (count == ARGUMENTS_MAX - 1)
            return EINVAL;
        argv[count++] = *arguments;
    }
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return EIO;
    error = spawn(argv, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (!error) {
        error = read_all(pipe_fds[0], &result);
        close(pipe_fds[0]);
        pipe_fds[0] = -1;
        wait_error = wait_for(pid);
        if (!error)
            error = wait_error;
    }
    if (pipe_fds[0] >= 0)
        close(pipe_fds[0]);
    if (!error) {
        *text = result;
        result = NULL;
    }
    free(result);
    return error;
}
