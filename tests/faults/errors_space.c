/* SPDX-License-Identifier: MIT */
/*
 * errors_space.c - a file system that is full
 *
 * On a tmpfs of some KiB, mounted where nobody else sees it; that needs root,
 * and without it a line says that nothing was tried.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/errors.h"
#include "tests/faults/guard.h"
#include "tests/temporary.h"

enum { SEGMENTS = 6 };

/* The limit of the file system at path. */
static int set_size(const char *path, const char *size, unsigned long flags)
{
    char options[64];

    (void)snprintf(options, sizeof options, "size=%s,mode=700", size);
    return mount("syncq-test", path, "tmpfs", flags, options);
}

static unsigned count_files(const char *path)
{
    unsigned count = 0;
    DIR *directory = opendir(path);

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

/* No half of a queue is left behind. */
static void try_create(struct findings *findings, const char *path,
                       const char *size)
{
    const struct syncq_create_options options = {
        .size = FIXTURE_SEGMENT_SIZE * FIXTURE_SEGMENT_COUNT,
        .segment_size = FIXTURE_SEGMENT_SIZE,
        .entry_count = FIXTURE_ENTRY_COUNT,
        .allow_any_filesystem = 1,
    };
    char text[128];
    int result;

    (void)snprintf(text, sizeof text, "full: create in %s", size);
    if (!case_is_chosen(findings, text))
        return;
    guard_begin(findings, text);
    assert_int_equal(set_size(path, size, MS_REMOUNT), 0);
    result = syncq_queue_create(path, &options);
    if (result != ENOSPC || count_files(path) > 0)
        findings_add(findings, FINDING_STUCK, text, "%s, %u files are left",
                     syncq_strerror(result), count_files(path));
    guard_end();
    findings_count(findings, TRIAL_ERROR, 1);
}

/* A queue that lies on the small file system: files or run directory. */
static struct fixture *move_there(const char *path, int run_only)
{
    static const char *const names[] = {SYNCQ_KEY_FILE, SYNCQ_LATCH_FILE,
                                        SYNCQ_INDEX_FILE, SYNCQ_DATA_FILE};
    struct fixture *fixture = small_queue_new(SMALL_SEGMENT_SIZE, SEGMENTS);
    char *place = run_only ? fixture->run : fixture->queue;
    struct file_copy copies[4] = {{NULL, 0}};

    assert_int_equal(set_size(path, "64m", MS_REMOUNT), 0);
    for (size_t i = 0; !run_only && i < 4; i++)
        file_copy_take(&copies[i], fixture, names[i]);
    (void)snprintf(place, sizeof fixture->queue, "%s", path);
    for (size_t i = 0; !run_only && i < 4; i++) {
        file_copy_put(&copies[i], fixture, names[i]);
        file_copy_clear(&copies[i]);
    }
    free(fixture->config.queue_directory);
    free(fixture->config.run_directory);
    fixture->config.queue_directory = strdup(fixture->queue);
    fixture->config.run_directory = strdup(fixture->run);
    return fixture;
}

static void empty(const char *path)
{
    DIR *directory = opendir(path);

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    (void)closedir(directory);
}

/* The helper needs room for what: it refuses to start, and does start once
 * there is room, with all mail. */
static void try_start(struct findings *findings, const char *path,
                      const char *what, int run_only)
{
    struct load load = {.findings = findings};
    struct fixture *fixture;
    char text[128];

    (void)snprintf(text, sizeof text, "full: %s", what);
    if (!case_is_chosen(findings, text))
        return;
    load.text = text;
    load.oracle = oracle_new();
    guard_begin(findings, text);
    fixture = move_there(path, run_only);
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(load_step(&load, fixture->writer), 0);
    fixture_stop(fixture);
    if (!run_only)
        assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    /* Just what is there now. */
    assert_int_equal(set_size(path, run_only ? "8k" : "1500k", MS_REMOUNT), 0);
    if (fixture_try_start(fixture) == 0)
        findings_add(findings, FINDING_STUCK, text,
                     "the helper starts on a full disk");
    fixture_stop(fixture);
    assert_int_equal(set_size(path, "64m", MS_REMOUNT), 0);
    if (fixture_try_start(fixture) != 0)
        findings_add(findings, FINDING_STUCK, text,
                     "the helper does not start when there is room again");
    fixture_stop(fixture);
    load_repair_and_check(&load, fixture);
    fixture_free(fixture);
    empty(path);
    oracle_free(load.oracle);
    guard_end();
    findings_count(findings, TRIAL_ERROR, 1);
}

void errors_space(struct findings *findings)
{
    static const char *const sizes[] = {"4k", "16k", "64k", "256k",
                                        "1m", "4m",  "16m", "33m"};
    char *path = temporary_make();

    assert_non_null(path);
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        set_size(path, "64m", 0) != 0) {
        (void)printf("errors: a full disk was not tried: %s\n",
                     strerror(errno));
        temporary_remove(path);
        return;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        try_create(findings, path, sizes[i]);
    try_start(findings, path, "no room for a new index", 0);
    try_start(findings, path, "no room for a channel", 1);
    (void)umount(path);
    temporary_remove(path);
}
