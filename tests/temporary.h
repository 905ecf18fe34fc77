/* SPDX-License-Identifier: MIT */
/*
 * temporary.h - a folder of its own for a test
 */
#ifndef SYNCQ_TESTS_TEMPORARY_H
#define SYNCQ_TESTS_TEMPORARY_H

/*
 * Make an empty folder, mode 0700, in $TMPDIR or /tmp.  The path is absolute
 * when $TMPDIR is; NULL on failure.
 */
char *temporary_make(void);

/* Remove the folder with all that is in it and free the path.  NULL is fine. */
void temporary_remove(char *path);

#endif
