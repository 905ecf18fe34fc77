/* SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "qmgr/backlog.h"
#include "qmgr/committer.h"
#include "qmgr/marks.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { NEVER_MS = 3600000 };

/* Delivered, so the entry says; the manager died before the mark. */
static void deliver_unmarked(struct syncq_queue *queue, const struct mail *mail)
{
    struct syncq_entry_view view;
    struct syncq_state state;

    assert_int_equal(syncq_entry_read(queue, mail->slots[0], &view), 0);
    state = view.state;
    state.status = SYNCQ_STATUS_DONE;
    state.mask = 1;
    assert_int_equal(syncq_entry_update(queue, &view, &state), 0);
}

static void on_durable(void *context, int failed)
{
    struct event_base *base = context;

    assert_int_equal(failed, 0);
    (void)event_base_loopbreak(base);
}

/* What a manager does at its start. */
static void start_manager(struct fixture *fixture)
{
    struct qmgr qmgr = {.base = event_base_new()};
    struct backlog backlog = {.qmgr = &qmgr, .queue = fixture->writer};

    assert_non_null(qmgr.base);
    assert_int_equal(
        committer_new(qmgr.base, backlog.queue, &backlog.committer), 0);
    backlog.marks = marks_new(&backlog, NEVER_MS);
    marks_note_finished(backlog.marks);
    assert_false(marks_are_clean(backlog.marks));
    marks_flush(backlog.marks, on_durable, qmgr.base);
    (void)event_base_dispatch(qmgr.base);
    assert_true(marks_are_clean(backlog.marks));
    marks_free(backlog.marks);
    committer_free(backlog.committer);
    event_base_free(qmgr.base);
}

static unsigned status_without_index(const struct fixture *fixture,
                                     const struct mail *mail)
{
    struct fixture *image = fixture_image(fixture);
    struct syncq_queue *reader;
    unsigned status;

    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_int_equal(fixture_recover(image, NULL, NULL), 0);
    reader = fixture_reader(image);
    status = mail_status(reader, mail, 0);
    syncq_queue_close(reader);
    fixture_free(image);
    return status;
}

static void test_marks__manager_died_unmarked__next_one_marks(void **state)
{
    struct fixture *fixture = *state;
    struct mail delivered, waiting;

    mail_store_simple(fixture->writer, &delivered, 1, 100);
    mail_store_simple(fixture->writer, &waiting, 2, 100);
    deliver_unmarked(fixture->writer, &delivered);
    assert_int_equal(status_without_index(fixture, &delivered),
                     SYNCQ_STATUS_SYNCED);
    start_manager(fixture);
    assert_int_equal(status_without_index(fixture, &delivered),
                     SYNCQ_STATUS_DONE);
    assert_int_equal(status_without_index(fixture, &waiting),
                     SYNCQ_STATUS_SYNCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_marks__manager_died_unmarked__next_one_marks,
            fixture_setup_running, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
