/* SPDX-License-Identifier: MIT */
/*
 * mail_compare.c - did what was accepted arrive, once and unaltered?
 */
#include "tests/mail_compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/mail_log.h"

#define FINDINGS_MAX 10 /* lines */

struct comparer {
    struct mail_log_entry *entries; /* sorted by recipient */
    size_t count;
    int directory; /* descriptor */
    int allow_duplicates;
    size_t findings;
    struct mail_comparison *result;
};

static void finding(struct comparer *comparer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void finding(struct comparer *comparer, const char *format, ...)
{
    va_list arguments;

    if (comparer->findings++ >= FINDINGS_MAX)
        return;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
}

static int by_recipient(const void *left, const void *right)
{
    const struct mail_log_entry *a = left, *b = right;

    return strcmp(a->recipient, b->recipient);
}

/* A file's bytes with a NUL after them; the caller frees them. */
static int file_read(int directory, const char *name, char **bytes,
                     size_t *size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int error = 0;

    *bytes = NULL;
    if (fd < 0 || fstat(fd, &status) != 0) {
        error = errno;
        goto out;
    }
    *size = (size_t)status.st_size;
    *bytes = malloc(*size + 1);
    if (*bytes == NULL)
        error = ENOMEM;
    else if (read(fd, *bytes, *size) != (ssize_t)*size)
        error = EIO;
    else
        (*bytes)[*size] = '\0';
    if (error != 0)
        free(*bytes);
out:
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    return error;
}

/* The size of a trace header at the start of text, with its folded lines; 0
 * when it starts with something else. */
static size_t trace_header_size(const char *text, size_t size)
{
    static const char *const names[] = {
        "Received:", "Return-Path:", "Delivered-To:", "X-Original-To:"};
    const char *end = text + size, *next = text;
    size_t i = 0;

    while (i < 4 && strncasecmp(text, names[i], strlen(names[i])) != 0)
        i++;
    if (i == 4)
        return 0;
    do {
        next = memchr(next, '\n', (size_t)(end - next));
        if (next == NULL)
            return size;
        next++;
    } while (next < end && (*next == ' ' || *next == '\t'));
    return (size_t)(next - text);
}

static int digest_is(const char *text, size_t size, XXH128_hash_t digest)
{
    return XXH128_isEqual(XXH3_128bits(text, size), digest);
}

/* The original may itself start with trace headers, so every place where it
 * could begin is tried. */
static int content_is(const char *text, size_t size, XXH128_hash_t digest)
{
    size_t header_size;

    for (;;) {
        if (digest_is(text, size, digest))
            return 1;
        header_size = trace_header_size(text, size);
        if (header_size == 0)
            break;
        text += header_size;
        size -= header_size;
    }
    return size >= 2 && memcmp(text, "\r\n", 2) == 0 &&
           digest_is(text + 2, size - 2, digest);
}

static void arrival(struct comparer *comparer, const char *name,
                    const char *recipient, const char *text, size_t size)
{
    struct mail_log_entry key, *entry;

    (void)snprintf(key.recipient, sizeof(key.recipient), "%s", recipient);
    entry = bsearch(&key, comparer->entries, comparer->count,
                    sizeof(*comparer->entries), by_recipient);
    if (entry == NULL) {
        comparer->result->unexpected++;
        finding(comparer, "not sent: %s for %s\n", name, recipient);
    } else if (!content_is(text, size, entry->digest)) {
        comparer->result->altered++;
        finding(comparer, "altered: %s, mail %zu for %s\n", name, entry->number,
                recipient);
    } else if (entry->code != 250 && entry->code != 0) {
        comparer->result->unexpected++;
        finding(comparer, "arrived although refused (%d): %s, mail %zu\n",
                entry->code, name, entry->number);
    } else if (entry->arrived++ > 0) {
        comparer->result->doubled++;
        if (!comparer->allow_duplicates)
            finding(comparer, "doubled: %s, mail %zu for %s\n", name,
                    entry->number, recipient);
    }
}

/* Each recipient of the envelope had this text. */
static int arrivals(struct comparer *comparer, const char *name)
{
    char *envelope = NULL, *text = NULL, *position = NULL, *line;
    size_t size;
    char envelope_name[64], recipient[MAIL_RECIPIENT_SIZE];
    int error;

    (void)snprintf(envelope_name, sizeof(envelope_name), "%.*s.env",
                   (int)(strlen(name) - strlen(".eml")), name);
    error = file_read(comparer->directory, envelope_name, &envelope, &size);
    if (error != 0)
        goto out;
    error = file_read(comparer->directory, name, &text, &size);
    if (error != 0)
        goto out;
    for (line = strtok_r(envelope, "\n", &position); line != NULL;
         line = strtok_r(NULL, "\n", &position))
        if (strncasecmp(line, "RCPT TO:<", 9) == 0) {
            (void)snprintf(recipient, sizeof(recipient), "%.*s",
                           (int)strcspn(line + 9, ">"), line + 9);
            arrival(comparer, name, recipient, text, size);
        }
out:
    free(text);
    free(envelope);
    return error;
}

static int directory_walk(struct comparer *comparer, const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int error = 0;

    if (directory == NULL)
        return errno;
    comparer->directory = dirfd(directory);
    while (error == 0 && (entry = readdir(directory)) != NULL) {
        size_t length = strlen(entry->d_name);

        if (length > 4 && strcmp(entry->d_name + length - 4, ".eml") == 0)
            error = arrivals(comparer, entry->d_name);
    }
    (void)closedir(directory); /* it was only read */
    return error;
}

static void missing_find(struct comparer *comparer)
{
    struct mail_comparison *result = comparer->result;

    for (size_t i = 0; i < comparer->count; i++) {
        const struct mail_log_entry *entry = &comparer->entries[i];

        if (entry->code != 250)
            continue;
        result->accepted++;
        if (entry->arrived > 0) {
            result->delivered++;
            continue;
        }
        result->missing++;
        finding(comparer, "missing: mail %zu for %s\n", entry->number,
                entry->recipient);
    }
}

int mail_compare(const char *log, const char *directory, int allow_duplicates,
                 struct mail_comparison *comparison)
{
    struct comparer comparer = {.allow_duplicates = allow_duplicates,
                                .result = comparison};
    int error;

    memset(comparison, 0, sizeof(*comparison));
    error = mail_log_read(log, &comparer.entries, &comparer.count);
    if (error != 0)
        return error;
    qsort(comparer.entries, comparer.count, sizeof(*comparer.entries),
          by_recipient);
    error = directory_walk(&comparer, directory);
    if (error == 0)
        missing_find(&comparer);
    free(comparer.entries);
    return error;
}
