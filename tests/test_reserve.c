/* SPDX-License-Identifier: MIT */
/*
 * test_reserve.c - the shared lock, and owners that die while they hold it
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "module/reserve.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"
#include "tests/writer_process.h"

static int nothing_open(struct fixture *fixture, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&fixture->helper.channel->states[i]);

        if (state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF)
            return 0;
    }
    return 1;
}

static void test_reserve__message_and_marks__as_asked(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_channel *channel = fixture->helper.channel;
    struct syncq_reservation first, second;
    uint32_t slots[5];

    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MESSAGE, 512, 5,
                                slots, &first),
                  0);
    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MARKS, 256, 0,
                                NULL, &second),
                  0);
    assert_int_equal(second.lsn, first.lsn + 512);
    assert_int_equal(second.offset, first.offset + 512);
    assert_int_equal(SYNCQ_SEQUENCE_EPOCH(first.sequence), channel->epoch);
    assert_int_equal(second.sequence, 0);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(fixture->writer->index.entries[slots[i]].lock,
                         first.request + 1);
        assert_int_equal(fixture->writer->index.entries[slots[i]].kind,
                         SYNCQ_ENTRY_FREE);
    }
    lists_check(fixture->writer);
    assert_int_equal(atomic_load(&channel->states[first.request]),
                     SYNCQ_REQUEST_RESERVED);
    assert_false(
        atomic_load(&channel->requests[first.request].entries_written));
    assert_true(
        atomic_load(&channel->requests[second.request].entries_written));
    atomic_store(&channel->states[first.request], SYNCQ_REQUEST_WITHDRAWN);
    atomic_store(&channel->states[second.request], SYNCQ_REQUEST_WITHDRAWN);
}

static void test_seal__partly_used_page__reserved_to_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_channel *channel = fixture->helper.channel;
    struct syncq_reservation mine, seal;
    uint64_t head;
    int sealed;

    assert_result(syncq_reserve_seal(fixture->writer, &seal, &head, &sealed),
                  0);
    assert_false(sealed); /* the page is new */
    assert_result(syncq_reserve(fixture->writer, SYNCQ_RESERVE_MARKS, 768, 0,
                                NULL, &mine),
                  0);
    assert_result(syncq_reserve_seal(fixture->writer, &seal, &head, &sealed),
                  0);
    assert_true(sealed);
    assert_int_equal(seal.lsn, mine.lsn + 768);
    assert_int_equal(seal.size, SYNCQ_PAGE_SIZE - 768);
    assert_int_equal(head, channel->head_lsn);
    assert_int_equal(head % SYNCQ_PAGE_SIZE, 0);
    assert_int_equal(channel->requests[seal.request].owner, 0);
    atomic_store(&channel->states[mine.request], SYNCQ_REQUEST_WITHDRAWN);
    syncq_channel_ring(channel);
    fixture_until(fixture, nothing_open, NULL);
    (void)log_check(fixture->writer, atomic_load(&channel->durable_lsn));
}

/* ---- killed at any instruction ---- */

static void reserve_between_stops(struct syncq_queue *queue)
{
    struct syncq_reservation reservation;
    uint32_t slots[3];

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    (void)raise(SIGSTOP);
    if (syncq_reserve(queue, SYNCQ_RESERVE_MESSAGE, 4096, 3, slots,
                      &reservation) != 0)
        _exit(103);
    (void)raise(SIGSTOP);
    _exit(0);
}

static pid_t start_traced(struct fixture *fixture)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct syncq_queue *queue;

        if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_WRITE,
                             &queue) != 0)
            _exit(101);
        reserve_between_stops(queue);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return -1;
    assert_true(WIFSTOPPED(status));
    return pid;
}

/* Run `steps` instructions; how many there were until the second stop. */
static unsigned step(pid_t pid, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        int status;

        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            return i;
    }
    return steps;
}

static void end(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void test_lock__owner_killed_at_any_instruction__repaired(void **state)
{
    enum { POINTS = 120, STEPS_MAX = 1000000 };
    struct fixture *fixture = *state;
    struct mail mails[POINTS + 2];
    unsigned total, stride, count = 0;
    pid_t pid = start_traced(fixture);

    if (pid < 0)
        skip();
    total = step(pid, STEPS_MAX);
    end(pid);
    assert_in_range(total, 100, STEPS_MAX - 1);
    stride = total / POINTS + 1;
    for (unsigned at = 0; at < total; at += stride) {
        pid = start_traced(fixture);
        (void)step(pid, at);
        end(pid);
        mail_store_simple(fixture->writer, &mails[count], count, 100);
        count++;
        fixture_until(fixture, nothing_open, NULL);
        lists_check(fixture->writer);
        assert_int_equal(count_used(fixture->writer), count);
    }
    for (unsigned i = 0; i < count; i++) {
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    }
    mail_store_simple(fixture->writer, &mails[count], count, 100);
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn),
        count + 1);
}

/* ---- killed while the head moves into the next segment ---- */

enum move_step {
    MOVE_LOCKED,
    MOVE_REST_RESERVED, /* its request is written, the head is not moved */
    MOVE_REST_PLACED,
    MOVE_CLOSED,
    MOVE_HEAD_SEGMENT,
    MOVE_HEAD_LSN,
    MOVE_DONE,
};

/* What syncq_reserve does, store by store, up to a step. */
static void move_head(struct syncq_queue *queue, int to, void *context)
{
    struct syncq_channel *channel = queue->handle.channel;
    enum move_step last = *(enum move_step *)context;
    uint32_t next = channel->next_segment;
    uint64_t base, rest;
    enum { NUMBER = 1000 };

    if (syncq_reserve_lock(queue) != 0)
        _exit(103);
    base = atomic_load(&channel->segments[channel->head_segment].base_lsn);
    rest =
        base + queue->data.segment_size - SYNCQ_PAGE_SIZE - channel->head_lsn;
    if (last >= MOVE_REST_RESERVED) {
        channel->requests[NUMBER] =
            (struct syncq_request){.lsn = channel->head_lsn,
                                   .size = rest,
                                   .segment = channel->head_segment,
                                   .entries_written = 1};
        atomic_store(&channel->states[NUMBER], SYNCQ_REQUEST_WITHDRAWN);
    }
    if (last >= MOVE_REST_PLACED)
        channel->head_lsn += rest;
    if (last >= MOVE_CLOSED)
        atomic_store(&channel->segments[channel->head_segment].state,
                     SYNCQ_SEGMENT_CLOSED);
    if (last >= MOVE_HEAD_SEGMENT)
        channel->head_segment = next;
    if (last >= MOVE_HEAD_LSN)
        channel->head_lsn =
            atomic_load(&channel->segments[next].base_lsn) + SYNCQ_PAGE_SIZE;
    if (last >= MOVE_DONE)
        channel->next_segment = SYNCQ_SEGMENT_NONE;
    if (write(to, "k", 1) != 1)
        _exit(104);
}

static void move_and_die(struct fixture *fixture, enum move_step last)
{
    struct writer_process writer;
    char byte;

    writer_start(&writer, fixture, move_head, &last);
    writer_read(&writer, &byte, 1);
    writer_kill(&writer);
}

static void test_lock__owner_killed_while_the_head_moves__repaired(void **state)
{
    (void)state;
    for (enum move_step last = MOVE_LOCKED; last <= MOVE_DONE; last++) {
        struct fixture *fixture = fixture_new();
        struct mail mails[40];
        unsigned count = 0;

        fixture_start(fixture);
        fixture_open(fixture);
        mail_store_simple(fixture->writer, &mails[count++], 0, 300000);
        move_and_die(fixture, last);
        /* On through the new segment and into the third. */
        while (fixture->helper.channel->head_segment < 2) {
            mail_store_simple(fixture->writer, &mails[count], count, 700000);
            assert_true(mails[count].lsn > mails[count - 1].lsn);
            count++;
        }
        for (unsigned i = 0; i < count; i++)
            mail_check(fixture->writer, &mails[i]);
        fixture_until(fixture, nothing_open, NULL);
        assert_int_equal(
            log_check(fixture->writer, fixture->helper.channel->durable_lsn),
            count);
        lists_check(fixture->writer);
        fixture_free(fixture);
    }
}

/* The state of a reservation is set, the head does not know of it. */
static void reserve_without_head(struct syncq_queue *queue, int to,
                                 void *context)
{
    struct syncq_channel *channel = queue->handle.channel;
    enum { NUMBER = 900 };
    uint32_t slots[2];

    (void)context;
    if (syncq_reserve_lock(queue) != 0 ||
        syncq_index_take(&queue->index, 2, NUMBER + 1, slots) != 0)
        _exit(103);
    channel->requests[NUMBER] =
        (struct syncq_request){.lsn = channel->head_lsn,
                               .size = 1024,
                               .owner = queue->handle.owner,
                               .segment = channel->head_segment,
                               .slot_count = 2};
    atomic_store(&channel->states[NUMBER], SYNCQ_REQUEST_RESERVED);
    if (write(to, "k", 1) != 1)
        _exit(104);
}

static void
test_lock__owner_killed_before_the_head__rolled_forward(void **state)
{
    struct fixture *fixture = *state;
    struct writer_process writer;
    struct mail mail;
    uint64_t head = fixture->helper.channel->head_lsn;
    char byte;

    writer_start(&writer, fixture, reserve_without_head, NULL);
    writer_read(&writer, &byte, 1);
    writer_kill(&writer);
    mail_store_simple(fixture->writer, &mail, 1, 100);
    assert_true(mail.lsn >= head + 1024);
    fixture_until(fixture, nothing_open, NULL);
    assert_int_equal(count_used(fixture->writer), 1);
    lists_check(fixture->writer);
    mail_store_simple(fixture->writer, &mail, 1, 100);
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
}

/* Nonsense in the table must not send the head anywhere. */
static void
test_lock__owner_died_and_requests_are_nonsense__head_stays(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_channel *channel = fixture->helper.channel;
    struct writer_process writer;
    enum move_step last = MOVE_LOCKED;
    struct mail mail;
    uint64_t head = channel->head_lsn, after;
    char byte;

    writer_start(&writer, fixture, move_head, &last);
    writer_read(&writer, &byte, 1);
    channel->requests[800] =
        (struct syncq_request){.lsn = head, .size = UINT64_MAX - head};
    channel->requests[801] =
        (struct syncq_request){.lsn = head + (1 << 30), .size = 256};
    channel->requests[802] =
        (struct syncq_request){.lsn = head, .size = 256, .segment = 70000};
    for (uint32_t i = 800; i < 803; i++)
        atomic_store(&channel->states[i], SYNCQ_REQUEST_CONFIRM);
    writer_kill(&writer);
    assert_result(syncq_reserve_lock(fixture->writer), 0);
    after = channel->head_lsn;
    syncq_reserve_unlock(fixture->writer);
    assert_int_equal(after, head);
    for (uint32_t i = 800; i < 803; i++)
        atomic_store(&channel->states[i], SYNCQ_REQUEST_FREE);
    mail_store_simple(fixture->writer, &mail, 1, 100);
    mail_check(fixture->writer, &mail);
}

#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_reserve__message_and_marks__as_asked),
        RUNNING(test_seal__partly_used_page__reserved_to_its_end),
        RUNNING(test_lock__owner_killed_at_any_instruction__repaired),
        cmocka_unit_test(
            test_lock__owner_killed_while_the_head_moves__repaired),
        RUNNING(test_lock__owner_killed_before_the_head__rolled_forward),
        RUNNING(test_lock__owner_died_and_requests_are_nonsense__head_stays),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
