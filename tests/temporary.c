/* SPDX-License-Identifier: MIT */
#include "tests/temporary.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_FOLDERS_MAX 16

char *temporary_make(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;

    if (!parent || !*parent)
        parent = "/tmp";
    if (asprintf(&path, "%s/syncq-test-XXXXXX", parent) < 0)
        return NULL;
    if (!mkdtemp(path)) {
        free(path);
        return NULL;
    }
    return path;
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    (void)remove(path); /* what is left behind hurts nobody */
    return 0;
}

void temporary_remove(char *path)
{
    if (!path)
        return;
    (void)nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
    free(path);
}
