/* SPDX-License-Identifier: MIT */
/*
 * write_log_tool.c - look into a write log, rebuild a disk from it
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/disk/crash_image.h"

static const char help[] =
    "Usage: write-log list LOG\n"
    "       write-log image LOG FILE [OPTION]...\n"
    "List what a model disk was asked to change, or build in FILE what a "
    "power\n"
    "cut may have left of it.\n\n"
    "      --cut N      the power goes after entry N [the last one]\n"
    "      --choice C   of what was not flushed yet: all, none, random "
    "(half),\n"
    "                   few or most [all]\n"
    "      --seed N     for random, few and most [1]\n"
    "      --unit N     bytes that the disk writes whole [512]\n"
    "      --help       show this text\n";

enum { OPTION_HELP = 256 };

static const struct option options[] = {
    {"cut", required_argument, NULL, 'c'},
    {"choice", required_argument, NULL, 'h'},
    {"seed", required_argument, NULL, 's'},
    {"unit", required_argument, NULL, 'u'},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static const char *const type_names[] = {"?",       "write", "flush",
                                         "discard", "zero",  "mark"};

static int fail(const char *what, int error)
{
    fprintf(stderr, "write-log: %s: %s\n", what, strerror(error));
    return 1;
}

static int usage(const char *text)
{
    fprintf(stderr, "write-log: %s; see --help\n", text);
    return EX_USAGE;
}

static int list(const struct write_log *log)
{
    size_t position = write_log_first(log);
    struct write_log_entry entry;
    int result;

    while ((result = write_log_next(log, &position, &entry)) == 0) {
        printf("%" PRIu64 " %.6f %s %" PRIu64 " %" PRIu64 " %s", entry.number,
               (double)entry.time_ns / 1e9, type_names[entry.type],
               entry.offset, entry.length,
               entry.result ? strerrorname_np(entry.result) : "ok");
        if (entry.type == WRITE_LOG_MARK)
            printf(" %.*s", (int)entry.length, (const char *)entry.data);
        (void)putchar('\n');
    }
    return result == ENODATA ? 0 : fail("list", result);
}

static int image(const struct write_log *log, const char *path,
                 const struct crash_cut *cut)
{
    struct crash_report report;
    int result, fd;

    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(path, errno);
    result = ftruncate(fd, (off_t)log->disk_size) != 0 ? errno : 0;
    if (result == 0)
        result = crash_image_build(log, cut, fd, &report);
    if (close(fd) != 0 && result == 0)
        result = errno;
    if (result != 0)
        return fail(path, result);
    printf("flush %" PRIu64 ", of later units %" PRIu64 " in, %" PRIu64
           " out\n",
           report.flush, report.chosen, report.left);
    return 0;
}

static int parse_choice(const char *text, enum crash_choice *choice)
{
    static const char *const names[] = {"all", "none", "random", "few", "most"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *choice = (enum crash_choice)i;
            return 1;
        }
    }
    return 0;
}

static int parse_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static int parse_option(int option, struct crash_cut *cut)
{
    uint64_t unit;

    switch (option) {
    case 'c':
        return parse_number(optarg, &cut->number);
    case 'h':
        return parse_choice(optarg, &cut->choice);
    case 's':
        return parse_number(optarg, &cut->seed);
    case 'u':
        if (!parse_number(optarg, &unit) || (unit != 512 && unit != 4096))
            return 0;
        cut->unit = (uint32_t)unit;
        return 1;
    default:
        return 0;
    }
}

static int run(char *const words[], int count, const struct crash_cut *cut)
{
    struct write_log log;
    int result;

    if (count == 2 && strcmp(words[0], "list") != 0)
        return usage("unknown command");
    if (count == 3 && strcmp(words[0], "image") != 0)
        return usage("unknown command");
    if (count < 2 || count > 3)
        return usage("wrong number of arguments");
    result = write_log_open(words[1], &log);
    if (result != 0)
        return fail(words[1], result);
    result = count == 2 ? list(&log) : image(&log, words[2], cut);
    write_log_close(&log);
    return result;
}

int main(int argc, char *argv[])
{
    struct crash_cut cut = {.number = UINT64_MAX,
                            .choice = CRASH_ALL,
                            .seed = 1,
                            .unit = CRASH_IMAGE_UNIT};
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            (void)fputs(help, stdout);
            return 0;
        }
        if (!parse_option(option, &cut))
            return usage("wrong option");
    }
    result = run(argv + optind, argc - optind, &cut);
    if (fflush(stdout) != 0 && result == 0)
        result = fail("output", errno);
    return result;
}
