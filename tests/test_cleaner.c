/* SPDX-License-Identifier: MIT */
/*
 * test_cleaner.c - the queue manager's cleaner at work on a small queue
 */
#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/cleaner.h"
#include "module/error.h"
#include "module/retire.h"
#include "qmgr/backlog.h"
#include "qmgr/cleaner.h"
#include "qmgr/committer.h"
#include "qmgr/space_watch.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum {
    LAPS = 100,
    MAIL_SIZE = 60000,
    LAP_SEGMENTS = 12,
    BATCH = 50, /* mails appended, and delivered, together */
};

int __wrap_msync(void *address, size_t size, int flags);

/* The page cache is the medium here: nothing is cut off, and laps are many. */
int __wrap_msync(void *address, size_t size, int flags)
{
    (void)address;
    (void)size;
    (void)flags;
    return 0;
}

/* A manager that has nothing but its cleaner. */
struct stage {
    struct fixture *fixture;
    struct qmgr qmgr;
    struct backlog backlog;
};

static void stage_start(struct stage *stage, struct fixture *fixture)
{
    memset(stage, 0, sizeof *stage);
    stage->fixture = fixture;
    stage->qmgr.base = event_base_new();
    assert_non_null(stage->qmgr.base);
    stage->backlog.qmgr = &stage->qmgr;
    stage->backlog.queue = fixture->writer;
    stage->backlog.identified = 1;
    stage->backlog.directory = fixture->queue;
    assert_int_equal(committer_new(stage->qmgr.base, fixture->writer,
                                   &stage->backlog.committer),
                     0);
    stage->backlog.space_watch =
        space_watch_new(fixture->writer, fixture->queue);
    stage->backlog.cleaner = cleaner_new(&stage->backlog);
}

static void stage_stop(struct stage *stage)
{
    committer_free(stage->backlog.committer);
    cleaner_free(stage->backlog.cleaner);
    space_watch_free(stage->backlog.space_watch);
    event_base_free(stage->qmgr.base);
}

/* Until nothing more can be done for space. */
static void stage_clean(struct stage *stage)
{
    cleaner_wake(stage->backlog.cleaner);
    while (cleaner_is_busy(stage->backlog.cleaner))
        assert_true(event_base_loop(stage->qmgr.base, EVLOOP_ONCE) >= 0);
}

static struct fixture *queue_of(uint32_t segments, uint32_t entries)
{
    static const char *const names[] = {SYNCQ_KEY_FILE, SYNCQ_LATCH_FILE,
                                        SYNCQ_INDEX_FILE, SYNCQ_DATA_FILE};
    const struct syncq_create_options options = {
        .size = FIXTURE_SEGMENT_SIZE * segments,
        .segment_size = FIXTURE_SEGMENT_SIZE,
        .entry_count = entries,
        .allow_any_filesystem = 1,
    };
    struct fixture *fixture = fixture_new();

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(fixture_path(fixture, names[i]));
    assert_result(syncq_queue_create(fixture->queue, &options), 0);
    fixture_start(fixture);
    fixture_open(fixture);
    return fixture;
}

static void space_now(struct fixture *fixture, struct syncq_space *space)
{
    struct syncq_space_sizes *sizes;

    assert_result(syncq_space_sizes_new(fixture->writer, &sizes), 0);
    assert_result(syncq_space_read(fixture->writer, sizes, space), 0);
    syncq_space_sizes_free(sizes);
}

/* ---- many laps with mail that never leaves ---- */

struct load {
    struct stage stage;
    struct syncq_envelope envelope;
    uint8_t content[MAIL_SIZE];
    uint64_t mail_count, mail_size, refused, released;
    uint32_t *stuck; /* slots */
    uint64_t *stuck_sequences;
    uint32_t stuck_count;
};

static void load_envelope(struct load *load)
{
    const struct syncq_recipient recipient = {"to@stuck.example", "", "", 0};

    assert_result(syncq_envelope_init(&load->envelope), 0);
    assert_result(
        syncq_envelope_set_sender(&load->envelope, "from@example.com"), 0);
    assert_result(syncq_envelope_add_recipient(&load->envelope, &recipient), 0);
    assert_result(syncq_envelope_group(&load->envelope), 0);
}

static void finish_parts(struct syncq_queue *queue, const uint32_t *slots,
                         const uint64_t *sequences, uint32_t count)
{
    struct syncq_mark marks[SYNCQ_MARKS_MAX];
    struct syncq_ticket ticket;

    assert_true(count <= SYNCQ_MARKS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct syncq_entry_view view;
        struct syncq_state state;

        assert_result(syncq_entry_read(queue, slots[i], &view), 0);
        assert_int_equal(view.sequence, sequences[i]);
        state = view.state;
        state.status = SYNCQ_STATUS_DONE;
        state.mask = syncq_recipients_mask(view.recipient_count);
        assert_result(syncq_entry_update(queue, &view, &state), 0);
        marks[i] = (struct syncq_mark){view.sequence, view.part, state};
    }
    assert_result(syncq_marks_append(queue, marks, count, &ticket), 0);
    assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
}

/* Everything that could be moved away has been: nothing more than what the
 * policy leaves alone is left. */
static void check_really_full(struct fixture *fixture)
{
    struct syncq_space space;
    uint64_t free;

    space_now(fixture, &space);
    free = syncq_space_free(&space) + syncq_cleaner_reclaimable(&space);
    assert_true(free < space.segment_room);
    assert_true(syncq_space_used_percent(&space) >= 70);
    syncq_space_clear(&space);
}

/* The administrator gives up on the older half of what is stuck. */
static void release_half(struct load *load)
{
    uint32_t half = load->stuck_count / 2;

    for (uint32_t at = 0, count; at < half; at += count) {
        count = half - at < 1000 ? half - at : 1000;
        finish_parts(load->stage.fixture->writer, load->stuck + at,
                     load->stuck_sequences + at, count);
    }
    load->stuck_count -= half;
    memmove(load->stuck, load->stuck + half,
            load->stuck_count * sizeof *load->stuck);
    memmove(load->stuck_sequences, load->stuck_sequences + half,
            load->stuck_count * sizeof *load->stuck_sequences);
    load->released++;
}

static void append_one(struct load *load, struct syncq_ticket *ticket)
{
    struct fixture *fixture = load->stage.fixture;
    const struct iovec content = {load->content, MAIL_SIZE};

    for (int tries = 0;; tries++) {
        int result = syncq_append(fixture->writer, SYNCQ_RECORD_SMTP,
                                  &load->envelope, &content, 1, ticket);

        if (result == 0)
            return;
        assert_result(result, SYNCQ_ERR_SEGMENTS_FULL);
        assert_true(tries < 3);
        load->refused++;
        stage_clean(&load->stage);
        if (tries == 0)
            continue;
        check_really_full(fixture);
        release_half(load);
        stage_clean(&load->stage);
    }
}

/* Some mails arrive; all but one in a hundred are delivered. */
static void run_batch(struct load *load)
{
    struct syncq_queue *queue = load->stage.fixture->writer;
    struct syncq_ticket tickets[BATCH];
    uint32_t slots[BATCH];
    uint64_t sequences[BATCH];
    uint32_t count = 0;

    for (int i = 0; i < BATCH; i++)
        append_one(load, &tickets[i]);
    for (int i = 0; i < BATCH; i++) {
        assert_result(syncq_ticket_wait(queue, &tickets[i], FIXTURE_WAIT_MS),
                      0);
        if (load->mail_count++ % 100 == 0) {
            load->stuck[load->stuck_count] = tickets[i].slots[0];
            load->stuck_sequences[load->stuck_count++] = tickets[i].sequence;
        } else {
            slots[count] = tickets[i].slots[0];
            sequences[count++] = tickets[i].sequence;
        }
        syncq_ticket_finish(queue, &tickets[i], SYNCQ_STATUS_SYNCED);
        load->mail_size += MAIL_SIZE;
    }
    finish_parts(queue, slots, sequences, count);
}

static uint64_t copied_size(struct fixture *fixture)
{
    return atomic_load(&fixture->helper.channel->copied_size);
}

static void check_stuck(const struct load *load)
{
    for (uint32_t i = 0; i < load->stuck_count; i++) {
        struct syncq_entry_view view;
        struct syncq_record record;

        assert_result(syncq_entry_read(load->stage.fixture->writer,
                                       load->stuck[i], &view),
                      0);
        assert_int_equal(view.sequence, load->stuck_sequences[i]);
        assert_int_equal(view.state.status, SYNCQ_STATUS_SYNCED);
        assert_result(syncq_record_read(load->stage.fixture->writer,
                                        view.state.lsn, view.sequence, &record),
                      0);
        syncq_record_clear(&record);
    }
}

static void test_cleaner__one_in_a_hundred_stuck__100_laps(void **state)
{
    struct load *load = calloc(1, sizeof *load);
    struct fixture *fixture = queue_of(LAP_SEGMENTS, 8192);
    uint64_t lap_size = FIXTURE_SEGMENT_SIZE * LAP_SEGMENTS;
    uint64_t next_clean = 0;
    double amplification;

    (void)state;
    assert_non_null(load);
    load->stuck = calloc(1 << 16, sizeof *load->stuck);
    load->stuck_sequences = calloc(1 << 16, sizeof *load->stuck_sequences);
    stage_start(&load->stage, fixture);
    load_envelope(load);
    while (load->mail_size < LAPS * lap_size) {
        run_batch(load);
        /* The cleaner has a second now and then; a lap takes longer. */
        if (load->mail_size >= next_clean) {
            stage_clean(&load->stage);
            next_clean = load->mail_size + FIXTURE_SEGMENT_SIZE / 2;
        }
    }
    check_stuck(load);
    amplification = 1 + (double)copied_size(fixture) / (double)load->mail_size;
    print_message("%llu mails, %.1f laps, %u stuck at the end; refused when "
                  "full %llu times; write amplification by relocation %.3f\n",
                  (unsigned long long)load->mail_count,
                  (double)load->mail_size / (double)lap_size, load->stuck_count,
                  (unsigned long long)load->released, amplification);
    assert_true(amplification < 1.2);
    assert_true(amplification > 1.0);
    lists_check(fixture->writer);
    stage_stop(&load->stage);
    fixture_free(fixture);
    syncq_envelope_clear(&load->envelope);
    free(load->stuck);
    free(load->stuck_sequences);
    free(load);
}

/* ---- entries ---- */

enum { PARTS = MAIL_PARTS_MAX, SMALL = 1000, WIDE_MAILS = 1000 };

/* All recipients but those of the first domain are done. */
static void leave_one_part(struct syncq_queue *queue, const struct mail *mail)
{
    uint64_t sequences[PARTS];

    for (uint32_t i = 0; i < PARTS; i++)
        sequences[i] = mail->sequence;
    finish_parts(queue, mail->slots + 1, sequences, mail->part_count - 1);
}

static void check_one_left(struct syncq_queue *queue, struct mail *mail)
{
    struct syncq_entry_view view;

    assert_result(syncq_entry_read(queue, mail->slots[0], &view), 0);
    assert_int_equal(view.sequence, mail->sequence);
    assert_int_equal(view.state.status, SYNCQ_STATUS_SYNCED);
    mail->lsn = view.state.lsn;
    mail_check(queue, mail);
}

/*
 * Mails to many domains, of which one is stuck: the entries are used up while
 * there is space in plenty.
 */
static void
test_cleaner__entries_used_up__slots_of_done_parts_freed(void **state)
{
    struct mail *mails = calloc(WIDE_MAILS, sizeof *mails);
    struct fixture *fixture = queue_of(8, 4096);
    struct syncq_queue *queue = fixture->writer;
    struct syncq_space space;
    struct stage stage;
    uint32_t full = 0;

    (void)state;
    assert_non_null(mails);
    stage_start(&stage, fixture);
    for (unsigned i = 0; i < WIDE_MAILS; i++) {
        struct syncq_ticket ticket;
        int result;

        mail_init(&mails[i], i, PARTS, PARTS, SMALL);
        result = mail_append(queue, &mails[i], &ticket);
        if (result == SYNCQ_ERR_ENTRIES_FULL) {
            full++;
            stage_clean(&stage);
            result = mail_append(queue, &mails[i], &ticket);
        }
        assert_result(result, 0);
        assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
        syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
        leave_one_part(queue, &mails[i]);
    }
    assert_true(full >= 3);
    for (unsigned i = 0; i < WIDE_MAILS; i++)
        check_one_left(queue, &mails[i]);
    space_now(fixture, &space);
    assert_true(space.segments_free >= 4);
    syncq_space_clear(&space);
    lists_check(queue);
    stage_stop(&stage);
    /* And the log knows it without the index. */
    fixture_stop(fixture);
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(fixture, NULL, NULL), 0);
    queue = fixture_reader(fixture);
    assert_int_equal(count_status(queue, SYNCQ_STATUS_SYNCED), WIDE_MAILS);
    syncq_queue_close(queue);
    fixture_free(fixture);
    free(mails);
}

/* A segment with damage is kept; the cleaner takes another one. */
static void test_cleaner__damaged_segment__another_one_emptied(void **state)
{
    struct fixture *fixture = queue_of(5, 4096);
    struct syncq_queue *queue = fixture->writer;
    struct mail mails[4 * 7];
    struct stage stage;
    uint64_t base[2];
    uint32_t segment[2];

    (void)state;
    for (unsigned i = 0; i < 4 * 7; i++)
        mail_store_simple(queue, &mails[i], i, 1 << 20);
    for (unsigned i = 0; i < 2; i++)
        assert_result(
            syncq_segment_find(queue, mails[7 * i].lsn, &segment[i], &base[i]),
            0);
    /* The first has the least to move, but one of its records is broken. */
    mail_mark(queue, mails, 6, SYNCQ_STATUS_DONE, NULL);
    mail_mark(queue, mails + 7, 5, SYNCQ_STATUS_DONE, NULL);
    fixture_until_durable(fixture);
    fixture_damage(fixture, SYNCQ_DATA_FILE,
                   fixture_offset(queue, mails[2].lsn) + 5000, 1);
    stage_start(&stage, fixture);
    stage_clean(&stage);
    assert_int_not_equal(
        atomic_load(&fixture->helper.channel->segments[segment[0]].state),
        SYNCQ_SEGMENT_EMPTYING);
    assert_result(
        syncq_segment_find(queue, mails[7].lsn, &segment[1], &base[1]),
        SYNCQ_ERR_BAD_RECORD);
    stage_stop(&stage);
    fixture_free(fixture);
}

/* A manager that is killed in the middle: the next one finishes first. */
static void test_cleaner__restarted__finishes_what_was_begun(void **state)
{
    struct fixture *fixture = queue_of(8, 4096);
    struct syncq_queue *queue = fixture->writer;
    struct mail mails[16];
    struct stage stage;
    uint32_t segment;
    uint64_t base;

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        mail_store_simple(queue, &mails[i], i, 1 << 20);
    mail_mark(queue, mails, 5, SYNCQ_STATUS_DONE, NULL);
    assert_result(syncq_segment_find(queue, mails[0].lsn, &segment, &base), 0);
    assert_result(syncq_retire_ask_emptying(queue, segment), 0);
    assert_result(syncq_retire_wait(queue, segment, FIXTURE_WAIT_MS), 0);
    stage_start(&stage, fixture);
    stage_clean(&stage);
    assert_int_equal(atomic_load(&fixture->helper.channel->copies), 2);
    assert_result(syncq_segment_find(queue, mails[0].lsn, &segment, &base),
                  SYNCQ_ERR_BAD_RECORD);
    assert_int_equal(count_status(queue, SYNCQ_STATUS_SYNCED), 11);
    stage_stop(&stage);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_cleaner__entries_used_up__slots_of_done_parts_freed),
        cmocka_unit_test(test_cleaner__damaged_segment__another_one_emptied),
        cmocka_unit_test(test_cleaner__restarted__finishes_what_was_begun),
        cmocka_unit_test(test_cleaner__one_in_a_hundred_stuck__100_laps),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
