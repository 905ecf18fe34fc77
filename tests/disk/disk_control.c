/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/disk/disk_control.h"

#define NS_PER_MS   1e6
#define TIME_MS_MAX 60000.0
#define SEPARATORS  " :"

static int parse_time(const char *text, uint64_t *time_ns)
{
    char *end;
    double time_ms = strtod(text, &end);

    if (end == text || *end != '\0' || !(time_ms >= 0) || time_ms > TIME_MS_MAX)
        return EINVAL;
    *time_ns = (uint64_t)(time_ms * NS_PER_MS);
    return 0;
}

static int parse_operation(const char *text, enum disk_operation *operation)
{
    if (text != NULL && strcmp(text, "write") == 0)
        *operation = DISK_WRITE;
    else if (text != NULL && strcmp(text, "flush") == 0)
        *operation = DISK_FLUSH;
    else
        return EINVAL;
    return 0;
}

static int parse_count(const char *text, uint64_t *count)
{
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return EINVAL;
    errno = 0;
    *count = strtoull(text, &end, 10);
    return errno != 0 || *end != '\0' ? EINVAL : 0;
}

static int parse_error(const char *text, int *error)
{
    if (text != NULL && strcmp(text, "EIO") == 0)
        *error = EIO;
    else if (text != NULL && strcmp(text, "ENOSPC") == 0)
        *error = ENOSPC;
    else
        return EINVAL;
    return 0;
}

int disk_control_fail(struct disk *disk, const char *text)
{
    char words[DISK_CONTROL_SIZE_MAX], *rest, *word;
    enum disk_operation operation;
    int error = 0, always = 0;
    uint64_t count;

    if (strlen(text) >= sizeof(words))
        return EINVAL;
    (void)stpcpy(words, text);
    if (parse_operation(strtok_r(words, SEPARATORS, &rest), &operation) != 0 ||
        parse_count(strtok_r(NULL, SEPARATORS, &rest), &count) != 0)
        return EINVAL;
    if (count > 0 && parse_error(strtok_r(NULL, SEPARATORS, &rest), &error))
        return EINVAL;
    word = strtok_r(NULL, SEPARATORS, &rest);
    if (word != NULL) {
        if (strcmp(word, "always") != 0 ||
            strtok_r(NULL, SEPARATORS, &rest) != NULL)
            return EINVAL;
        always = 1;
    }
    disk_fail(disk, operation, count, error, always);
    return 0;
}

static int run_line(struct disk *disk, const char *line)
{
    uint64_t time_ns;

    if (strncmp(line, "mark ", 5) == 0)
        return disk_mark(disk, line + 5, strlen(line + 5));
    if (strncmp(line, "fail ", 5) == 0)
        return disk_control_fail(disk, line + 5);
    if (strncmp(line, "flush-ms ", 9) == 0 &&
        parse_time(line + 9, &time_ns) == 0) {
        disk_set_flush_time(disk, time_ns);
        return 0;
    }
    if (strncmp(line, "seek-ms ", 8) == 0 &&
        parse_time(line + 8, &time_ns) == 0) {
        disk_set_seek_time(disk, time_ns);
        return 0;
    }
    if (strcmp(line, "reset") == 0) {
        disk_counters_reset(disk);
        return 0;
    }
    return EINVAL;
}

int disk_control_run(struct disk *disk, const char *command, size_t length)
{
    char line[DISK_CONTROL_SIZE_MAX];

    if (length > 0 && command[length - 1] == '\n')
        length--;
    if (length >= sizeof(line) || memchr(command, '\n', length) != NULL ||
        memchr(command, '\0', length) != NULL)
        return EINVAL;
    memcpy(line, command, length);
    line[length] = '\0';
    return run_line(disk, line);
}

size_t disk_control_counters(struct disk *disk, char *text, size_t size)
{
    struct disk_counters now;
    int length;

    disk_counters_get(disk, &now);
    length = snprintf(text, size,
                      "reads %" PRIu64 "\nread_bytes %" PRIu64
                      "\nwrites %" PRIu64 "\nwrite_bytes %" PRIu64
                      "\ndiscards %" PRIu64 "\nflushes %" PRIu64
                      "\nseeks %" PRIu64 "\nmarks %" PRIu64 "\nerrors %" PRIu64
                      "\nbusy_us %" PRIu64 "\nlog_count %" PRIu64 "\n",
                      now.reads, now.read_bytes, now.writes, now.write_bytes,
                      now.discards, now.flushes, now.seeks, now.marks,
                      now.errors, now.busy_ns / 1000, now.log_count);
    if (length < 0)
        return 0;
    return (size_t)length < size ? (size_t)length : size - 1;
}
