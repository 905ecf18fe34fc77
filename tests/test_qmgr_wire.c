/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmgr/wire.h"

struct peer {
    struct event_base *base;
    struct wire *wire;
    int fd; /* the other end */
    unsigned lists, failures;
    int error, close_in_handler;
    char last[64];
};

static void on_list(void *context, const char *list, size_t size)
{
    struct peer *peer = context;

    peer->lists++;
    assert_true(size <= sizeof(peer->last));
    memcpy(peer->last, list, size);
    if (peer->close_in_handler) {
        wire_close(peer->wire);
        peer->wire = NULL;
    }
}

static void on_failed(void *context, int error)
{
    struct peer *peer = context;

    peer->failures++;
    peer->error = error;
    wire_close(peer->wire);
    peer->wire = NULL;
}

static int setup(void **state)
{
    static struct peer peer;
    const struct wire_handler handler = {on_list, on_failed, &peer};
    int ends[2];

    memset(&peer, 0, sizeof(peer));
    peer.base = event_base_new();
    if (peer.base == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        return 1;
    peer.fd = ends[1];
    *state = &peer;
    return wire_adopt(peer.base, ends[0], &handler, &peer.wire);
}

static int teardown(void **state)
{
    struct peer *peer = *state;

    wire_close(peer->wire);
    if (peer->fd >= 0)
        (void)close(peer->fd);
    event_base_free(peer->base);
    return 0;
}

static void turn(struct peer *peer)
{
    (void)event_base_loop(peer->base, EVLOOP_NONBLOCK);
}

static void put(struct peer *peer, const char *bytes, size_t size)
{
    assert_int_equal(write(peer->fd, bytes, size), size);
    turn(peer);
}

static void test_list__arrives_byte_by_byte__is_given_once_whole(void **state)
{
    static const char list[] = "name\0value\0";
    struct peer *peer = *state;
    size_t i;

    for (i = 0; i + 1 < sizeof(list); i++) {
        put(peer, list + i, 1);
        assert_int_equal(peer->lists, 0);
    }
    put(peer, "", 1);
    assert_int_equal(peer->lists, 1);
    assert_memory_equal(peer->last, list, sizeof(list));
}

static void test_list__two_at_once__both_are_given(void **state)
{
    struct peer *peer = *state;

    put(peer, "a\0b\0\0c\0d\0\0", 10);
    assert_int_equal(peer->lists, 2);
    assert_memory_equal(peer->last, "c\0d\0", 5);
}

static void
test_list__closed_by_its_handler__the_second_is_dropped(void **state)
{
    struct peer *peer = *state;

    peer->close_in_handler = 1;
    put(peer, "a\0b\0\0c\0d\0\0", 10);
    assert_int_equal(peer->lists, 1);
    assert_int_equal(peer->failures, 0);
}

static void test_end_of_file__is_reported_as_0(void **state)
{
    struct peer *peer = *state;

    peer->error = -1;
    (void)close(peer->fd);
    peer->fd = -1;
    turn(peer);
    assert_int_equal(peer->failures, 1);
    assert_int_equal(peer->error, 0);
}

static void test_list__without_end__is_refused_at_the_limit(void **state)
{
    struct peer *peer = *state;
    size_t sent;
    char filled[4096];

    memset(filled, 'x', sizeof(filled));
    for (sent = 0; sent < 2 * WIRE_LIST_SIZE_MAX && peer->failures == 0;
         sent += sizeof(filled))
        put(peer, filled, sizeof(filled));
    assert_int_equal(peer->failures, 1);
    assert_int_equal(peer->error, EPROTO);
}

static void test_send__more_than_the_socket_takes__all_arrives(void **state)
{
    static char bytes[600000];
    struct peer *peer = *state;
    char input[65536];
    size_t got = 0;

    memset(bytes, 'y', sizeof(bytes));
    wire_send(peer->wire, bytes, sizeof(bytes));
    wire_send(peer->wire, "z", 1);
    while (got < sizeof(bytes) + 1) {
        ssize_t size = read(peer->fd, input, sizeof(input));

        turn(peer);
        assert_true(size > 0 || errno == EAGAIN);
        if (size > 0) {
            got += (size_t)size;
            assert_int_equal(input[size - 1],
                             got == sizeof(bytes) + 1 ? 'z' : 'y');
        }
    }
    assert_int_equal(got, sizeof(bytes) + 1);
}

static void test_open__nobody_there__says_why(void **state)
{
    const struct wire_handler handler = {on_list, on_failed, NULL};
    struct peer *peer = *state;
    struct wire *wire = NULL;

    assert_int_equal(wire_open(peer->base, "/nowhere/socket", &handler, &wire),
                     ENOENT);
    assert_null(wire);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list__arrives_byte_by_byte__is_given_once_whole),
        TEST(test_list__two_at_once__both_are_given),
        TEST(test_list__closed_by_its_handler__the_second_is_dropped),
        TEST(test_end_of_file__is_reported_as_0),
        TEST(test_list__without_end__is_refused_at_the_limit),
        TEST(test_send__more_than_the_socket_takes__all_arrives),
        TEST(test_open__nobody_there__says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
