/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "postfix/queue_file.h"

#define QUEUE_ID_SIZE_MIN 6   /* bytes */
#define QUEUE_ID_SIZE_MAX 100 /* bytes */

/*
 * A long id is seconds (at least 6 digits), microseconds (4 digits), 'z' and
 * the inode.  Seconds and microseconds have base 52.
 */
#define LONG_ID_SECONDS      6
#define LONG_ID_MICROSECONDS 4
static const char base52[] =
    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

int queue_id_valid(const char *queue_id)
{
    size_t size = 0;

    for (; queue_id[size]; size++)
        if (size == QUEUE_ID_SIZE_MAX ||
            !isalnum((unsigned char)queue_id[size]))
            return 0;
    return size >= QUEUE_ID_SIZE_MIN;
}

/*
 * The text that hash directories are named after: a short id itself, of a long
 * one the microseconds as they would stand in a short one.
 */
static void hash_text(const char *queue_id, char text[QUEUE_ID_SIZE_MAX + 1])
{
    const char *separator = strrchr(queue_id, 'z'), *digit;
    unsigned microseconds = 0, i;

    if (!separator ||
        separator - queue_id < LONG_ID_SECONDS + LONG_ID_MICROSECONDS) {
        snprintf(text, QUEUE_ID_SIZE_MAX + 1, "%s", queue_id);
        return;
    }
    for (i = 0; i < LONG_ID_MICROSECONDS; i++) {
        digit = strchr(base52, separator[(int)i - LONG_ID_MICROSECONDS]);
        if (!digit) {
            microseconds = 0;
            break;
        }
        microseconds = microseconds * 52 + (unsigned)(digit - base52);
    }
    snprintf(text, QUEUE_ID_SIZE_MAX + 1, "%05X", microseconds);
}

static int is_listed(const char *names, const char *name)
{
    static const char separators[] = ", \t\r\n";
    size_t size = strlen(name), length;

    for (names += strspn(names, separators); *names;
         names += strspn(names, separators)) {
        length = strcspn(names, separators);
        if (length == size && !strncasecmp(names, name, size))
            return 1;
        names += length;
    }
    return 0;
}

int queue_file_path(const char *queue_name, const char *queue_id,
                    const char *hash_names, unsigned hash_depth, char *path,
                    size_t path_size)
{
    char hash[QUEUE_ID_SIZE_MAX + 1], levels[2 * QUEUE_ID_SIZE_MAX + 1];
    size_t level = 0, source = 0;
    int size;

    if (!queue_id_valid(queue_id))
        return EINVAL;
    if (is_listed(hash_names, queue_name)) {
        hash_text(queue_id, hash);
        if (hash_depth > QUEUE_ID_SIZE_MAX)
            return ENAMETOOLONG;
        while (hash_depth--) {
            levels[level++] = hash[source] ? hash[source++] : '_';
            levels[level++] = '/';
        }
    }
    levels[level] = 0;
    size = snprintf(path, path_size, "%s/%s%s", queue_name, levels, queue_id);
    if (size < 0 || (size_t)size >= path_size)
        return ENAMETOOLONG;
    return 0;
}
