/* SPDX-License-Identifier: MIT */
/*
 * test_admin_manager - stand in for a queue manager, for the tests of programs
 *
 *   test_admin_manager DIRECTORY RUN_DIRECTORY [ANSWER]
 *
 * Holds the manager lock; with ANSWER listens on the control socket too, and
 * gives this line to each question after printing the question.  Prints
 * "ready" and works until standard input ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "module/error.h"
#include "module/queue.h"

static int listen_in(const char *run_directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size;

    size = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
                    run_directory, SYNCQ_CONTROL_FILE);
    (void)unlink(address.sun_path);
    if (fd < 0 || size < 0 || (size_t)size >= sizeof(address.sun_path) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
        listen(fd, 5)) {
        perror("test_admin_manager: control socket");
        exit(1);
    }
    return fd;
}

static void answer_one(int listen_fd, const char *answer)
{
    int fd = accept(listen_fd, NULL, NULL);
    FILE *client = fd < 0 ? NULL : fdopen(fd, "r+");
    char question[4096];

    if (!client)
        return;
    if (fgets(question, sizeof(question), client)) {
        fputs(question, stdout);
        fflush(stdout);
        fprintf(client, "%s\n", answer);
    }
    fclose(client);
}

int main(int argc, char **argv)
{
    struct pollfd waits[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = -1, .events = POLLIN}};
    int lock_fd, result;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: test_admin_manager DIRECTORY RUN_DIRECTORY "
                        "[ANSWER]\n");
        return 2;
    }
    result = syncq_manager_lock(argv[1], &lock_fd);
    if (result) {
        fprintf(stderr, "test_admin_manager: %s\n", syncq_strerror(result));
        return 1;
    }
    if (argc == 4)
        waits[1].fd = listen_in(argv[2]);
    puts("ready");
    fflush(stdout);
    while (poll(waits, 2, -1) > 0 && !waits[0].revents)
        if (waits[1].revents)
            answer_one(waits[1].fd, argv[3]);
    return 0;
}
