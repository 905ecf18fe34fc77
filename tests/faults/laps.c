/* SPDX-License-Identifier: MIT */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/guard.h"
#include "tests/faults/laps.h"
#include "tests/faults/small_queue.h"
#include "tests/faults/wrap_model.h"
#include "tests/faults/wrap_room.h"
#include "tests/sync_control.h"

enum {
    CRASH_OPERATIONS = 50,
    STUCK_ONE_IN = 100,
    OLD_INDEXES = 8,
    INTERVAL_MS = 3600000, /* the index is synced when the run says so */
};

struct run {
    struct room room;
    struct findings *findings;
    const char *text;
    struct chance chance;
    struct file_copy indexes[OLD_INDEXES];
    uint64_t bytes, lap_size;
    unsigned seed, crashes;
};

static size_t choose_size(struct run *run)
{
    uint64_t room = SMALL_SEGMENT_SIZE - 2 * SYNCQ_PAGE_SIZE - 600;

    switch (chance_below(&run->chance, 20)) {
    case 0: /* what just fits in a segment */
        return room - chance_below(&run->chance, 1000);
    case 1:
    case 2:
        return chance_below(&run->chance, room);
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        return chance_below(&run->chance, 200);
    default:
        return chance_below(&run->chance, 8000);
    }
}

static void append(struct run *run)
{
    struct syncq_queue *queue = run->room.fixture->writer;
    struct syncq_ticket ticket;
    struct model_mail *made;
    struct mail mail;
    int gives_up = chance_below(&run->chance, 20) == 0;
    uint32_t parts = 1 + (uint32_t)chance_below(&run->chance, 2);
    int result;

    mail_init(&mail, ++run->seed, parts + 1, parts, choose_size(run));
    result = mail_append(queue, &mail, &ticket);
    for (unsigned step = 0;
         result == SYNCQ_ERR_SEGMENTS_FULL || result == SYNCQ_ERR_ENTRIES_FULL;
         step++) {
        if (step == ROOM_STEPS_MAX) {
            findings_add(run->findings, FINDING_STUCK, run->text,
                         "no room after %u steps: %s", step,
                         syncq_strerror(result));
            return;
        }
        room_make(&run->room);
        result = mail_append(queue, &mail, &ticket);
    }
    assert_result(result, 0);
    if (gives_up && syncq_ticket_abandon(queue, &ticket) == 0) {
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_CANCELLED);
        made = model_add(&run->room.model, &mail, MODEL_CANCELLED);
    } else {
        assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
        made = model_add(&run->room.model, &mail, MODEL_LIVE);
    }
    assert_non_null(made);
    made->stuck = chance_below(&run->chance, STUCK_ONE_IN) == 0;
    run->bytes += mail_record_size(&mail);
}

static void operate(struct run *run)
{
    switch (chance_below(&run->chance, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        append(run);
        break;
    case 5:
    case 6:
    case 7:
        for (uint64_t i = chance_below(&run->chance, 4); i > 0; i--)
            room_deliver(&run->room,
                         model_pick(&run->room.model, &run->chance));
        break;
    case 8:
        room_mark(&run->room);
        break;
    default:
        if (chance_below(&run->chance, 4) == 0)
            assert_result(checkpoint_write(&run->room.fixture->helper, 0), 0);
        else
            (void)room_retire(&run->room);
    }
}

static void operate_one(struct run *run, void (*step)(struct chance *chance))
{
    if (step != NULL)
        step(&run->chance);
    operate(run);
}

/* The power fails: what had been synced is there, and nothing else. */
static void power_cut(struct run *run)
{
    struct fixture *image = sync_power_cut();
    struct file_copy *index =
        &run->indexes[chance_below(&run->chance, OLD_INDEXES)];

    sync_control_stop();
    fixture_free(run->room.fixture);
    run->room.fixture = image;
    image->config.index_sync_interval_ms = INTERVAL_MS;
    switch (chance_below(&run->chance, 12)) {
    case 0:
        assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
        break;
    case 1: /* of some laps ago */
        if (index->size > 0)
            file_copy_put(index, image, SYNCQ_INDEX_FILE);
        break;
    case 2:
        file_copy_take(index, image, SYNCQ_INDEX_FILE);
        break;
    default:
        break;
    }
}

static void check(struct run *run)
{
    struct fixture *fixture = run->room.fixture;
    const struct oracle_excuse none = {0};
    struct syncq_recovery_report report;
    struct syncq_queue *queue;
    struct oracle *oracle;
    int result = fixture_recover(fixture, &report, NULL);

    findings_count(run->findings, TRIAL_STATE, 1);
    if (result != 0) {
        findings_add(run->findings, FINDING_STUCK, run->text,
                     "recovery fails: %s", syncq_strerror(result));
        exit(findings_end(run->findings));
    }
    if (report.damage_count > 0 || report.parts_held > 0)
        findings_add(run->findings, FINDING_STUCK, run->text,
                     "crash %u: damage=%" PRIu32 ", held=%" PRIu64
                     " without any damage",
                     run->crashes, report.damage_count, report.parts_held);
    queue = fixture_reader(fixture);
    oracle = model_oracle(&run->room.model);
    (void)oracle_check(oracle, queue, &none, run->findings, run->text);
    model_refresh(&run->room.model, queue);
    oracle_free(oracle);
    syncq_queue_close(queue);
    run->crashes++;
}

static void start(struct run *run)
{
    fixture_start(run->room.fixture);
    fixture_open(run->room.fixture);
    sync_control_start(run->room.fixture);
}

static void run_laps(const struct fixture *base, struct findings *findings,
                     uint64_t number, void (*step)(struct chance *chance))
{
    static const uint64_t limits[] = {0, UINT64_C(1) << 32, UINT64_C(1) << 63};
    struct run *run = calloc(1, sizeof *run);
    char text[64];

    assert_non_null(run);
    (void)snprintf(text, sizeof text, "run %" PRIu64, number);
    run->findings = findings;
    run->text = text;
    run->lap_size = SMALL_SEGMENT_SIZE * ROOM_SEGMENTS;
    chance_init(&run->chance, findings->seed, number);
    guard_begin(findings, text);
    run->room.fixture = fixture_image(base);
    run->room.fixture->config.index_sync_interval_ms = INTERVAL_MS;
    if (number % 4 < 3 && limits[number % 4] > 0)
        small_queue_set_limit(run->room.fixture,
                              limits[number % 4] - 3 * SMALL_SEGMENT_SIZE);
    start(run);
    while (run->bytes < LAPS_OF_A_RUN * run->lap_size) {
        for (unsigned i = 0; i < CRASH_OPERATIONS; i++)
            operate_one(run, step);
        power_cut(run);
        check(run);
        start(run);
        guard_begin(findings, text);
    }
    sync_control_stop();
    fixture_free(run->room.fixture);
    guard_end();
    for (unsigned i = 0; i < OLD_INDEXES; i++)
        file_copy_clear(&run->indexes[i]);
    free(run);
}

void laps_run(struct findings *findings, uint64_t laps,
              void (*step)(struct chance *chance))
{
    struct fixture *base;

    small_queue_begin();
    base = small_queue_new(SMALL_SEGMENT_SIZE, ROOM_SEGMENTS);
    for (uint64_t i = 0; i * LAPS_OF_A_RUN < laps; i++) {
        char text[64];

        (void)snprintf(text, sizeof text, "run %" PRIu64, i);
        if (case_is_chosen(findings, text))
            run_laps(base, findings, i, step);
    }
    fixture_free(base);
    small_queue_end();
}
