/* SPDX-License-Identifier: MIT */
/*
 * image_try.c - recover an image and see whether it is as it must be
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "module/check.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/image.h"

struct trial_of {
    struct image *image;
    const struct oracle *oracle;
    struct findings *findings;
    const char *case_text;
};

__attribute__((format(printf, 2, 3))) static void
stuck(const struct trial_of *trial, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    findings_add(trial->findings, FINDING_STUCK, trial->case_text, "%s", text);
}

/* 0: recovered.  Nothing in an image is damaged: it is only not written. */
static int recover(const struct trial_of *trial, const char *which)
{
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    int result = fixture_recover(trial->image->fixture, &report, &recovered);

    if (result == SYNCQ_ERR_NO_QUEUE && !trial->image->has_queue)
        return result;
    if (result != 0)
        stuck(trial, "%s recovery: %s", which, syncq_strerror(result));
    else if (report.damage_count > 0 || report.marks_missing)
        stuck(trial,
              "%s recovery calls %" PRIu64 " bytes at offset %" PRIu64
              " damaged, %d",
              which, report.damages[0].size, report.damages[0].offset,
              report.marks_missing);
    else if (report.parts_lost > 0 || report.parts_held > 0)
        stuck(trial, "%s recovery: %" PRIu64 " parts lost, %" PRIu64 " held",
              which, report.parts_lost, report.parts_held);
    return result;
}

struct states {
    uint32_t count;
    struct part_state *parts;
};

static int compare_parts(const void *a, const void *b)
{
    const struct part_state *left = a, *right = b;

    if (left->sequence != right->sequence)
        return left->sequence < right->sequence ? -1 : 1;
    return left->part < right->part ? -1 : left->part > right->part;
}

static struct states read_states(struct syncq_queue *queue)
{
    uint32_t slots = syncq_entry_count(queue);
    struct states states = {0, calloc(slots, sizeof *states.parts)};

    assert_non_null(states.parts);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) == 0)
            states.parts[states.count++] =
                (struct part_state){.sequence = view.sequence,
                                    .lsn = view.state.lsn,
                                    .mask = view.state.mask,
                                    .part = view.part,
                                    .status = view.state.status};
    }
    qsort(states.parts, states.count, sizeof *states.parts, compare_parts);
    return states;
}

static struct syncq_queue *open_reader(const struct trial_of *trial)
{
    const struct fixture *fixture = trial->image->fixture;
    struct syncq_queue *queue = NULL;
    int result =
        syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_READ, &queue);

    if (result != 0)
        stuck(trial, "after recovery: %s", syncq_strerror(result));
    return queue;
}

/* The same again: recovery changes nothing that it has done. */
static void recover_again(const struct trial_of *trial,
                          const struct states *want)
{
    struct syncq_queue *queue;
    struct states have;

    if (recover(trial, "second") != 0 || (queue = open_reader(trial)) == NULL)
        return;
    have = read_states(queue);
    if (have.count != want->count ||
        memcmp(have.parts, want->parts, have.count * sizeof *have.parts) != 0)
        stuck(trial, "the second recovery gives something else");
    syncq_queue_close(queue);
    free(have.parts);
}

static void check_all(const struct trial_of *trial)
{
    const struct fixture *fixture = trial->image->fixture;
    const struct syncq_check_visitor visitor = {0};
    struct syncq_check_report report;
    int result = syncq_check(fixture->queue, fixture->run, &visitor, &report);

    if (result != 0)
        stuck(trial, "check: %s", syncq_strerror(result));
    else if (!syncq_check_is_good(&report))
        stuck(trial,
              "check: %" PRIu64 " bytes damaged, %" PRIu64 " entries, %" PRIu64
              " parts lost, %d",
              (uint64_t)report.damage_size, (uint64_t)report.entries_damaged,
              (uint64_t)report.parts_lost, report.index_error);
}

/* Deliver every part that is pending. */
static void empty(struct syncq_queue *queue)
{
    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;
        struct syncq_ticket ticket;
        struct syncq_mark mark;

        if (syncq_entry_read(queue, slot, &view) != 0 ||
            syncq_status_is_final(view.state.status))
            continue;
        mark = (struct syncq_mark){view.sequence, view.part, view.state};
        mark.state.status = SYNCQ_STATUS_DONE;
        mark.state.mask = syncq_recipients_mask(view.recipient_count);
        assert_result(syncq_entry_update(queue, &view, &mark.state), 0);
        assert_result(syncq_marks_append(queue, &mark, 1, &ticket), 0);
        assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    }
}

/* The queue takes mail, hands it out and empties. */
static void use(const struct trial_of *trial)
{
    struct fixture *fixture = trial->image->fixture;
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    fixture_start(fixture);
    fixture_open(fixture);
    mail_init(&mail, 1000000, 3, 2, 5000);
    result = mail_append(fixture->writer, &mail, &ticket);
    if (result == 0) {
        assert_result(
            syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
        mail_check(fixture->writer, &mail);
    } else if (result != SYNCQ_ERR_SEGMENTS_FULL) {
        stuck(trial, "append after recovery: %s", syncq_strerror(result));
    }
    empty(fixture->writer);
    fixture_stop(fixture);
    if (recover(trial, "last") != 0)
        return;
    fixture->writer = open_reader(trial);
    for (uint32_t slot = 0;
         fixture->writer && slot < syncq_entry_count(fixture->writer); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(fixture->writer, slot, &view) == 0 &&
            !syncq_status_is_final(view.state.status))
            stuck(trial, "what was emptied is not empty: %s",
                  syncq_status_name(view.state.status));
    }
    fixture_close(fixture);
}

void image_try(struct image *image, const struct oracle *oracle,
               struct findings *findings, const char *case_text, int thorough)
{
    const struct trial_of trial = {image, oracle, findings, case_text};
    struct syncq_queue *queue;
    struct states states;

    findings_count(findings, TRIAL_STATE, 1);
    if (recover(&trial, "first") != 0 || (queue = open_reader(&trial)) == NULL)
        return;
    (void)oracle_check(oracle, queue, NULL, findings, case_text);
    states = read_states(queue);
    syncq_queue_close(queue);
    recover_again(&trial, &states);
    free(states.parts);
    if (!thorough)
        return;
    check_all(&trial);
    use(&trial);
}
