/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "module/entry.h"
#include "module/error.h"
#include "tests/faults/kill_world.h"

enum { LOOK_US = 2000 };

static struct oracle *listen_to_all(const struct session *session)
{
    struct oracle *oracle = oracle_new();

    for (enum role_name name = ROLES; name-- > 0;) { /* writers first */
        const struct journal *journal = &session->world->roles[name].journal;

        for (uint32_t i = 0; i < atomic_load(&journal->count); i++)
            oracle_say(oracle, &journal->words[i].mail, journal->words[i].word);
    }
    return oracle;
}

/* ---- while the helper still runs ---- */

static int is_settled(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);

        if (state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF)
            return 0;
    }
    return atomic_load(&channel->durable_lsn) >= channel->head_lsn;
}

/* Every writer has left: nothing may be in work any more. */
static void check_entries(struct session *session, struct syncq_queue *queue)
{
    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        const struct syncq_entry *entry = &queue->index.entries[slot];
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) != 0)
            continue;
        if (view.state.status == SYNCQ_STATUS_NEW || entry->lock != 0) {
            session_fail(session,
                         "slot %u is %s with lock %u, and nobody owns it", slot,
                         syncq_status_name(view.state.status), entry->lock);
            return;
        }
    }
}

void session_check_settled(struct session *session)
{
    struct syncq_queue *queue;
    uint64_t end_us = syncq_clock_us() + WORLD_WAIT_MS * 1000;
    _Atomic uint32_t never = 0;

    if (session->failed)
        return;
    if (syncq_queue_open(session->fixture->queue, session->fixture->run,
                         SYNCQ_OPEN_WRITE, &queue) != 0) {
        session_fail(session, "the queue cannot be opened any more");
        return;
    }
    while (!is_settled(queue) && syncq_clock_us() < end_us)
        (void)syncq_futex_wait(&never, 0, LOOK_US);
    if (!is_settled(queue))
        session_fail(session, "a request stays open for ever");
    else {
        check_entries(session, queue);
        lists_check(queue);
        (void)log_check(queue,
                        atomic_load(&queue->handle.channel->durable_lsn));
    }
    syncq_queue_close(queue);
}

/* ---- after everything has ended ---- */

/* The queue takes mail again, and its log and lists hold together. */
static void check_works(struct session *session, struct fixture *fixture)
{
    fixture_start(fixture);
    fixture_open(fixture);
    if (syncq_queue_usable(fixture->writer) != 0)
        session_fail(session, "the recovered queue is not usable");
    lists_check(fixture->writer);
    fixture_stop(fixture);
}

static void check_one(struct session *session, struct fixture *fixture,
                      const struct oracle *oracle, const char *what)
{
    struct syncq_recovery_report report;
    struct syncq_queue *reader;
    char text[200];
    int result = fixture_recover(fixture, &report, NULL);

    findings_count(session->findings, TRIAL_STATE, 1);
    if (result != 0) {
        session_fail(session, "%s: recovery: %s", what, syncq_strerror(result));
        return;
    }
    if (report.damage_count > 0 || report.parts_lost > 0 ||
        report.parts_held > 0) {
        session_fail(session,
                     "%s: %u damages at lsn %llx, size %llu, %llu parts lost, "
                     "%llu held",
                     what, report.damage_count,
                     (unsigned long long)report.damages[0].lsn,
                     (unsigned long long)report.damages[0].size,
                     (unsigned long long)report.parts_lost,
                     (unsigned long long)report.parts_held);
    }
    (void)snprintf(text, sizeof text, "%s", session->case_text);
    reader = fixture_reader(fixture);
    if (oracle_check(oracle, reader, NULL, session->findings, text) > 0)
        session_fail(session, "that was %s", what);
    syncq_queue_close(reader);
    if (!session->failed)
        check_works(session, fixture);
}

void session_check_recovered(struct session *session)
{
    struct oracle *oracle = listen_to_all(session);

    medium_use(NULL, NULL, NULL);
    check_one(session, session->fixture, oracle, "a crash of all processes");
    check_one(session, session->medium, oracle, "a power cut");
    oracle_free(oracle);
}
