/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/fence.h"
#include "tests/temporary.h"

enum { NO_LANDLOCK = 99 };

struct folders {
    char *top;
    char writable[300], readable[300], outside[300], later[320];
};

static const char *in_folder(const char *folder, const char *name)
{
    static char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void make_folder(const char *top, const char *name, char path[300])
{
    int fd;

    (void)snprintf(path, 300, "%s/%s", top, name);
    assert_int_equal(mkdir(path, 0700), 0);
    fd = open(in_folder(path, "file"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    struct folders *folders = calloc(1, sizeof(*folders));

    assert_non_null(folders);
    folders->top = temporary_make();
    assert_non_null(folders->top);
    make_folder(folders->top, "writable", folders->writable);
    make_folder(folders->top, "readable", folders->readable);
    make_folder(folders->top, "outside", folders->outside);
    (void)snprintf(folders->later, sizeof(folders->later), "%s/later/queue",
                   folders->writable);
    *state = folders;
    return 0;
}

static int teardown(void **state)
{
    struct folders *folders = *state;

    temporary_remove(folders->top);
    free(folders);
    return 0;
}

/* errno of an open; 0: it was opened. */
static int opens(const char *folder, const char *name, int flags)
{
    int fd = open(in_folder(folder, name), flags, 0600);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int renames(const char *folder)
{
    char from[400];

    (void)snprintf(from, sizeof(from), "%s/file", folder);
    return rename(from, in_folder(folder, "renamed")) ? errno : 0;
}

/* In a child: 0, or the number of what was not as it must be. */
static int fenced(const struct folders *folders)
{
    const struct fence_path paths[] = {{folders->writable, 1},
                                       {folders->readable, 0}};
    int early = open(in_folder(folders->outside, "file"), O_RDWR);
    char name[] = "true", *const arguments[] = {name, NULL};
    int result = fence_close(paths, 2);

    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
        prctl(PR_GET_DUMPABLE) != 0)
        return 1;
    if (result)
        return result == ENOSYS ? NO_LANDLOCK : 2;
    if (opens(folders->writable, "new", O_RDWR | O_CREAT) ||
        opens(folders->writable, "file", O_RDWR | O_TRUNC) ||
        renames(folders->writable) ||
        unlink(in_folder(folders->writable, "new")))
        return 3;
    if (opens(folders->readable, "file", O_RDONLY))
        return 4;
    if (opens(folders->readable, "file", O_RDWR) != EACCES ||
        opens(folders->readable, "new", O_RDWR | O_CREAT) != EACCES ||
        renames(folders->readable) != EACCES)
        return 5;
    if (opens(folders->outside, "file", O_RDONLY) != EACCES)
        return 6;
    if (write(early, "x", 1) != 1)
        return 7;
    (void)execv("/bin/true", arguments);
    return errno == EACCES ? 0 : 8;
}

/* The folder is made only after the fence. */
static int fenced_before_folder(const struct folders *folders)
{
    const struct fence_path path = {folders->later, 1};
    int result = fence_close(&path, 1);

    if (result)
        return result == ENOSYS ? NO_LANDLOCK : 2;
    if (opens(folders->writable, "new", O_RDWR | O_CREAT))
        return 3;
    return opens(folders->outside, "file", O_RDONLY) == EACCES ? 0 : 6;
}

static void run(const struct folders *folders,
                int (*child)(const struct folders *folders))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(folders));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_LANDLOCK)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fence__paths__nothing_else_opens(void **state)
{
    run(*state, fenced);
}

static void test_fence__folder_not_there__its_parent_counts(void **state)
{
    run(*state, fenced_before_folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fence__paths__nothing_else_opens,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_fence__folder_not_there__its_parent_counts, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
