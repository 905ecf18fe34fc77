/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "qmgr/memory.h"
#include "qmgr/transport.h"

/* A scheduler whose event loop never runs: only its decisions are tested. */
struct fixture {
    struct qmgr qmgr;
    struct transport *transport;
};

static const char parameters[] =
    "initial_destination_concurrency = 5\n"
    "default_destination_concurrency_limit = 20\n"
    "default_destination_recipient_limit = 50\n"
    "default_destination_concurrency_failed_cohort_limit = 1\n"
    "default_destination_rate_delay = 0s\n"
    "slow_destination_rate_delay = 3s\n";

static const struct request_result good = {1, "", ""};
static const struct request_result bad = {0, "4.4.1", "refused"};

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));

    fixture->qmgr.settings.minimal_backoff_s = 300;
    fixture->qmgr.settings.transport_retry_s = 60;
    fixture->qmgr.settings.retry_service = "retry";
    if (parameters_parse(parameters, &fixture->qmgr.settings.parameters) != 0)
        return 1;
    fixture->qmgr.base = event_base_new();
    fixture->qmgr.scheduler = scheduler_new(&fixture->qmgr);
    fixture->transport = scheduler_transport(fixture->qmgr.scheduler, "smtp");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    scheduler_free(fixture->qmgr.scheduler);
    event_base_free(fixture->qmgr.base);
    parameters_free(fixture->qmgr.settings.parameters);
    free(fixture);
    return 0;
}

static struct destination *fill(struct fixture *fixture,
                                struct transport *transport, const char *name,
                                unsigned count)
{
    struct destination *destination =
        scheduler_destination(fixture->qmgr.scheduler, transport, name);
    unsigned i;

    for (i = 0; i < count; i++) {
        struct request *request = memory_new(sizeof(*request));

        request->destination = destination;
        request->nexthop = memory_text(name);
        scheduler_add(fixture->qmgr.scheduler, request);
    }
    return destination;
}

/* Start as much as may run; how much that was. */
static unsigned start_all(struct transport *transport)
{
    struct request *request;
    unsigned count = 0;

    while ((request = transport_select(transport)) != NULL) {
        request_free(request);
        count++;
    }
    return count;
}

static void test_window__at_first__is_the_initial_concurrency(void **state)
{
    struct fixture *fixture = *state;

    (void)fill(fixture, fixture->transport, "a", 30);
    assert_int_equal(start_all(fixture->transport), 5);
}

static void test_window__every_delivery_works__grows_to_the_limit(void **state)
{
    struct fixture *fixture = *state;
    struct destination *destination =
        fill(fixture, fixture->transport, "a", 400);
    unsigned busy = start_all(fixture->transport), i;

    for (i = 0; i < 100; i++) {
        destination_done(destination, &good);
        busy--;
        busy += start_all(fixture->transport);
        assert_true(busy <= 20);
    }
    assert_int_equal(busy, 20);
}

static void test_failures__three_in_a_row__the_destination_is_dead(void **state)
{
    struct fixture *fixture = *state;
    struct destination *destination = fill(fixture, fixture->transport, "a", 8);

    assert_int_equal(start_all(fixture->transport), 5);
    destination_done(destination, &bad);
    destination_done(destination, &bad);
    assert_null(destination_dead_reason(destination));
    destination_done(destination, &bad);
    assert_string_equal(destination_dead_reason(destination),
                        "4.4.1 delivery temporarily suspended: refused");
    assert_int_equal(start_all(fixture->transport), 0);
}

static void test_dead__what_waits__goes_to_retry(void **state)
{
    struct fixture *fixture = *state;
    struct destination *destination = fill(fixture, fixture->transport, "a", 8);
    struct transport *retry =
        scheduler_transport(fixture->qmgr.scheduler, "retry");
    unsigned i;

    (void)start_all(fixture->transport);
    for (i = 0; i < 3; i++)
        destination_done(destination, &bad);
    assert_int_equal(retry->waiting, 3);
    assert_int_equal(fixture->transport->waiting, 0);
}

static void test_success__resets_the_count_of_failures(void **state)
{
    struct fixture *fixture = *state;
    struct destination *destination =
        fill(fixture, fixture->transport, "a", 40);
    unsigned i;

    for (i = 0; i < 5; i++) {
        (void)start_all(fixture->transport);
        destination_done(destination, i % 2 == 0 ? &bad : &good);
        assert_null(destination_dead_reason(destination));
    }
}

static void test_revive__dead_destination__delivers_again(void **state)
{
    struct fixture *fixture = *state;
    struct destination *destination = fill(fixture, fixture->transport, "a", 5);
    unsigned i;

    (void)start_all(fixture->transport);
    for (i = 0; i < 3; i++)
        destination_done(destination, &bad);
    assert_non_null(destination_dead_reason(destination));
    scheduler_revive_all(fixture->qmgr.scheduler);
    assert_null(destination_dead_reason(destination));
    (void)fill(fixture, fixture->transport, "a", 5);
    /* As many as were running at that moment, no more. */
    assert_int_equal(start_all(fixture->transport), 0);
    destination_done(destination, &good);
    assert_true(start_all(fixture->transport) > 0);
}

static void test_select__several_destinations__take_turns(void **state)
{
    struct fixture *fixture = *state;
    struct request *request;
    char order[5] = "";
    size_t i;

    (void)fill(fixture, fixture->transport, "a", 3);
    (void)fill(fixture, fixture->transport, "b", 1);
    for (i = 0; i < 4; i++) {
        request = transport_select(fixture->transport);
        assert_non_null(request);
        order[i] = request->nexthop[0];
        request_free(request);
    }
    assert_string_equal(order, "abaa");
    assert_null(transport_select(fixture->transport));
}

static void test_selectable__pending_connections__count(void **state)
{
    struct fixture *fixture = *state;

    assert_false(transport_selectable(fixture->transport));
    (void)fill(fixture, fixture->transport, "a", 1);
    assert_true(transport_selectable(fixture->transport));
    fixture->transport->pending = 1;
    assert_false(transport_selectable(fixture->transport));
    (void)fill(fixture, fixture->transport, "b", 4);
    assert_true(transport_selectable(fixture->transport));
    fixture->transport->pending = TRANSPORT_PENDING_MAX;
    assert_false(transport_selectable(fixture->transport));
    fixture->transport->pending = 0;
}

static void test_die__transport__everything_goes_to_retry(void **state)
{
    struct fixture *fixture = *state;
    struct transport *retry =
        scheduler_transport(fixture->qmgr.scheduler, "retry");

    (void)fill(fixture, fixture->transport, "a", 4);
    (void)fill(fixture, fixture->transport, "b", 4);
    transport_die(fixture->transport, "4.3.0 mail transport unavailable");
    assert_int_equal(fixture->transport->waiting, 0);
    assert_int_equal(retry->waiting, 8);
    assert_string_equal(transport_dead_reason(fixture->transport),
                        "4.3.0 mail transport unavailable");
    transport_revive(fixture->transport);
    assert_null(transport_dead_reason(fixture->transport));
}

static void test_rate_delay__one_at_a_time_with_pauses(void **state)
{
    struct fixture *fixture = *state;
    struct transport *slow =
        scheduler_transport(fixture->qmgr.scheduler, "slow");
    struct destination *destination = fill(fixture, slow, "a", 3);

    assert_int_equal(start_all(slow), 1);
    destination_done(destination, &good);
    assert_int_equal(start_all(slow), 0);
    assert_int_equal(slow->waiting, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_window__at_first__is_the_initial_concurrency),
        TEST(test_window__every_delivery_works__grows_to_the_limit),
        TEST(test_failures__three_in_a_row__the_destination_is_dead),
        TEST(test_dead__what_waits__goes_to_retry),
        TEST(test_success__resets_the_count_of_failures),
        TEST(test_revive__dead_destination__delivers_again),
        TEST(test_select__several_destinations__take_turns),
        TEST(test_selectable__pending_connections__count),
        TEST(test_die__transport__everything_goes_to_retry),
        TEST(test_rate_delay__one_at_a_time_with_pauses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
