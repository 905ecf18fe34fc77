/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/statistics.h"
#include "tests/cmocka_all.h"
#include "tests/daemon.h"
#include "tests/milter_check.h"

int milter_check_setup(void **state)
{
    struct milter_system *system = malloc(sizeof(*system));

    *state = system;
    return system ? milter_system_make(system) : -1;
}

int milter_check_teardown(void **state)
{
    milter_system_remove(*state);
    free(*state);
    return 0;
}

/* The shim is next to the tests, built by libtool or by hand. */
const char *milter_check_shim(void)
{
    static char path[MILTER_SYSTEM_PATH_SIZE];
    const char *given = getenv("SHIM_MSYNC");

    (void)snprintf(path, sizeof(path), "%s",
                   given ? given : daemon_program("tests/.libs/shim_msync.so"));
    if (access(path, R_OK))
        fail_msg("%s: %s", path, strerror(errno));
    return path;
}

void milter_check_start(struct milter_system *system, const char *shim,
                        const char *parameter)
{
    assert_result(milter_system_start_helper(system, shim), 0);
    assert_result(milter_system_start_milter(system, parameter), 0);
}

void milter_check_session(struct milter_system *system,
                          struct milter_peer *peer)
{
    assert_result(milter_peer_open(peer, system->socket, MILTER_PEER_ACTIONS,
                                   MILTER_PEER_PROTOCOL),
                  0);
}

void milter_check_reply(struct milter_peer *peer, int letter)
{
    assert_int_equal(milter_peer_reply(peer, MILTER_SYSTEM_WAIT_MS), letter);
}

/* A mail in a session of its own. */
void milter_check_answer(struct milter_system *system, const char *queue_id,
                         int letter, const char *text)
{
    struct milter_peer peer;

    milter_check_session(system, &peer);
    assert_result(milter_system_mail(system, &peer, queue_id), 0);
    milter_check_reply(&peer, letter);
    if (text)
        assert_string_equal(peer.text, text);
    milter_peer_close(&peer);
}

uint64_t milter_check_count(struct milter_system *system, enum outcome outcome)
{
    struct syncq_statistics *statistics = malloc(sizeof(*statistics));
    uint64_t count;

    assert_non_null(statistics);
    assert_result(syncq_statistics_read(system->queue, statistics), 0);
    count = statistics->captures[outcome];
    free(statistics);
    return count;
}
