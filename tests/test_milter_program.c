/* SPDX-License-Identifier: MIT */
/*
 * The real milter, the real sync helper and a real queue; the test speaks for
 * the MTA.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/state.h"
#include "module/statistics.h"
#include "tests/cmocka_all.h"
#include "tests/daemon.h"
#include "tests/milter_mail.h"
#include "tests/milter_check.h"

#define ALL_EVENTS_BUT_MAIL_AND_END 0x037bu
#define NO_REPLY_TO_MAIL            0x4000u
#define SET_MACROS                  0x100u

#define SESSIONS 40

static void test_milter__negotiation__asks_for_mail_and_end_only(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    assert_result(milter_system_start_milter(system, NULL), 0);
    milter_check_session(system, &peer);
    assert_int_equal(peer.actions, SET_MACROS);
    assert_int_equal(peer.protocol,
                     ALL_EVENTS_BUT_MAIL_AND_END | NO_REPLY_TO_MAIL);
    assert_string_equal(peer.macros,
                        "0:{syncq_none};1:{syncq_none};2:{mail_addr};"
                        "3:{syncq_none};4:{syncq_none};5:i;");
    milter_peer_close(&peer);
}

static void test_milter__old_mta__is_asked_for_what_it_offers(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;

    assert_result(milter_system_start_milter(system, NULL), 0);
    assert_result(milter_peer_open(&peer, system->socket, 0x3f, 0x7f), 0);
    assert_int_equal(peer.actions, 0);
    assert_int_equal(peer.protocol, 0x7b);
    /* It waits for a reply to MAIL, and for one to the RCPT it must send. */
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    milter_check_reply(&peer, 'a');
    milter_peer_close(&peer);
}

static void test_milter__good_mail__is_in_the_queue_when_discarded(void **state)
{
    struct milter_system *system = *state;
    struct syncq_record record;
    unsigned status = 0, i;

    milter_check_start(system, NULL, NULL);
    milter_check_answer(system, ID_1, 'd', NULL);
    for (i = 0; i < 2; i++) {
        assert_result(milter_system_arrival(system, &record, &status), 0);
        assert_int_equal(status, SYNCQ_STATUS_SYNCED);
        assert_int_equal(record.header.type, SYNCQ_RECORD_POSTFIX);
        assert_int_equal(record.envelope.recipient_count, 3);
        assert_int_equal(record.envelope.part_count, 2);
        assert_string_equal(record.envelope.sender, "sender@example.org");
        assert_string_equal(
            syncq_envelope_attribute_text(&record.envelope, "queue_id", ""),
            ID_1);
        assert_non_null(
            memmem(record.content, record.content_size, "Subject: test", 13));
        syncq_record_clear(&record);
    }
    assert_int_equal(milter_check_count(system, OUTCOME_CAPTURED), 1);
    assert_true(milter_system_logged(system, ID_1 ": captured, size="));
    assert_true(milter_system_logged(system, "nrcpt=3, parts=2, confirm="));
}

static void
test_milter__several_mails_in_a_session__are_kept_apart(void **state)
{
    static const char *const unknown[] = {"<sender@example.org>", "BY=1;R",
                                          NULL};
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, NULL, NULL);
    milter_check_session(system, &peer);
    assert_result(milter_system_mail(system, &peer, ID_1), 0);
    milter_check_reply(&peer, 'd');
    /* What was said about an aborted mail must not stick to the next one. */
    assert_int_equal(milter_peer_mail(&peer, NULL, unknown), 'c');
    assert_result(milter_peer_command(&peer, 'A'), 0);
    assert_result(milter_system_mail(system, &peer, ID_2), 0);
    milter_check_reply(&peer, 'd');
    assert_int_equal(milter_peer_mail(&peer, NULL, unknown), 'c');
    assert_result(milter_peer_end(&peer, ID_2), 0);
    milter_check_reply(&peer, 'a');
    milter_peer_close(&peer);
    assert_int_equal(milter_check_count(system, OUTCOME_CAPTURED), 2);
    assert_int_equal(milter_check_count(system, OUTCOME_NOT_UNDERSTOOD), 1);
    assert_true(milter_system_logged(system, "unknown MAIL argument BY=1;R"));
}

static void test_milter__many_sessions_at_once__all_are_captured(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peers[SESSIONS];
    unsigned i, round;
    char id[32];

    milter_check_start(system, NULL, NULL);
    for (i = 0; i < SESSIONS; i++)
        milter_check_session(system, &peers[i]);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < SESSIONS; i++) {
            (void)snprintf(id, sizeof(id), "3pXyz%05uz%uQ", i, round);
            assert_result(milter_system_mail(system, &peers[i], id), 0);
        }
        for (i = 0; i < SESSIONS; i++)
            milter_check_reply(&peers[i], 'd');
    }
    for (i = 0; i < SESSIONS; i++)
        milter_peer_close(&peers[i]);
    assert_int_equal(milter_check_count(system, OUTCOME_CAPTURED),
                     3 * SESSIONS);
}

static void test_milter__not_even_a_queue_id__is_let_through(void **state)
{
    static const char *const arguments[] = {"<>", NULL};
    struct milter_system *system = *state;
    struct milter_peer peer;

    milter_check_start(system, NULL, NULL);
    milter_check_session(system, &peer);
    assert_int_equal(milter_peer_mail(&peer, NULL, arguments), 'c');
    assert_result(milter_peer_end(&peer, NULL), 0);
    milter_check_reply(&peer, 'a');
    assert_int_equal(milter_peer_mail(&peer, NULL, arguments), 'c');
    assert_result(milter_peer_end(&peer, "../../etc/passwd"), 0);
    milter_check_reply(&peer, 'a');
    milter_peer_close(&peer);
    assert_int_equal(milter_check_count(system, OUTCOME_NO_FILE), 2);
}

static void test_milter__no_helper__answers_as_configured(void **state)
{
    struct milter_system *system = *state;

    assert_result(milter_system_start_milter(system, NULL), 0);
    milter_check_answer(system, ID_1, 'a', NULL);
    daemon_kill(system->milter);
    assert_result(
        milter_system_start_milter(system, "when_unavailable=tempfail"), 0);
    milter_check_answer(system, ID_1, 'y',
                        "451 4.3.0 Mail queue not available, try again later");
    assert_true(
        milter_system_logged(system, "not capturing mail: queue unavailable"));
}

static void test_milter__helper_comes_later__then_mail_is_captured(void **state)
{
    struct milter_system *system = *state;
    struct milter_peer peer;
    int letter, tries;

    assert_result(milter_system_start_milter(system, NULL), 0);
    milter_check_answer(system, ID_1, 'a', NULL);
    assert_result(milter_system_start_helper(system, NULL), 0);
    milter_check_session(system, &peer);
    /* The queue is looked at again after a second at most. */
    for (tries = 0, letter = 'a'; tries < 5000 && letter == 'a'; tries++) {
        assert_result(milter_system_mail(system, &peer, ID_1), 0);
        letter = milter_peer_reply(&peer, MILTER_SYSTEM_WAIT_MS);
        usleep(1000);
    }
    assert_int_equal(letter, 'd');
    milter_peer_close(&peer);
    assert_true(milter_system_logged(system, "capturing mail into "));
}

static void test_milter__closed_gate__lets_mail_through(void **state)
{
    struct milter_system *system = *state;

    milter_check_start(system, NULL, "when_unavailable=tempfail");
    syncq_gate_set(system->queue, "milter_header_checks is set");
    milter_check_answer(system, ID_1, 'a', NULL);
    assert_true(milter_system_logged(
        system,
        "not capturing mail: gate closed: milter_header_checks is set"));
    assert_int_equal(milter_check_count(system, OUTCOME_GATED), 1);
    syncq_gate_set(system->queue, "");
    milter_check_answer(system, ID_1, 'd', NULL);
}

static void test_milter__capture_off_and_observe__store_nothing(void **state)
{
    struct milter_system *system = *state;
    struct syncq_statistics *statistics = malloc(sizeof(*statistics));

    milter_check_start(system, NULL, "capture=observe");
    milter_check_answer(system, ID_1, 'a', NULL);
    assert_true(milter_system_logged(system, ID_1 ": observed, size="));
    daemon_kill(system->milter);
    assert_result(milter_system_start_milter(system, "capture=off"), 0);
    milter_check_answer(system, ID_2, 'a', NULL);
    assert_false(milter_system_logged(system, ID_2));
    assert_result(syncq_statistics_read(system->queue, statistics), 0);
    assert_int_equal(statistics->appends, 0);
    free(statistics);
}

static void
test_milter__nonsense_from_the_mta__ends_only_that_session(void **state)
{
    static const char *const nonsense[] = {
        "\377\377\377\377MMMM", "\0\0\0\0\0\0\0\0", "\0\0\0\1M\0\0\0\1E",
        "\0\0\0\1?\0\0\0\1E", "\0\0\0\5DEi\0x\0\0\0\1B"};
    static const size_t sizes[] = {8, 8, 10, 10, 14};
    struct milter_system *system = *state;
    struct milter_peer peer;
    unsigned i;

    milter_check_start(system, NULL, NULL);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        milter_check_session(system, &peer);
        assert_result(milter_peer_send(&peer, nonsense[i], sizes[i]), 0);
        (void)milter_peer_reply(&peer, 100);
        milter_peer_close(&peer);
    }
    milter_check_answer(system, ID_1, 'd', NULL);
}

static void assert_no_start(struct milter_system *system,
                            const char *const *arguments, int code,
                            const char *text)
{
    char program[MILTER_SYSTEM_PATH_SIZE];
    const char *argv[8] = {program};
    unsigned i;
    pid_t pid;

    (void)snprintf(program, sizeof(program), "%s",
                   daemon_program("milter/syncq-milter"));
    for (i = 0; arguments[i] && i < 6; i++)
        argv[i + 1] = arguments[i];
    pid = daemon_start(argv, NULL, milter_system_path(system, "milter.log"));
    assert_int_equal(daemon_wait(pid, MILTER_SYSTEM_WAIT_MS), code);
    if (!milter_system_logged(system, text))
        fail_msg("no \"%s\" in the log", text);
}

#define NO_START(system, code, text, ...)                                      \
    assert_no_start(system, (const char *const[]){__VA_ARGS__, NULL}, code,    \
                    text)

static void test_milter__what_it_cannot_start_with__is_told(void **state)
{
    struct milter_system *system = *state;
    char socket[MILTER_SYSTEM_PATH_SIZE + 20];

    NO_START(system, EX_OK, "Usage: syncq-milter", "--help");
    NO_START(system, EX_OK, "syncq-milter ", "--version");
    NO_START(system, EX_USAGE, "unknown option", "-z");
    NO_START(system, EX_USAGE, "unexpected argument", "-e", "-c",
             system->config, "now");
    NO_START(system, EX_CONFIG, "milter_socket is not set", "-e", "-c",
             system->config, "-o", "milter_socket=");
    NO_START(system, EX_CONFIG, "capture_source", "-e", "-c", system->config,
             "-o", "capture_source=stream");
    NO_START(system, EX_CONFIG, "/nonexistent: No such file", "-e", "-c",
             system->config, "-o", "milter_socket=unix:/nonexistent/sock");
    NO_START(system, EX_NOINPUT, "/nonexistent: No such file", "-e", "-c",
             system->config, "-o", "postfix_queue_directory=/nonexistent");
    NO_START(system, EX_UNAVAILABLE, "cannot read Postfix's parameters", "-e",
             "-c", system->config, "-o",
             "postfix_config_directory=/nonexistent");
    (void)snprintf(socket, sizeof(socket), "milter_socket=unix:%s",
                   system->config);
    NO_START(system, EX_CONFIG, "is not a socket", "-e", "-c", system->config,
             "-o", socket);
}

static void
test_milter__socket_in_use__second_milter_does_not_start(void **state)
{
    struct milter_system *system = *state;
    struct stat status;

    assert_result(milter_system_start_milter(system, NULL), 0);
    assert_int_equal(stat(system->socket, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    NO_START(system, EX_TEMPFAIL, "another milter is using it", "-e", "-c",
             system->config);
    milter_check_answer(system, ID_1, 'a', NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        MILTER_TEST(test_milter__negotiation__asks_for_mail_and_end_only),
        MILTER_TEST(test_milter__old_mta__is_asked_for_what_it_offers),
        MILTER_TEST(test_milter__good_mail__is_in_the_queue_when_discarded),
        MILTER_TEST(test_milter__several_mails_in_a_session__are_kept_apart),
        MILTER_TEST(test_milter__many_sessions_at_once__all_are_captured),
        MILTER_TEST(test_milter__not_even_a_queue_id__is_let_through),
        MILTER_TEST(test_milter__no_helper__answers_as_configured),
        MILTER_TEST(test_milter__helper_comes_later__then_mail_is_captured),
        MILTER_TEST(test_milter__closed_gate__lets_mail_through),
        MILTER_TEST(test_milter__capture_off_and_observe__store_nothing),
        MILTER_TEST(test_milter__nonsense_from_the_mta__ends_only_that_session),
        MILTER_TEST(test_milter__what_it_cannot_start_with__is_told),
        MILTER_TEST(test_milter__socket_in_use__second_milter_does_not_start),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
