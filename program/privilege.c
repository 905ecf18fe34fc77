/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/privilege.h"

static int become(const struct passwd *user, char *error, size_t error_size)
{
    if (initgroups(user->pw_name, user->pw_gid) < 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0) {
        snprintf(error, error_size, "cannot become user %s: %s", user->pw_name,
                 strerror(errno));
        return EX_NOPERM;
    }
    /* A way back would make the drop worthless. */
    if (setuid(0) == 0) {
        snprintf(error, error_size, "could become root again from user %s",
                 user->pw_name);
        return EX_NOPERM;
    }
    return 0;
}

int privilege_drop(const char *user, char *error, size_t error_size)
{
    const struct passwd *entry = getpwnam(user);

    if (!entry) {
        snprintf(error, error_size, "there is no user %s", user);
        return EX_NOUSER;
    }
    if (entry->pw_uid == 0) {
        snprintf(error, error_size, "will not run as user %s, it is root",
                 user);
        return EX_NOPERM;
    }
    if (geteuid() == 0)
        return become(entry, error, error_size);
    if (geteuid() != entry->pw_uid || getuid() != entry->pw_uid) {
        snprintf(error, error_size, "must be started by root or by user %s",
                 user);
        return EX_NOPERM;
    }
    return 0;
}
