/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "program/log.h"
#include "tests/temporary.h"

struct fixture {
    char *folder;
    int fd; /* stands for postlogd */
    char line[4096];
};

static int set_up(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    if (!fixture)
        return -1;
    fixture->folder = temporary_make();
    if (!fixture->folder)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/postlog",
             fixture->folder);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(fixture->fd, (const struct sockaddr *)&address, sizeof(address)))
        return -1;
    setenv("POSTLOG_SERVICE", address.sun_path, 1);
    setenv("POSTLOG_HOSTNAME", "host.example.com", 1);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    unsetenv("POSTLOG_SERVICE");
    unsetenv("POSTLOG_HOSTNAME");
    log_open("test", "mail", 1);
    close(fixture->fd);
    temporary_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* The datagram that came, which must be there by now. */
static const char *receive(struct fixture *fixture)
{
    ssize_t size = recv(fixture->fd, fixture->line, sizeof(fixture->line) - 1,
                        MSG_DONTWAIT);

    assert_true(size > 0);
    fixture->line[size] = 0;
    return fixture->line;
}

static void test_postlog__each_level__has_postfix_form(void **state)
{
    struct fixture *fixture = *state;
    char expected[100], *end;

    log_open("postfix/qmgr", "mail", 0);
    log_info("4jXbhn1jD6z1bYHT: removed, count=%d", 3);
    snprintf(expected, sizeof(expected),
             " host postfix/qmgr[%d]: 4jXbhn1jD6z1bYHT: removed, count=3",
             (int)getpid());
    /* Before it "Mon dd hh:mm:ss". */
    assert_string_equal(receive(fixture) + 15, expected);
    assert_int_equal(fixture->line[3], ' ');
    assert_int_equal(fixture->line[9], ':');
    log_warning("w");
    end = strstr(receive(fixture), "]: warning: w");
    assert_non_null(end);
    log_error("e");
    assert_non_null(strstr(receive(fixture), "]: error: e"));
}

static void test_line__control_characters__are_replaced(void **state)
{
    struct fixture *fixture = *state;

    log_open("t", "mail", 0);
    log_info("a\nb\033c\177d\xc3\xbc");
    assert_non_null(strstr(receive(fixture), ": a?b?c?d\xc3\xbc"));
}

static void test_line__too_long__is_cut(void **state)
{
    struct fixture *fixture = *state;
    char *text = malloc(100001);

    memset(text, 'x', 100000);
    text[100000] = 0;
    log_open("t", "mail", 0);
    log_info("%s", text);
    assert_int_equal(strlen(strchr(receive(fixture), 'x')), 2000);
    free(text);
}

/* Standard error of a child that runs this, and its exit status. */
static int run_child(void (*run)(void), char *output, size_t size)
{
    int fds[2], status;
    ssize_t count;
    size_t used = 0;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(fds[1]);
    while ((count = read(fds[0], output + used, size - 1 - used)) > 0)
        used += (size_t)count;
    output[used] = 0;
    close(fds[0]);
    assert_true(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void log_two_lines(void)
{
    log_open("syncq/sync", "mail", 1);
    log_info("one");
    log_warning("two");
}

static void die(void)
{
    log_open("syncq/sync", "mail", 1);
    log_fatal(EX_CONFIG, "no queue in %s", "/x");
}

static void test_stderr__wins_over_postlog(void **state)
{
    struct fixture *fixture = *state;
    char output[200];

    assert_int_equal(run_child(log_two_lines, output, sizeof(output)), 0);
    assert_string_equal(output, "syncq/sync: one\nsyncq/sync: warning: two\n");
    assert_true(recv(fixture->fd, output, 1, MSG_DONTWAIT) < 0);
}

static void test_fatal__exits_with_the_code(void **state)
{
    char output[200];

    (void)state;
    assert_int_equal(run_child(die, output, sizeof(output)), EX_CONFIG);
    assert_string_equal(output, "syncq/sync: fatal: no queue in /x\n");
}

static void test_facility__names__are_those_of_syslog(void **state)
{
    (void)state;
    assert_int_equal(log_facility("mail"), LOG_MAIL);
    assert_int_equal(log_facility("local7"), LOG_LOCAL7);
    assert_true(log_facility("email") == -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_postlog__each_level__has_postfix_form),
        TEST(test_line__control_characters__are_replaced),
        TEST(test_line__too_long__is_cut),
        TEST(test_stderr__wins_over_postlog),
        TEST(test_fatal__exits_with_the_code),
        TEST(test_facility__names__are_those_of_syslog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
