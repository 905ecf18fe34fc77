/* SPDX-License-Identifier: MIT */
/*
 * The queue is a fake here: each test says what its calls return and sees in
 * which order they were made.  The rule that must never break is checked after
 * every decision: DISCARD only when the record was confirmed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milter/decision.h"
#include "module/append.h"
#include "module/error.h"
#include "module/record_format.h"
#include "module/state.h"
#include "module/statistics.h"
#include "program/log.h"
#include "tests/cmocka_all.h"

#define ID "3pXyzABCDEz1kQ"

/* What the fake queue does, and what it saw. */
static struct {
    int open_result, usable_result, append_result, abandon_result;
    int wait_results[8];
    unsigned wait_count, waits_before_result;
    const char *gate; /* NULL: open */

    char calls[1000]; /* names of the calls, with blanks between */
    int confirmed;
    int wait_ms[8];
    unsigned captures[OUTCOME_COUNT];
    unsigned open_count, close_count;
} fake;

static struct {
    enum outcome outcome; /* of reading */
    unsigned read_count;
    int progress_result;
    unsigned progress_count;
    char log[2000]; /* all log lines */
} world;

static char the_queue; /* its address stands for the queue */

static void note(const char *call)
{
    strcat(strcat(fake.calls, call), " ");
}

int syncq_queue_open(const char *directory, const char *run_directory,
                     enum syncq_open_mode mode, struct syncq_queue **queue)
{
    assert_string_equal(directory, "/queue");
    assert_string_equal(run_directory, "/run");
    assert_int_equal(mode, SYNCQ_OPEN_WRITE);
    fake.open_count++;
    if (!fake.open_result)
        *queue = (struct syncq_queue *)&the_queue;
    return fake.open_result;
}

void syncq_queue_close(struct syncq_queue *queue)
{
    if (queue)
        fake.close_count++;
}

int syncq_queue_usable(struct syncq_queue *queue)
{
    assert_ptr_equal(queue, &the_queue);
    return fake.usable_result;
}

int syncq_queue_status(struct syncq_queue *queue,
                       struct syncq_queue_status *status)
{
    assert_ptr_equal(queue, &the_queue);
    status->message_size_max = 12345;
    return 0;
}

int syncq_gate_get(struct syncq_queue *queue, char text[SYNCQ_GATE_TEXT_SIZE])
{
    assert_ptr_equal(queue, &the_queue);
    if (fake.gate)
        strcpy(text, fake.gate);
    return !fake.gate;
}

int syncq_append(struct syncq_queue *queue, uint8_t type,
                 const struct syncq_envelope *envelope,
                 const struct iovec *content, size_t content_count,
                 struct syncq_ticket *ticket)
{
    assert_ptr_equal(queue, &the_queue);
    assert_int_equal(type, SYNCQ_RECORD_POSTFIX);
    assert_int_equal(envelope->part_count, 1);
    assert_int_equal(content_count, 1);
    assert_int_equal(content[0].iov_len, 4);
    assert_memory_equal(content[0].iov_base, "N\x02hi", 4);
    note("append");
    if (!fake.append_result)
        ticket->sequence = 77;
    return fake.append_result;
}

int syncq_ticket_wait(struct syncq_queue *queue, struct syncq_ticket *ticket,
                      int timeout_ms)
{
    int result = SYNCQ_ERR_TIMEOUT;

    assert_ptr_equal(queue, &the_queue);
    assert_int_equal(ticket->sequence, 77);
    note("wait");
    if (fake.wait_count < 8) {
        fake.wait_ms[fake.wait_count] = timeout_ms;
        result = fake.wait_results[fake.wait_count++];
    }
    if (!result)
        fake.confirmed = 1;
    return result;
}

int syncq_ticket_abandon(struct syncq_queue *queue, struct syncq_ticket *ticket)
{
    assert_ptr_equal(queue, &the_queue);
    assert_int_equal(ticket->sequence, 77);
    note("abandon");
    if (fake.abandon_result == SYNCQ_ERR_EXISTS)
        fake.confirmed = 1;
    return fake.abandon_result;
}

void syncq_ticket_finish(struct syncq_queue *queue, struct syncq_ticket *ticket,
                         unsigned status)
{
    assert_ptr_equal(queue, &the_queue);
    assert_int_equal(ticket->sequence, 77);
    note(status == SYNCQ_STATUS_SYNCED      ? "synced"
         : status == SYNCQ_STATUS_CANCELLED ? "cancelled"
                                            : "wrong");
}

void syncq_arrival_send(struct syncq_queue *queue,
                        const struct syncq_ticket *ticket)
{
    assert_ptr_equal(queue, &the_queue);
    assert_int_equal(ticket->sequence, 77);
    note("arrival");
}

void syncq_statistics_capture(struct syncq_queue *queue, unsigned outcome)
{
    assert_ptr_equal(queue, &the_queue);
    assert_true(outcome < OUTCOME_COUNT);
    fake.captures[outcome]++;
}

static void log_note(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

static void log_note(const char *format, va_list arguments)
{
    size_t size = strlen(world.log);

    (void)vsnprintf(world.log + size, sizeof(world.log) - size - 1, format,
                    arguments);
    strcat(world.log, "\n");
}

void log_info(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_note(format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_note(format, arguments);
    va_end(arguments);
}

static enum outcome fake_read(const struct capture_source *source,
                              const struct capture_request *request,
                              struct capture_mail *mail,
                              char reason[CAPTURE_REASON_SIZE])
{
    struct syncq_recipient recipient = {"r@x.example", "", "", 0};

    (void)source;
    world.read_count++;
    if (world.outcome != OUTCOME_CAPTURED) {
        strcpy(reason, "because");
        return world.outcome;
    }
    assert_string_equal(request->queue_id, ID);
    assert_result(syncq_envelope_init(&mail->envelope), 0);
    assert_result(syncq_envelope_add_recipient(&mail->envelope, &recipient), 0);
    assert_result(syncq_envelope_group(&mail->envelope), 0);
    assert_result(
        syncq_envelope_set_attribute_text(&mail->envelope, "size", "123"), 0);
    mail->content = (uint8_t *)strdup("N\x02hi");
    mail->content_size = 4;
    mail->type = SYNCQ_RECORD_POSTFIX;
    return OUTCOME_CAPTURED;
}

static int progress(void *context)
{
    assert_ptr_equal(context, &world);
    world.progress_count++;
    return world.progress_result;
}

struct fixture {
    struct config config;
    struct capture_source source;
    struct decision_maker maker;
    struct mail_event event;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    memset(&fake, 0, sizeof(fake));
    memset(&world, 0, sizeof(world));
    world.progress_result = 1;
    fixture->config.confirm_timeout_ms = 60000;
    fixture->source.read = fake_read;
    fixture->maker.config = &fixture->config;
    fixture->maker.source = &fixture->source;
    *state = fixture;
    return shared_queue_new("/queue", "/run", 60000, &fixture->maker.queue);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    shared_queue_free(fixture->maker.queue);
    free(fixture);
    return 0;
}

static enum decision decide(struct fixture *fixture)
{
    enum decision decision =
        decision_make(&fixture->maker, ID, &fixture->event, progress, &world);

    if (decision == DECISION_DISCARD)
        assert_true(fake.confirmed);
    return decision;
}

static void assert_log(const char *text)
{
    if (!strstr(world.log, text))
        fail_msg("no \"%s\" in: %s", text, world.log);
}

static void test_decision__confirmed__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait arrival synced ");
    assert_int_equal(fake.captures[OUTCOME_CAPTURED], 1);
    assert_log("capturing mail into /queue\n");
    assert_log(ID ": captured, size=123, nrcpt=1, parts=1, confirm=");
}

static void test_decision__confirm_after_some_slices__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    fake.wait_results[0] = fake.wait_results[1] = SYNCQ_ERR_TIMEOUT;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait wait wait arrival synced ");
    assert_int_equal(world.progress_count, 2);
    assert_int_equal(fake.wait_ms[0], DECISION_SLICE_MS);
}

static void timeout_config(struct fixture *fixture)
{
    fixture->config.confirm_timeout_ms = 0;
    fake.wait_results[0] = fake.wait_results[1] = SYNCQ_ERR_TIMEOUT;
}

static void test_decision__no_confirm_in_time__is_not_discarded(void **state)
{
    struct fixture *fixture = *state;

    timeout_config(fixture);
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append wait abandon arrival cancelled ");
    assert_log(ID ": let through, outcome=not confirmed");
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    assert_log(ID ": refused for now, outcome=not confirmed");
    assert_int_equal(fake.captures[OUTCOME_UNCONFIRMED], 2);
    assert_int_equal(fake.captures[OUTCOME_CAPTURED], 0);
}

static void test_decision__confirm_beats_the_timeout__is_discarded(void **state)
{
    struct fixture *fixture = *state;

    timeout_config(fixture);
    fake.abandon_result = SYNCQ_ERR_EXISTS;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_string_equal(fake.calls, "append wait abandon arrival synced ");
}

static void test_decision__mta_gone_while_waiting__is_given_up(void **state)
{
    struct fixture *fixture = *state;

    fake.wait_results[0] = SYNCQ_ERR_TIMEOUT;
    world.progress_result = 0;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append wait abandon arrival cancelled ");
}

static void test_decision__failed_wait__is_never_discarded(void **state)
{
    static const int errors[] = {SYNCQ_ERR_SYNC_FAILED, SYNCQ_ERR_DETACHED,
                                 SYNCQ_ERR_ABANDONED, EIO};
    struct fixture *fixture = *state;
    unsigned i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        fake.calls[0] = 0;
        fake.wait_count = 0;
        fake.wait_results[0] = errors[i];
        assert_int_equal(decide(fixture), DECISION_ACCEPT);
        assert_string_equal(fake.calls, "append wait arrival cancelled ");
        assert_log(syncq_strerror(errors[i]));
    }
    assert_int_equal(fake.captures[OUTCOME_UNCONFIRMED], 4);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    fake.wait_count = 0;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
}

static void test_decision__failed_append__answers_as_unavailable(void **state)
{
    struct fixture *fixture = *state;

    fake.append_result = SYNCQ_ERR_SEGMENTS_FULL;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "append ");
    assert_int_equal(fake.captures[OUTCOME_UNAVAILABLE], 1);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    fake.append_result = SYNCQ_ERR_TOO_LARGE;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(fake.captures[OUTCOME_TOO_LARGE], 1);
}

static void test_decision__unreadable_mail__is_let_through(void **state)
{
    static const enum outcome outcomes[] = {
        OUTCOME_NO_FILE, OUTCOME_NOT_UNDERSTOOD, OUTCOME_TOO_LARGE};
    struct fixture *fixture = *state;
    unsigned i;

    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    for (i = 0; i < 3; i++) {
        world.outcome = outcomes[i];
        assert_int_equal(decide(fixture), DECISION_ACCEPT);
        assert_int_equal(fake.captures[outcomes[i]], 1);
    }
    assert_string_equal(fake.calls, "");
    assert_log(ID ": let through, outcome=not understood, reason=because\n");
    world.outcome = OUTCOME_UNAVAILABLE; /* no memory */
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
}

static void test_decision__closed_gate__is_let_through(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    fake.gate = "milter_header_checks";
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count, 0);
    assert_int_equal(fake.captures[OUTCOME_GATED], 2);
    assert_string_equal(
        world.log, "not capturing mail: gate closed: milter_header_checks\n");
    fake.gate = NULL;
    assert_int_equal(decide(fixture), DECISION_DISCARD);
    assert_log("\ncapturing mail into /queue\n");
}

static void
test_decision__unavailable_queue__answers_as_configured(void **state)
{
    struct fixture *fixture = *state;

    fake.open_result = SYNCQ_ERR_NO_HELPER;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_TEMPFAIL);
    assert_int_equal(world.read_count, 0);
    /* Tried once, not once a mail, and said once. */
    assert_int_equal(fake.open_count, 1);
    assert_ptr_equal(strchr(world.log, '\n'), strrchr(world.log, '\n'));
    assert_log("not capturing mail: queue unavailable: ");
}

static void test_decision__latched_queue__takes_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(decide(fixture), DECISION_DISCARD);
    fake.calls[0] = 0;
    fake.usable_result = SYNCQ_ERR_LATCHED;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_string_equal(fake.calls, "");
    assert_int_equal(fake.close_count, 0);
    assert_log(syncq_strerror(SYNCQ_ERR_LATCHED));
}

static void test_decision__capture_off__does_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.capture = CONFIG_CAPTURE_OFF;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count + fake.open_count, 0);
    assert_string_equal(world.log, "");
}

static void test_decision__observe__reads_but_stores_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.capture = CONFIG_CAPTURE_OBSERVE;
    fixture->config.when_unavailable = CONFIG_UNAVAILABLE_TEMPFAIL;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    world.outcome = OUTCOME_UNAVAILABLE;
    assert_int_equal(decide(fixture), DECISION_ACCEPT);
    assert_int_equal(world.read_count, 2);
    assert_int_equal(fake.open_count, 0);
    assert_string_equal(fake.calls, "");
    assert_log(ID ": observed, size=123, nrcpt=1, parts=1\n");
}

static void test_decision__bad_queue_id__is_not_logged(void **state)
{
    struct fixture *fixture = *state;

    world.outcome = OUTCOME_NO_FILE;
    assert_int_equal(decision_make(&fixture->maker, "x\nforged: line",
                                   &fixture->event, progress, &world),
                     DECISION_ACCEPT);
    assert_int_equal(
        decision_make(&fixture->maker, NULL, &fixture->event, progress, &world),
        DECISION_ACCEPT);
    assert_null(strstr(world.log, "forged"));
    assert_log("NOQUEUE: let through");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_decision__confirmed__is_discarded),
        TEST(test_decision__confirm_after_some_slices__is_discarded),
        TEST(test_decision__no_confirm_in_time__is_not_discarded),
        TEST(test_decision__confirm_beats_the_timeout__is_discarded),
        TEST(test_decision__mta_gone_while_waiting__is_given_up),
        TEST(test_decision__failed_wait__is_never_discarded),
        TEST(test_decision__failed_append__answers_as_unavailable),
        TEST(test_decision__unreadable_mail__is_let_through),
        TEST(test_decision__closed_gate__is_let_through),
        TEST(test_decision__unavailable_queue__answers_as_configured),
        TEST(test_decision__latched_queue__takes_nothing),
        TEST(test_decision__capture_off__does_nothing),
        TEST(test_decision__observe__reads_but_stores_nothing),
        TEST(test_decision__bad_queue_id__is_not_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
