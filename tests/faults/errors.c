/* SPDX-License-Identifier: MIT */
/*
 * errors.c - system calls that fail
 *
 * The n-th call of each kind fails, in recovery and at work.  The first error
 * of a sync is final: the channel has failed, the latch is set, nothing is
 * confirmed any more, the queue stays readable, the helper does not start
 * again; after a repair everything that was confirmed is there, also when the
 * power fails instead.  Other errors are one writer's, or the index's alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/error_calls.h"
#include "tests/faults/errors.h"
#include "tests/faults/guard.h"
#include "tests/sync_control.h"

enum {
    COUNT_DEFAULT = 40, /* of calls of each kind that fail, one by one */
    STEPS = 8,
    SEGMENTS = 6,
    CALLS_MAX = 1000, /* more than a case makes */
};

static const int errors[] = {EIO, ENOSPC};

struct error_case {
    enum error_call call;
    int error;
    uint64_t n;
    struct load load;
    struct fixture *fixture;
};

#define SAY(load, ...)                                                         \
    findings_add((load)->findings, FINDING_STUCK, (load)->text, __VA_ARGS__)

static void check_failed(struct error_case *at)
{
    struct fixture *fixture = at->fixture;
    struct load *load = &at->load;
    struct syncq_queue *reader;
    uint64_t lsn;

    if (syncq_latch_read(fixture->writer->directory_fd, &lsn) !=
        SYNCQ_ERR_LATCHED)
        SAY(load, "the channel has failed, the latch is not set");
    if (load_step(load, fixture->writer) != SYNCQ_ERR_LATCHED)
        SAY(load, "a mail is taken after the failure");
    fixture_stop(fixture);
    if (fixture_try_start(fixture) == 0)
        SAY(load, "the helper starts again after the failure");
    if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_READ,
                         &reader) != 0)
        SAY(load, "the queue cannot be read after the failure");
    else
        syncq_queue_close(reader);
}

/* The channel goes on: what failed was not a sync of data. */
static void check_goes_on(struct error_case *at)
{
    struct fixture *fixture = at->fixture;
    const char *file = sync_failed_file();
    uint64_t lsn;

    if (error_fired() &&
        (at->call == ERROR_STATX ||
         (at->call == ERROR_SYNC && strcmp(file, SYNCQ_DATA_FILE) == 0)))
        SAY(&at->load, "the sync of the data failed, and mail goes on");
    if (at->call == ERROR_SYNC && error_fired() &&
        syncq_latch_read(fixture->writer->directory_fd, &lsn) !=
            SYNCQ_ERR_INDEX)
        SAY(&at->load, "the sync of the index failed, the latch is not set");
    error_disarm();
    if (load_step(&at->load, fixture->writer) != 0)
        SAY(&at->load, "no mail is taken although the queue is fine");
    fixture_stop(fixture);
}

static int is_failed(const struct fixture *fixture)
{
    return atomic_load(&fixture->helper.channel->state) == SYNCQ_CHANNEL_FAILED;
}

static void work(struct error_case *at)
{
    struct fixture *fixture = at->fixture;

    fixture_open(fixture);
    for (unsigned i = 0; i < STEPS; i++) {
        (void)load_step(&at->load, fixture->writer);
        keeper_wake(&fixture->helper); /* for the index */
    }
    if (is_failed(fixture))
        check_failed(at);
    else
        check_goes_on(at);
}

/* What a power cut leaves is what the syncs that succeeded have written. */
static void check_images(struct error_case *at)
{
    struct fixture *medium = sync_power_cut();
    struct fixture *image = fixture_image(at->fixture);

    sync_control_stop();
    load_repair_and_check(&at->load, medium);
    load_repair_and_check(&at->load, image);
    fixture_free(medium);
    fixture_free(image);
}

/* False: there were fewer than n calls. */
static int try_error(const struct fixture *base, struct findings *findings,
                     struct error_case *at)
{
    int code, fired;

    at->load.oracle = oracle_new();
    at->fixture = fixture_image(base);
    at->fixture->config.index_sync_interval_ms = 1;
    guard_begin(findings, at->load.text);
    sync_control_start(at->fixture);
    error_arm(at->fixture->queue, at->call, at->n, at->error);
    code = fixture_try_start(at->fixture);
    if (code == 0)
        work(at);
    fired = error_fired();
    if (code != 0 && !fired)
        SAY(&at->load, "the helper does not start: %d", code);
    error_disarm();
    check_images(at);
    fixture_free(at->fixture);
    oracle_free(at->load.oracle);
    guard_end();
    findings_count(findings, TRIAL_ERROR, (uint64_t)fired);
    return fired;
}

static void errors_calls(const struct fixture *base, struct findings *findings,
                         uint64_t count)
{
    for (int call = 0; call < ERROR_CALLS; call++)
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
            for (uint64_t n = 1; n <= count && n < CALLS_MAX; n++) {
                struct error_case at = {.call = (enum error_call)call,
                                        .error = errors[i],
                                        .n = n,
                                        .load = {.findings = findings}};
                char text[128];

                (void)snprintf(text, sizeof text, "%s %s %" PRIu64,
                               error_call_names[call],
                               strerrorname_np(errors[i]), n);
                if (!case_is_chosen(findings, text))
                    continue;
                at.load.text = text;
                if (!try_error(base, findings, &at))
                    break;
            }
}

int main(int argc, char **argv)
{
    struct findings findings;
    struct fixture *base;
    uint64_t count;

    findings_begin(&findings, "errors", argc, argv);
    count = findings.count == 0 ? COUNT_DEFAULT : findings.count;
    small_queue_begin();
    base = small_queue_new(SMALL_SEGMENT_SIZE, SEGMENTS);
    errors_calls(base, &findings, count);
    errors_kill(base, &findings, count);
    errors_file(base, &findings, count);
    errors_space(&findings);
    errors_groups(&findings, count);
    fixture_free(base);
    small_queue_end();
    return findings_end(&findings);
}
