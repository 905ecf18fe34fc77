/* SPDX-License-Identifier: MIT */
/*
 * errors_kill.c - a sync fails, and the helper dies before it could say so
 *
 * The kernel then calls the pages clean, so the successor's sync would
 * succeed.  It must not confirm what its predecessor was asked for.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/error_calls.h"
#include "tests/faults/errors.h"
#include "tests/faults/guard.h"
#include "tests/sync_control.h"

enum { LOOK_MS = 20 };

static void die(void *context)
{
    (void)context;
    (void)kill(getpid(), SIGKILL);
}

/* A helper whose n-th call fails from when it serves, and that dies when it
 * is about to write the latch. */
static pid_t start_helper(struct fixture *fixture, enum error_call call,
                          uint64_t n)
{
    int ends[2];
    char byte = 'r';
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        sync_control_start_light(fixture);
        fixture_start(fixture);
        sync_on_latch(die, NULL);
        error_arm(fixture->queue, call, n, EIO);
        if (write(ends[1], &byte, 1) != 1)
            _exit(101);
        for (;;)
            (void)pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* Append until the helper is dead; *ticket is what nobody answered. */
static int append_until_dead(struct load *load, struct syncq_queue *queue,
                             pid_t pid, struct syncq_ticket *ticket)
{
    for (unsigned i = 0; i < 30; i++) {
        struct mail mail;
        int result, status;

        mail_init(&mail, ++load->seed, 1, 1, 3000);
        oracle_say(load->oracle, &mail, ORACLE_SUBMITTED);
        if (mail_append(queue, &mail, ticket) != 0)
            return 0;
        do {
            result = syncq_ticket_wait(queue, ticket, LOOK_MS);
            if (result != 0 && waitpid(pid, &status, WNOHANG) == pid)
                return 1;
        } while (result == SYNCQ_ERR_TIMEOUT);
        if (result == 0)
            oracle_say(load->oracle, &mail, ORACLE_CONFIRMED);
        syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_SYNCED);
    }
    return 0;
}

static void check_successor(struct load *load, struct fixture *fixture,
                            struct syncq_ticket *ticket)
{
    uint64_t lsn;

    if (fixture_try_start(fixture) == 0)
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "a successor serves a channel that has failed");
    if (syncq_latch_read(fixture->writer->directory_fd, &lsn) !=
        SYNCQ_ERR_LATCHED)
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "the successor does not set the latch");
    if (syncq_ticket_wait(fixture->writer, ticket, LOOK_MS) == 0)
        findings_add(load->findings, FINDING_LOST, load->text,
                     "confirmed by the successor after a sync had failed");
    syncq_ticket_finish(fixture->writer, ticket, SYNCQ_STATUS_SYNCED);
}

static int try_kill(const struct fixture *base, struct load *load,
                    enum error_call call, uint64_t n)
{
    struct fixture *fixture = fixture_image(base);
    struct fixture *image;
    struct syncq_ticket ticket;
    pid_t pid;
    int died;

    load->oracle = oracle_new();
    guard_begin(load->findings, load->text);
    pid = start_helper(fixture, call, n);
    fixture_open(fixture);
    died = append_until_dead(load, fixture->writer, pid, &ticket);
    if (died) {
        check_successor(load, fixture, &ticket);
    } else {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    fixture_close(fixture);
    image = fixture_image(fixture);
    load_repair_and_check(load, image);
    fixture_free(image);
    fixture_free(fixture);
    oracle_free(load->oracle);
    guard_end();
    findings_count(load->findings, TRIAL_ERROR, (uint64_t)died);
    return died;
}

void errors_kill(const struct fixture *base, struct findings *findings,
                 uint64_t count)
{
    static const enum error_call calls[] = {ERROR_SYNC, ERROR_STATX};

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (uint64_t n = 1; n <= count; n++) {
            struct load load = {.findings = findings};
            char text[128];

            (void)snprintf(text, sizeof text, "%s EIO %" PRIu64 ", then killed",
                           error_call_names[calls[i]], n);
            if (!case_is_chosen(findings, text))
                continue;
            load.text = text;
            if (!try_kill(base, &load, calls[i], n))
                break;
        }
}
