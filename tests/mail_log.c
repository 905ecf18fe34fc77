/* SPDX-License-Identifier: MIT */
/*
 * mail_log.c - what became of each mail that mail-load sent
 */
#include "tests/mail_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int mail_log_write(FILE *file, const struct mail_log_entry *entry)
{
    errno = EIO;
    return fprintf(file, "%zu %s %016llx%016llx %d\n", entry->number,
                   entry->recipient, (unsigned long long)entry->digest.high64,
                   (unsigned long long)entry->digest.low64, entry->code) < 0
               ? errno
               : 0;
}

static int entry_parse(const char *line, struct mail_log_entry *entry)
{
    unsigned long long high, low;

    memset(entry, 0, sizeof(*entry));
    if (sscanf(line, "%zu %63s %16llx%16llx %d", &entry->number,
               entry->recipient, &high, &low, &entry->code) != 5)
        return EINVAL;
    entry->digest.high64 = high;
    entry->digest.low64 = low;
    return 0;
}

static int entries_read(FILE *file, struct mail_log_entry **entries,
                        size_t *count)
{
    size_t space = 0;
    char line[256];
    int error = 0;

    while (error == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (*count == space) {
            struct mail_log_entry *more;

            space = space == 0 ? 1024 : 2 * space;
            more = reallocarray(*entries, space, sizeof(**entries));
            if (more == NULL)
                return ENOMEM;
            *entries = more;
        }
        error = entry_parse(line, &(*entries)[*count]);
        if (error == 0)
            ++*count;
    }
    return error == 0 && ferror(file) ? EIO : error;
}

int mail_log_read(const char *path, struct mail_log_entry **entries,
                  size_t *count)
{
    FILE *file = fopen(path, "r");
    int error;

    if (file == NULL)
        return errno;
    *entries = NULL;
    *count = 0;
    error = entries_read(file, entries, count);
    if (error != 0)
        free(*entries);
    (void)fclose(file); /* it was only read */
    return error;
}
