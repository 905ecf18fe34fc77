/* SPDX-License-Identifier: MIT */
/*
 * block_try.c - recover the queue on a mounted state, compare it, use it
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/check.h"
#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/daemon.h"
#include "tests/faults/block_player.h"
#include "tests/faults/block_state.h"

struct attempt {
    struct block_worker *worker;
    const char *case_text;
    struct fixture fixture; /* a view of the mounted queue */
};

__attribute__((format(printf, 2, 3))) static void
stuck(const struct attempt *attempt, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    findings_add(attempt->worker->findings, FINDING_STUCK, attempt->case_text,
                 "%s", text);
}

/* Nothing in such a state is damaged: it is only not written. */
static int recover(struct attempt *attempt, const char *which)
{
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    int result = fixture_recover(&attempt->fixture, &report, &recovered);

    if (result != 0)
        stuck(attempt, "%s recovery: %s", which, syncq_strerror(result));
    else if (report.damage_count > 0 || report.marks_missing)
        stuck(attempt,
              "%s recovery calls %" PRIu64 " bytes at offset %" PRIu64
              " damaged; marks are missing: %d",
              which, report.damages[0].size, report.damages[0].offset,
              report.marks_missing);
    else if (report.parts_lost > 0 || report.parts_held > 0)
        stuck(attempt, "%s recovery: %" PRIu64 " parts lost, %" PRIu64 " held",
              which, report.parts_lost, report.parts_held);
    return result;
}

static int compare(struct attempt *attempt)
{
    struct syncq_queue *queue = NULL;
    int result = syncq_queue_open(attempt->fixture.queue, attempt->fixture.run,
                                  SYNCQ_OPEN_READ, &queue);

    if (result != 0) {
        stuck(attempt, "after recovery: %s", syncq_strerror(result));
        return result;
    }
    (void)oracle_check(attempt->worker->oracle, queue, NULL,
                       attempt->worker->findings, attempt->case_text);
    syncq_queue_close(queue);
    return 0;
}

/* The same again: recovery changes nothing that it has done. */
static int recover_again(struct attempt *attempt)
{
    struct part_states *before = states_read(&attempt->fixture);
    struct part_states *after;
    int result = recover(attempt, "second");

    if (result != 0)
        return result;
    after = states_read(&attempt->fixture);
    if (before->count != after->count ||
        memcmp(before->parts, after->parts,
               before->count * sizeof before->parts[0]) != 0)
        stuck(attempt, "the second recovery gives something else");
    free(before);
    free(after);
    return 0;
}

static void check_all(struct attempt *attempt)
{
    const struct syncq_check_visitor visitor = {0};
    struct syncq_check_report report;
    int result = syncq_check(attempt->fixture.queue, attempt->fixture.run,
                             &visitor, &report);

    if (result != 0)
        stuck(attempt, "check: %s", syncq_strerror(result));
    else if (!syncq_check_is_good(&report))
        stuck(attempt,
              "check: %" PRIu64 " bytes damaged, %" PRIu64 " entries, %" PRIu64
              " parts lost, index %d",
              report.damage_size, report.entries_damaged, report.parts_lost,
              report.index_error);
}

static void append_marks(struct syncq_queue *queue,
                         const struct syncq_mark *marks, uint32_t count)
{
    struct syncq_ticket ticket;

    assert_result(syncq_marks_append(queue, marks, count, &ticket), 0);
    assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
}

/* Deliver every part that is pending. */
static void empty(struct syncq_queue *queue)
{
    uint32_t slot, count = 0;
    struct syncq_mark *marks = calloc(FIXTURE_ENTRY_COUNT, sizeof *marks);

    assert_non_null(marks);
    for (slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        if (syncq_entry_read(queue, slot, &view) != 0 ||
            syncq_status_is_final(view.state.status))
            continue;
        state = view.state;
        state.status = SYNCQ_STATUS_DONE;
        state.mask = syncq_recipients_mask(view.recipient_count);
        assert_result(syncq_entry_update(queue, &view, &state), 0);
        marks[count++] =
            (struct syncq_mark){view.sequence, view.part, view.state};
    }
    if (count > 0)
        append_marks(queue, marks, count);
    free(marks);
}

/* Retire whatever can be; 0: nothing. */
static int retire(struct fixture *fixture)
{
    struct syncq_mark *marks = NULL;
    uint32_t segment, count, retired = 0;

    while (syncq_retire_find(fixture->writer, &segment, &marks, &count) == 0) {
        if (count > 0)
            append_marks(fixture->writer, marks, count);
        free(marks);
        marks = NULL;
        syncq_retire_ask(fixture->writer, segment);
        assert_result(
            syncq_retire_wait(fixture->writer, segment, FIXTURE_WAIT_MS), 0);
        retired++;
    }
    return retired > 0;
}

/* The queue empties, takes mail again and hands it out. */
static void use(struct attempt *attempt)
{
    struct fixture *fixture = &attempt->fixture;
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    fixture_start(fixture);
    fixture_open(fixture);
    empty(fixture->writer);
    mail_init(&mail, 1000000, 3, 2, 5000);
    result = mail_append(fixture->writer, &mail, &ticket);
    if (result == SYNCQ_ERR_SEGMENTS_FULL && retire(fixture))
        result = mail_append(fixture->writer, &mail, &ticket);
    if (result != 0) {
        stuck(attempt, "append after recovery: %s", syncq_strerror(result));
    } else {
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
        mail_check(fixture->writer, &mail);
        mail_mark(fixture->writer, &mail, 1, SYNCQ_STATUS_DONE, NULL);
    }
    fixture_stop(fixture);
    if (recover(attempt, "last") != 0)
        return;
    fixture->writer = fixture_reader(fixture);
    for (unsigned status = SYNCQ_STATUS_NEW; status <= SYNCQ_STATUS_LOST;
         status++)
        if (!syncq_status_is_final(status) &&
            count_status(fixture->writer, status) > 0)
            stuck(attempt, "what was emptied is not empty: %s",
                  syncq_status_name(status));
    fixture_close(fixture);
}

static void become_owner(void)
{
    const struct passwd *owner = getpwnam(PLAYER_OWNER);

    assert_non_null(owner);
    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(setresgid(owner->pw_gid, owner->pw_gid, owner->pw_gid), 0);
    assert_int_equal(setresuid(owner->pw_uid, owner->pw_uid, owner->pw_uid), 0);
}

/* As long as it was not complete there may be none; but then one can be made,
 * whatever is left of it. */
static int has_queue(const struct attempt *attempt)
{
    struct block_worker *worker = attempt->worker;
    char path[PATH_MAX + 32];

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_DATA_FILE, worker->queue);
    return access(path, F_OK) == 0;
}

static int create_again(struct attempt *attempt)
{
    int code =
        player_command_create(attempt->worker->config, attempt->worker->output);

    if (code != 0)
        stuck(attempt, "syncq create after a crash ended with %d", code);
    return code;
}

void block_try(struct block_worker *worker, const struct block_case *one,
               const char *case_text)
{
    struct attempt attempt = {.worker = worker, .case_text = case_text};
    struct fixture *fixture = &attempt.fixture;
    char error[256];

    (void)snprintf(fixture->queue, sizeof fixture->queue, "%.511s",
                   worker->queue);
    (void)snprintf(fixture->run, sizeof fixture->run, "%.511s", worker->run);
    assert_int_equal(
        config_read(worker->config, &fixture->config, error, sizeof error), 0);
    if (one->cut.number < worker->story->created && !has_queue(&attempt) &&
        create_again(&attempt) != 0)
        return;
    become_owner();
    if (recover(&attempt, "first") != 0 || compare(&attempt) != 0 ||
        recover_again(&attempt) != 0 || !one->thorough)
        return;
    check_all(&attempt);
    use(&attempt);
}
