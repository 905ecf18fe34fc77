/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/choice.h"
#include "module/record_format.h"
#include "module/state.h"
#include "program/log.h"
#include "tests/cmocka_all.h"
#include "tests/decision_fake.h"

struct decision_fake fake;
struct decision_world world;

static char the_queue;    /* its address stands for the queue */
static char second_queue; /* and this one's for that in /second */

static int is_second(const struct syncq_queue *queue)
{
    if ((const char *)queue != &second_queue)
        assert_ptr_equal(queue, &the_queue);
    return (const char *)queue == &second_queue;
}

static void note(const char *call)
{
    strcat(strcat(fake.calls, call), " ");
}

int syncq_queue_open(const char *directory, const char *run_directory,
                     enum syncq_open_mode mode, struct syncq_queue **queue)
{
    assert_int_equal(mode, SYNCQ_OPEN_WRITE);
    if (!strcmp(directory, "/second")) {
        assert_string_equal(run_directory,
                            "/run/07000000000000000000000000000000");
        *queue = (struct syncq_queue *)&second_queue;
        fake.second_open_count++;
        return 0;
    }
    assert_string_equal(directory, "/queue");
    assert_string_equal(run_directory, "/run");
    fake.open_count++;
    if (!fake.open_result)
        *queue = (struct syncq_queue *)&the_queue;
    return fake.open_result;
}

int syncq_queue_uuid(const char *directory, uint8_t uuid[SYNCQ_UUID_SIZE])
{
    assert_string_equal(directory, "/second");
    memset(uuid, 0, SYNCQ_UUID_SIZE);
    uuid[0] = 7;
    return 0;
}

/* The second one is always the slower. */
void syncq_load_read(struct syncq_queue *queue, struct syncq_load *load)
{
    *load = (struct syncq_load){.in_flight = is_second(queue) ? 9 : 0,
                                .served = is_second(queue) || !fake.unserved};
}

uint64_t syncq_load_cost(const struct syncq_load *load)
{
    return load->in_flight;
}

void syncq_choice_order(const uint64_t *costs, unsigned count, unsigned turn,
                        unsigned *order)
{
    (void)turn;
    assert_int_equal(count, 2);
    order[0] = costs[0] > costs[1];
    order[1] = 1 - order[0];
}

void syncq_queue_close(struct syncq_queue *queue)
{
    if (queue)
        fake.close_count++;
}

int syncq_queue_usable(struct syncq_queue *queue)
{
    return is_second(queue) ? 0 : fake.usable_result;
}

int syncq_queue_status(struct syncq_queue *queue,
                       struct syncq_queue_status *status)
{
    status->message_size_max = is_second(queue) ? fake.second_size_max : 12345;
    return 0;
}

int syncq_gate_get(struct syncq_queue *queue, char text[SYNCQ_GATE_TEXT_SIZE])
{
    const char *gate = is_second(queue) ? fake.second_gate : fake.gate;

    if (gate)
        strcpy(text, gate);
    return !gate;
}

int syncq_append(struct syncq_queue *queue, uint8_t type,
                 const struct syncq_envelope *envelope,
                 const struct iovec *content, size_t content_count,
                 struct syncq_ticket *ticket)
{
    int result;

    assert_int_equal(type, SYNCQ_RECORD_POSTFIX);
    assert_int_equal(envelope->part_count, 1);
    assert_int_equal(content_count, 1);
    assert_int_equal(content[0].iov_len, 4);
    assert_memory_equal(content[0].iov_base, "N\x02hi", 4);
    note(is_second(queue) ? "second" : "append");
    result = is_second(queue) ? fake.second_append_result : fake.append_result;
    if (!result)
        ticket->sequence = 77;
    return result;
}

int syncq_ticket_wait(struct syncq_queue *queue, struct syncq_ticket *ticket,
                      int timeout_ms)
{
    int result = SYNCQ_ERR_TIMEOUT;

    (void)is_second(queue);
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
    (void)is_second(queue);
    assert_int_equal(ticket->sequence, 77);
    note("abandon");
    if (fake.abandon_result == SYNCQ_ERR_EXISTS)
        fake.confirmed = 1;
    return fake.abandon_result;
}

void syncq_ticket_finish(struct syncq_queue *queue, struct syncq_ticket *ticket,
                         unsigned status)
{
    (void)is_second(queue);
    assert_int_equal(ticket->sequence, 77);
    note(status == SYNCQ_STATUS_SYNCED      ? "synced"
         : status == SYNCQ_STATUS_CANCELLED ? "cancelled"
                                            : "wrong");
}

void syncq_arrival_send(struct syncq_queue *queue,
                        const struct syncq_ticket *ticket)
{
    (void)is_second(queue);
    assert_int_equal(ticket->sequence, 77);
    note("arrival");
}

void syncq_statistics_capture(struct syncq_queue *queue, unsigned outcome)
{
    (void)is_second(queue);
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
    world.size_max = request->size_max;
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

int progress(void *context)
{
    assert_ptr_equal(context, &world);
    world.progress_count++;
    return world.progress_result;
}

static int setup_files(void **state, char *list)
{
    static char queue[] = "/queue", run[] = "/run", empty[] = "";
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct files files;
    char error[200];
    int result;

    memset(&fake, 0, sizeof(fake));
    memset(&world, 0, sizeof(world));
    world.progress_result = 1;
    fake.second_size_max = 12345;
    fixture->config.confirm_timeout_ms = 60000;
    fixture->config.queue_directory = queue;
    fixture->config.run_directory = run;
    fixture->config.queue_files = list;
    fixture->config.drain_files = empty;
    fixture->source.read = fake_read;
    fixture->maker.config = &fixture->config;
    fixture->maker.source = &fixture->source;
    *state = fixture;
    result = files_read(&fixture->config, &files, error, sizeof(error));
    if (!result)
        result =
            queues_new(&fixture->config, &files, 60000, &fixture->maker.queues);
    files_clear(&files);
    return result;
}

int setup(void **state)
{
    static char empty[] = "";

    return setup_files(state, empty);
}

int teardown(void **state)
{
    struct fixture *fixture = *state;

    queues_free(fixture->maker.queues);
    free(fixture);
    return 0;
}

enum decision decide(struct fixture *fixture)
{
    enum decision decision =
        decision_make(&fixture->maker, ID, &fixture->event, progress, &world);

    if (decision == DECISION_DISCARD)
        assert_true(fake.confirmed);
    return decision;
}

void assert_log(const char *text)
{
    if (!strstr(world.log, text))
        fail_msg("no \"%s\" in: %s", text, world.log);
}

/* Until both were opened by their own threads. */
int setup_two(void **state)
{
    static char list[] = "/queue /second";
    struct candidates candidates;
    struct fixture *fixture;
    unsigned usable = 0;
    int result = setup_files(state, list);

    fixture = *state;
    while (!result && usable < 2) {
        queues_take(fixture->maker.queues, &candidates);
        usable = candidates.usable;
        queues_put(&candidates);
        sched_yield();
    }
    return result;
}
