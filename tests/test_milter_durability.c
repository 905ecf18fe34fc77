/* SPDX-License-Identifier: MIT */
/*
 * Confirmed means durable: the real milter and sync helper, whose msync is
 * stopped or fails as the test wants.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/statistics.h"
#include "tests/cmocka_all.h"
#include "tests/daemon.h"
#include "tests/milter_check.h"

#define SILENCE_MS 500 /* an answer that is possible would be there by then */

/*
 * The promise: no DISCARD before the msync of this mail has returned 0.  The
 * helper's msync is stopped; the milter has to be silent until it goes on.
 */
static void test_milter__msync_not_finished__no_answer(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, milter_check_shim(), NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    assert_int_equal(milter_peer_reply(&peer, SILENCE_MS), MILTER_PEER_TIMEOUT);
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'g'), 0);
    milter_check_reply(&peer, 'd');
    milter_peer_close(&peer);
}

/* While msync is stopped, the MTA hears that there is work going on. */
static void test_milter__long_msync__sends_signs_of_life(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, milter_check_shim(), NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    while (!peer.progress_count)
        assert_int_equal(milter_peer_reply(&peer, SILENCE_MS),
                         MILTER_PEER_TIMEOUT);
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'g'), 0);
    milter_check_reply(&peer, 'd');
    milter_peer_close(&peer);
}

static void assert_failed_sync(struct milter_system *system, int letter)
{
    struct milter_peer peer;

    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    assert_int_equal(milter_peer_reply(&peer, SILENCE_MS), MILTER_PEER_TIMEOUT);
    /* One error; from then on msync would work again. */
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'e'), 0);
    milter_check_reply(&peer, letter);
    assert_result(milter_system_mail(system, &peer, ID_2), 0);
    milter_check_reply(&peer, letter);
    milter_peer_close(&peer);
    assert_int_equal(milter_check_count(system, OUTCOME_CAPTURED), 0);
    assert_int_equal(milter_check_count(system, OUTCOME_UNCONFIRMED), 1);
    assert_true(milter_system_logged(system, "not capturing mail: "));
}

static void
test_milter__msync_fails_once__nothing_is_captured_any_more(void **state)
{
    struct milter_system *system = *state;
    struct syncq_queue_status status;

    milter_check_start(system, milter_check_shim(), NULL);
    assert_failed_sync(system, 'a');
    assert_result(syncq_queue_status(system->queue, &status), 0);
    assert_true(status.latched);
    /* Nor by a milter that starts now. */
    daemon_kill(system->milter);
    assert_result(milter_system_start_milter(system, NULL), 0);
    milter_check_answer(system, ID_3, 'a', NULL);
}

static void test_milter__msync_fails_once__tempfails_if_configured(void **state)
{
    struct milter_system *system = *state;

    milter_check_start(system, milter_check_shim(),
                       "when_unavailable=tempfail");
    assert_failed_sync(system, 'y');
}

static void
test_milter__no_confirm_in_time__mail_stays_with_the_mta(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, milter_check_shim(), "confirm_timeout=100ms");
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    milter_check_reply(&peer, 'a');
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'g'), 0);
    /* The queue is as good as before. */
    assert_result(milter_system_mail(system, &peer, ID_2), 0);
    milter_check_reply(&peer, 'd');
    milter_peer_close(&peer);
    assert_int_equal(milter_check_count(system, OUTCOME_UNCONFIRMED), 1);
    assert_true(milter_system_logged(system, ID_1 ": let through"));
}

static void
test_milter__stopped_with_mail_in_work__answers_it_first(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;
    struct stat status;

    milter_check_start(system, milter_check_shim(), NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    assert_int_equal(kill(system->milter, SIGTERM), 0);
    assert_int_equal(daemon_wait(system->milter, SILENCE_MS), DAEMON_RUNNING);
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'g'), 0);
    milter_check_reply(&peer, 'd');
    assert_int_equal(daemon_wait(system->milter, MILTER_SYSTEM_WAIT_MS), EX_OK);
    system->milter = 0;
    assert_int_equal(stat(system->socket, &status), -1);
    milter_peer_close(&peer);
}

static void test_milter__killed_with_mail_in_work__mail_is_synced(void **state)
{
    struct milter_system *system = *state;
    struct syncq_statistics *statistics = malloc(sizeof(*statistics));
    struct milter_peer peer;
    int tries;

    milter_check_start(system, milter_check_shim(), NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    daemon_kill(system->milter);
    system->milter = 0;
    assert_int_equal(milter_peer_reply(&peer, MILTER_SYSTEM_WAIT_MS),
                     MILTER_PEER_CLOSED);
    assert_result(milter_system_hold(system, 0), 0);
    assert_result(milter_system_release(system, 'g'), 0);
    milter_peer_close(&peer);
    for (tries = 0; tries < 5000; tries++) {
        assert_result(syncq_statistics_read(system->queue, statistics), 0);
        if (statistics->appends)
            break;
        usleep(1000);
    }
    assert_int_equal(statistics->appends, 1);
    free(statistics);
    /* A new milter takes over the socket that was left behind. */
    assert_result(milter_system_start_milter(system, NULL), 0);
    milter_check_answer(system, ID_2, 'd', NULL);
}

/* The mail's record is in the queue's file; who syncs it does not matter. */
static void test_milter__helper_killed__successor_confirms(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, milter_check_shim(), NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_hold(system, 1), 0);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    assert_result(milter_system_reached(system), 0);
    daemon_kill(system->helper);
    assert_int_equal(milter_peer_reply(&peer, SILENCE_MS), MILTER_PEER_TIMEOUT);
    assert_result(milter_system_start_helper(system, NULL), 0);
    milter_check_reply(&peer, 'd');
    assert_result(milter_system_mail(system, &peer, ID_2), 0);
    milter_check_reply(&peer, 'd');
    milter_peer_close(&peer);
}

/* Somebody removes the channel: the helper leaves by itself, the milter lets
 * go of it, and both go on with the next one. */
static void test_milter__channel_removed__goes_on_with_the_next(void **state)
{
    struct milter_system *system = *state;

    milter_check_start(system, NULL, NULL);
    milter_check_answer(system, ID_1, 'd', NULL);
    assert_int_equal(
        unlink(milter_system_path(system, "run/" SYNCQ_CHANNEL_FILE)), 0);
    syncq_queue_close(system->queue); /* as the queue manager does */
    system->queue = NULL;
    assert_int_equal(daemon_wait(system->helper, MILTER_SYSTEM_WAIT_MS),
                     EX_TEMPFAIL);
    system->helper = 0;
    assert_result(milter_system_start_helper(system, NULL), 0);
    milter_check_answer(system, ID_2, 'd', NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MILTER_TEST(test_milter__helper_killed__successor_confirms),
        MILTER_TEST(test_milter__msync_not_finished__no_answer),
        MILTER_TEST(test_milter__long_msync__sends_signs_of_life),
        MILTER_TEST(
            test_milter__msync_fails_once__nothing_is_captured_any_more),
        MILTER_TEST(test_milter__msync_fails_once__tempfails_if_configured),
        MILTER_TEST(test_milter__no_confirm_in_time__mail_stays_with_the_mta),
        MILTER_TEST(test_milter__stopped_with_mail_in_work__answers_it_first),
        MILTER_TEST(test_milter__killed_with_mail_in_work__mail_is_synced),
        MILTER_TEST(test_milter__channel_removed__goes_on_with_the_next),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
