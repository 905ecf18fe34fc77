/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <pwd.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/privilege.h"

#define USER "nobody"

static void test_drop__unknown_user__is_nouser(void **state)
{
    char error[200] = "";

    (void)state;
    assert_result(privilege_drop("no-such-user", error, sizeof(error)),
                  EX_NOUSER);
    assert_string_equal(error, "there is no user no-such-user");
}

static void test_drop__to_root__is_refused(void **state)
{
    char error[200] = "";

    (void)state;
    assert_result(privilege_drop("root", error, sizeof(error)), EX_NOPERM);
    assert_non_null(strstr(error, "will not run as user root"));
}

/* In a child: what the drop returned, or 100 when ids are not as they must. */
static int drop_twice(void)
{
    const struct passwd *user = getpwnam(USER);
    char error[200];
    uid_t real, effective, saved;
    int result;

    if (!user)
        return 100;
    result = privilege_drop(USER, error, sizeof(error));
    if (result)
        return result;
    if (getresuid(&real, &effective, &saved) || real != user->pw_uid ||
        effective != user->pw_uid || saved != user->pw_uid ||
        getgid() != user->pw_gid || setuid(0) == 0)
        return 100;
    /* As that user already: nothing to do; as another: refused. */
    if (privilege_drop(USER, error, sizeof(error)))
        return 100;
    return privilege_drop("daemon", error, sizeof(error)) == EX_NOPERM ? 0
                                                                       : 100;
}

static void test_drop__as_root__is_for_good(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (geteuid())
        skip();
    pid = fork();
    if (pid == 0)
        _exit(drop_twice());
    assert_true(waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop__unknown_user__is_nouser),
        cmocka_unit_test(test_drop__to_root__is_refused),
        cmocka_unit_test(test_drop__as_root__is_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
