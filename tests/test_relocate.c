/* SPDX-License-Identifier: MIT */
/*
 * test_relocate.c - mail is moved, and is there once, with its state, after a
 * crash between any two steps
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/relocate.h"
#include "module/reserve.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/sync_control.h"

enum { SIZE = 1 << 20, PER_SEGMENT = 7, HELD = 5, HALF = 6, LATER = 7 };

struct scene {
    struct fixture *fixture;
    struct mail mails[LATER + 1];
    uint32_t segment; /* of all but the later one */
};

static uint32_t segment_of(struct fixture *fixture, uint64_t lsn)
{
    uint64_t base;
    uint32_t segment;

    assert_result(syncq_segment_find(fixture->writer, lsn, &segment, &base), 0);
    return segment;
}

static uint32_t state_of(const struct fixture *fixture, uint32_t segment)
{
    return atomic_load(&fixture->helper.channel->segments[segment].state);
}

static void set_state(struct syncq_queue *queue, const struct mail *mail,
                      uint32_t part, unsigned status, uint64_t mask,
                      struct syncq_mark *mark)
{
    struct syncq_entry_view view;
    struct syncq_state state;

    assert_result(syncq_entry_read(queue, mail->slots[part], &view), 0);
    state = view.state;
    state.status = (uint8_t)status;
    state.mask = mask;
    state.attempts = 3;
    assert_result(syncq_entry_update(queue, &view, &state), 0);
    *mark = (struct syncq_mark){view.sequence, view.part, view.state};
}

static void append_marks(struct syncq_queue *queue,
                         const struct syncq_mark *marks, uint32_t count)
{
    struct syncq_ticket ticket;

    assert_result(syncq_marks_append(queue, marks, count, &ticket), 0);
    assert_result(syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS), 0);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
}

/*
 * A segment of which all but two mails are done, one held, one half
 * delivered.  What says so of the half delivered one lies in the same segment;
 * of the held one in the next, where the copies will be, too.
 */
static void scene_make(struct scene *scene, struct fixture *fixture)
{
    struct syncq_queue *queue = fixture->writer;
    struct mail *mails = scene->mails;
    struct syncq_mark marks[3];

    scene->fixture = fixture;
    for (unsigned i = 0; i < PER_SEGMENT; i++)
        if (i == HALF) {
            mail_init(&mails[i], i, 4, 2, SIZE);
            mail_store(queue, &mails[i]);
        } else {
            mail_store_simple(queue, &mails[i], i, SIZE);
        }
    mail_mark(queue, mails, HELD, SYNCQ_STATUS_DONE, NULL);
    set_state(queue, &mails[HELD], 0, SYNCQ_STATUS_HELD, 0, &marks[0]);
    set_state(queue, &mails[HALF], 0, SYNCQ_STATUS_DEFERRED, 2, &marks[1]);
    set_state(queue, &mails[HALF], 1, SYNCQ_STATUS_DONE, 3, &marks[2]);
    append_marks(queue, marks + 1, 2);
    scene->segment = segment_of(fixture, mails[0].lsn);
    mail_store_simple(queue, &mails[LATER], LATER, SIZE);
    assert_int_not_equal(segment_of(fixture, mails[LATER].lsn), scene->segment);
    append_marks(queue, marks, 1);
}

static void ask_emptying(struct scene *scene)
{
    struct syncq_queue *queue = scene->fixture->writer;

    assert_result(syncq_retire_ask_emptying(queue, scene->segment), 0);
    assert_result(syncq_retire_wait(queue, scene->segment, FIXTURE_WAIT_MS), 0);
    assert_int_equal(state_of(scene->fixture, scene->segment),
                     SYNCQ_SEGMENT_EMPTYING);
}

static void start_copy(struct scene *scene, unsigned i,
                       struct syncq_relocation *relocation)
{
    const struct mail *mail = &scene->mails[i];

    assert_result(syncq_relocate_start(scene->fixture->writer, mail->slots,
                                       mail->part_count, relocation),
                  0);
    assert_int_equal(relocation->count, 1);
}

static void wait_copy(struct scene *scene, struct syncq_relocation *relocation)
{
    assert_result(syncq_ticket_wait(scene->fixture->writer, &relocation->ticket,
                                    FIXTURE_WAIT_MS),
                  0);
}

static void finish_copy(struct scene *scene, unsigned i,
                        struct syncq_relocation *relocation)
{
    scene->mails[i].lsn = relocation->ticket.lsn;
    syncq_relocate_finish(scene->fixture->writer, relocation);
}

static void copy(struct scene *scene, unsigned i)
{
    struct syncq_relocation relocation;

    start_copy(scene, i, &relocation);
    wait_copy(scene, &relocation);
    finish_copy(scene, i, &relocation);
}

static void carry(struct scene *scene)
{
    struct syncq_mark *marks = NULL;
    uint32_t segment, count;

    assert_result(
        syncq_retire_find(scene->fixture->writer, &segment, &marks, &count), 0);
    assert_int_equal(segment, scene->segment);
    if (count > 0)
        append_marks(scene->fixture->writer, marks, count);
    free(marks);
}

static void retire(struct scene *scene)
{
    struct syncq_queue *queue = scene->fixture->writer;

    syncq_retire_ask(queue, scene->segment);
    assert_result(syncq_retire_wait(queue, scene->segment, FIXTURE_WAIT_MS), 0);
}

/* The entry of a part, which must be the only one; 0 when there is none. */
static int find_part(struct syncq_queue *queue, const struct mail *mail,
                     uint32_t part, struct syncq_entry_view *found)
{
    int count = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) != 0 ||
            view.sequence != mail->sequence || view.part != part)
            continue;
        *found = view;
        count++;
    }
    assert_true(count <= 1);
    return count;
}

static void check_live(struct syncq_queue *queue, const struct mail *mail,
                       unsigned status, uint64_t mask, unsigned attempts)
{
    struct syncq_entry_view view;
    struct mail now = *mail;

    assert_true(find_part(queue, mail, 0, &view));
    assert_int_equal(view.state.status, status);
    assert_int_equal(view.state.mask, mask);
    assert_int_equal(view.state.attempts, attempts);
    now.lsn = view.state.lsn;
    mail_check(queue, &now);
}

static void check_over(struct syncq_queue *queue, const struct mail *mail,
                       uint32_t part)
{
    struct syncq_entry_view view;

    if (find_part(queue, mail, part, &view))
        assert_int_equal(view.state.status, SYNCQ_STATUS_DONE);
}

static void check_all(const struct scene *scene, struct syncq_queue *queue)
{
    const struct mail *mails = scene->mails;

    for (unsigned i = 0; i < HELD; i++)
        check_over(queue, &mails[i], 0);
    check_live(queue, &mails[HELD], SYNCQ_STATUS_HELD, 0, 3);
    check_live(queue, &mails[HALF], SYNCQ_STATUS_DEFERRED, 2, 3);
    check_over(queue, &mails[HALF], 1);
    check_live(queue, &mails[LATER], SYNCQ_STATUS_SYNCED, 0, 0);
}

/* What these files are worth after a crash, with their index and without. */
static void check_crash(const struct scene *scene, struct fixture *image)
{
    struct fixture *without = fixture_image(image);
    struct fixture *both[] = {image, without};

    assert_int_equal(unlink(fixture_path(without, SYNCQ_INDEX_FILE)), 0);
    for (size_t i = 0; i < 2; i++) {
        /* Twice: doing it again changes nothing. */
        for (int again = 0; again < 2; again++) {
            struct syncq_queue *reader = NULL;

            assert_result(fixture_recover(both[i], NULL, NULL), 0);
            reader = fixture_reader(both[i]);
            check_all(scene, reader);
            syncq_queue_close(reader);
        }
        fixture_free(both[i]);
    }
}

static void check_crashes(const struct scene *scene)
{
    check_crash(scene, fixture_image(scene->fixture));
    check_crash(scene, sync_power_cut());
}

static void test_relocate__crash_between_steps__each_mail_once(void **state)
{
    struct syncq_relocation held, half;
    struct syncq_entry_view gone;
    struct scene scene;

    scene_make(&scene, *state);
    check_crashes(&scene);
    ask_emptying(&scene);
    check_crashes(&scene);
    start_copy(&scene, HELD, &held);
    start_copy(&scene, HALF, &half);
    check_crashes(&scene); /* the copies may be there or not */
    wait_copy(&scene, &held);
    wait_copy(&scene, &half);
    check_crashes(&scene);
    finish_copy(&scene, HELD, &held);
    check_crashes(&scene); /* one names its copy, the other does not */
    finish_copy(&scene, HALF, &half);
    check_crashes(&scene);
    carry(&scene);
    check_crashes(&scene);
    assert_result(checkpoint_write(&scene.fixture->helper, 0), 0);
    check_crashes(&scene);
    retire(&scene);
    check_all(&scene, scene.fixture->writer);
    check_crashes(&scene);
    assert_false(
        find_part(scene.fixture->writer, &scene.mails[HALF], 1, &gone));
    lists_check(scene.fixture->writer);
}

/* Power cuts between the two page writes of emptying and of retiring. */
static void cut_now(void *context)
{
    check_crash(context, sync_power_cut());
}

static void test_relocate__cut_inside_page_writes__each_mail_once(void **state)
{
    struct scene scene;

    scene_make(&scene, *state);
    sync_before_next(cut_now, &scene);
    ask_emptying(&scene);
    copy(&scene, HELD);
    copy(&scene, HALF);
    carry(&scene);
    sync_before_next(cut_now, &scene);
    retire(&scene);
    check_crashes(&scene);
}

static void test_relocate__read_back__all_but_place_is_the_same(void **state)
{
    struct syncq_relocation none;
    struct syncq_record before, after;
    struct scene scene;
    uint64_t lsn;

    scene_make(&scene, *state);
    lsn = scene.mails[HELD].lsn;
    assert_result(syncq_record_read(scene.fixture->writer, lsn, 0, &before), 0);
    ask_emptying(&scene);
    assert_result(syncq_relocate_start(scene.fixture->writer,
                                       scene.mails[0].slots, 1, &none),
                  ENOENT); /* it is done */
    copy(&scene, HELD);
    assert_true(scene.mails[HELD].lsn > lsn);
    assert_result(syncq_record_read(scene.fixture->writer,
                                    scene.mails[HELD].lsn, 0, &after),
                  0);
    assert_int_equal(after.header.copy, before.header.copy + 1);
    assert_int_equal(after.header.sequence, before.header.sequence);
    assert_int_equal(after.header.date_us, before.header.date_us);
    assert_int_equal(after.header.type, before.header.type);
    assert_int_equal(after.header.part_count, before.header.part_count);
    assert_int_equal(after.header.envelope_size, before.header.envelope_size);
    assert_int_equal(after.content_size, before.content_size);
    assert_memory_equal(after.memory, before.memory,
                        before.header.envelope_size + before.content_size);
    syncq_record_clear(&before);
    syncq_record_clear(&after);
    assert_result(syncq_record_read(scene.fixture->writer, lsn, 0, &before), 0);
    syncq_record_clear(&before);
}

static void test_relocate__not_finished__synced_lsn_waits(void **state)
{
    struct syncq_relocation held;
    struct syncq_channel *channel;
    struct scene scene;

    scene_make(&scene, *state);
    channel = scene.fixture->helper.channel;
    ask_emptying(&scene);
    start_copy(&scene, HELD, &held);
    wait_copy(&scene, &held);
    mail_store_simple(scene.fixture->writer, &scene.mails[0], 70, 1000);
    assert_result(checkpoint_write(&scene.fixture->helper, 0), 0);
    assert_int_equal(atomic_load(&channel->synced_lsn), held.ticket.lsn);
    finish_copy(&scene, HELD, &held);
    assert_result(checkpoint_write(&scene.fixture->helper, 0), 0);
    assert_true(atomic_load(&channel->synced_lsn) > scene.mails[0].lsn);
}

/* A part that is done while its copy is on the way goes with the copy. */
static void test_relocate__done_meanwhile__slot_stays_with_copy(void **state)
{
    struct syncq_relocation held;
    struct syncq_entry_view view;
    struct scene scene;

    scene_make(&scene, *state);
    ask_emptying(&scene);
    start_copy(&scene, HELD, &held);
    mail_mark(scene.fixture->writer, &scene.mails[HELD], 1, SYNCQ_STATUS_DONE,
              NULL);
    wait_copy(&scene, &held);
    finish_copy(&scene, HELD, &held);
    copy(&scene, HALF);
    carry(&scene);
    retire(&scene);
    assert_true(find_part(scene.fixture->writer, &scene.mails[HELD], 0, &view));
    assert_int_equal(view.state.lsn, scene.mails[HELD].lsn);
    assert_int_equal(view.state.status, SYNCQ_STATUS_DONE);
}

/* One part is done, and a crash comes before any mark says so. */
static void test_relocate__part_done_without_mark__copy_says_so(void **state)
{
    struct scene scene = {.fixture = *state};
    struct syncq_queue *queue = scene.fixture->writer;
    struct syncq_mark unused;
    struct fixture *image;

    mail_init(&scene.mails[0], 0, 4, 2, SIZE);
    mail_store(queue, &scene.mails[0]);
    for (unsigned i = 1; i <= LATER; i++)
        mail_store_simple(queue, &scene.mails[i], i, SIZE);
    scene.segment = segment_of(scene.fixture, scene.mails[0].lsn);
    ask_emptying(&scene);
    set_state(queue, &scene.mails[0], 1, SYNCQ_STATUS_DONE, 3, &unused);
    copy(&scene, 0);
    image = fixture_image(scene.fixture);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(image, NULL, NULL), 0);
    queue = fixture_reader(image);
    check_over(queue, &scene.mails[0], 1);
    check_live(queue, &scene.mails[0], SYNCQ_STATUS_SYNCED, 0, 0);
    syncq_queue_close(queue);
    fixture_free(image);
}

/* The segment above holds the copies: it must not go first. */
static void test_relocate__emptying__no_higher_segment_retired(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;
    struct syncq_mark *marks = NULL;
    struct mail more[PER_SEGMENT];
    uint32_t segment, count;

    scene_make(&scene, fixture);
    ask_emptying(&scene);
    for (unsigned i = 0; i < PER_SEGMENT; i++)
        mail_store_simple(fixture->writer, &more[i], 80 + i, SIZE);
    mail_mark(fixture->writer, &scene.mails[LATER], 1, SYNCQ_STATUS_DONE, NULL);
    mail_mark(fixture->writer, more, PER_SEGMENT, SYNCQ_STATUS_DONE, NULL);
    assert_result(syncq_retire_find(fixture->writer, &segment, &marks, &count),
                  SYNCQ_ERR_SEGMENTS_FULL);
    segment = segment_of(fixture, scene.mails[LATER].lsn);
    syncq_retire_ask(fixture->writer, segment);
    assert_result(syncq_retire_wait(fixture->writer, segment, FIXTURE_WAIT_MS),
                  SYNCQ_ERR_BUSY);
    copy(&scene, HELD);
    copy(&scene, HALF);
    carry(&scene);
    retire(&scene);
    assert_result(syncq_retire_find(fixture->writer, &segment, &marks, &count),
                  0);
    assert_int_equal(segment, segment_of(fixture, scene.mails[LATER].lsn));
    free(marks);
}

/* A manager dies between the confirm of its copy and the entry's change. */
static void test_relocate__manager_dies__next_one_settles(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_relocation held;
    struct syncq_entry_view view;
    struct scene scene;
    uint64_t lsn;

    scene_make(&scene, fixture);
    ask_emptying(&scene);
    start_copy(&scene, HELD, &held);
    wait_copy(&scene, &held);
    lsn = held.ticket.lsn;
    free(held.slots);
    free(held.parts);
    fixture_close(fixture); /* unregistered as by a kill */
    writers_check(&fixture->helper);
    assert_result(checkpoint_write(&fixture->helper, 0), 0);
    assert_int_equal(atomic_load(&fixture->helper.channel->synced_lsn), lsn);
    fixture_open(fixture);
    assert_result(syncq_relocate_settle(fixture->writer), 0);
    assert_true(find_part(fixture->writer, &scene.mails[HELD], 0, &view));
    assert_int_equal(view.state.lsn, lsn);
    assert_int_equal(view.state.status, SYNCQ_STATUS_HELD);
    assert_result(checkpoint_write(&fixture->helper, 0), 0);
    assert_true(atomic_load(&fixture->helper.channel->synced_lsn) > lsn);
    scene.mails[HELD].lsn = lsn;
    copy(&scene, HALF);
    carry(&scene);
    retire(&scene);
    check_all(&scene, fixture->writer);
    check_crashes(&scene);
}

/* The view of a pass is older than the move: its update must not undo it. */
static void test_relocate__update_with_old_view__place_stays(void **state)
{
    struct syncq_entry_view old, now;
    struct syncq_state state_now;
    struct scene scene;

    scene_make(&scene, *state);
    assert_true(find_part(scene.fixture->writer, &scene.mails[HELD], 0, &old));
    ask_emptying(&scene);
    copy(&scene, HELD);
    state_now = old.state;
    state_now.status = SYNCQ_STATUS_READY;
    assert_result(syncq_entry_update(scene.fixture->writer, &old, &state_now),
                  0);
    assert_true(find_part(scene.fixture->writer, &scene.mails[HELD], 0, &now));
    assert_int_equal(now.state.lsn, scene.mails[HELD].lsn);
    assert_int_equal(now.state.status, SYNCQ_STATUS_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_CONTROLLED(test_relocate__crash_between_steps__each_mail_once),
        SYNC_CONTROLLED(test_relocate__cut_inside_page_writes__each_mail_once),
        SYNC_CONTROLLED(test_relocate__read_back__all_but_place_is_the_same),
        SYNC_CONTROLLED(test_relocate__not_finished__synced_lsn_waits),
        SYNC_CONTROLLED(test_relocate__done_meanwhile__slot_stays_with_copy),
        SYNC_CONTROLLED(test_relocate__part_done_without_mark__copy_says_so),
        SYNC_CONTROLLED(test_relocate__emptying__no_higher_segment_retired),
        SYNC_CONTROLLED(test_relocate__manager_dies__next_one_settles),
        SYNC_CONTROLLED(test_relocate__update_with_old_view__place_stays),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
