/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "program/config.h"
#include "tests/temporary.h"

struct fixture {
    char *folder;
    char path[1000];
    struct config config;
    char error[500];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    if (!fixture)
        return -1;
    fixture->folder = temporary_make();
    if (!fixture->folder)
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/syncq.conf",
             fixture->folder);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    config_clear(&fixture->config);
    temporary_remove(fixture->folder);
    free(fixture);
    return 0;
}

static int read_bytes(struct fixture *fixture, const char *text, size_t size)
{
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    config_clear(&fixture->config);
    return config_read(fixture->path, &fixture->config, fixture->error,
                       sizeof(fixture->error));
}

static int read_text(struct fixture *fixture, const char *text)
{
    return read_bytes(fixture, text, strlen(text));
}

/* The text is refused with this line number and these words. */
static void assert_refused(struct fixture *fixture, const char *text,
                           unsigned line, const char *words)
{
    char place[1100];

    assert_result(read_text(fixture, text), EX_CONFIG);
    snprintf(place, sizeof(place), "%s:%u: ", fixture->path, line);
    assert_memory_equal(fixture->error, place, strlen(place));
    assert_non_null(strstr(fixture->error, words));
    assert_null(strchr(fixture->error, '\n'));
    assert_null(fixture->config.queue_directory);
}

static void test_read__empty_file__has_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    const struct config *config = &fixture->config;

    assert_result(read_text(fixture, ""), 0);
    assert_string_equal(config->queue_directory, "/var/lib/syncq");
    assert_string_equal(config->run_directory, "/run/syncq");
    assert_string_equal(config->mail_owner, "postfix");
    assert_string_equal(config->syslog_name, "syncq");
    assert_string_equal(config->syslog_facility, "mail");
    assert_int_equal(config->batch_bytes_max, 8 << 20);
    assert_int_equal(config->batch_requests_max, 1024);
    assert_int_equal(config->gather_time_max_us, 10000);
    assert_int_equal(config->idle_time_max_us, 1000);
    assert_int_equal(config->gap_max, 1 << 20);
    assert_int_equal(config->index_sync_interval_ms, 10000);
    assert_int_equal(config->hold_lock_for_receipt, 0);
    assert_string_equal(config->milter_socket, "");
    assert_string_equal(config->postfix_queue_directory, "/var/spool/postfix");
    assert_string_equal(config->capture_source, "queue_file");
    assert_int_equal(config->capture, CONFIG_CAPTURE_ON);
    assert_int_equal(config->when_unavailable, CONFIG_UNAVAILABLE_ACCEPT);
    assert_int_equal(config->confirm_timeout_ms, 60000);
    assert_int_equal(config->marks_interval_ms, 1000);
    assert_string_equal(config->hold_policy, "none");
    assert_int_equal(config->allow_any_filesystem, 0);
}

static void test_read__comments_and_continuations__as_in_main_cf(void **state)
{
    struct fixture *fixture = *state;

    assert_result(read_text(fixture, "# comment\n"
                                     "\n"
                                     "  # indented comment\n"
                                     "queue_directory =\n"
                                     "# between\n"
                                     "\n"
                                     "\t/var/my queue\n"
                                     "gap_max=2M\r\n"
                                     "gap_max = 64k\n"
                                     "capture = observe   \n"
                                     "when_unavailable = tempfail\n"
                                     "hold_lock_for_receipt = yes\n"
                                     "hold_policy = filter"),
                  0);
    assert_string_equal(fixture->config.queue_directory, "/var/my queue");
    assert_int_equal(fixture->config.gap_max, 64 << 10);
    assert_int_equal(fixture->config.capture, CONFIG_CAPTURE_OBSERVE);
    assert_int_equal(fixture->config.when_unavailable,
                     CONFIG_UNAVAILABLE_TEMPFAIL);
    assert_int_equal(fixture->config.hold_lock_for_receipt, 1);
    assert_string_equal(fixture->config.hold_policy, "filter");
}

static void test_read__unknown_name__says_where(void **state)
{
    assert_refused(*state, "gap_max = 1M\n# x\nqueue_dir = /x\n", 3,
                   "unknown parameter queue_dir");
    assert_refused(*state, " = x", 1, "there is none");
    assert_refused(*state, "= x", 1, "unknown parameter");
}

static void test_read__bad_line__says_where(void **state)
{
    struct fixture *fixture = *state;

    assert_refused(fixture, "gap_max\n", 1, "expected name = value");
    assert_refused(fixture, "\n  gap_max = 1M\n", 2, "there is none");
    /* Of a setting over several lines, the first one counts. */
    assert_refused(fixture, "\ngap_max =\n  1\n  M\n\ncapture = on", 2,
                   "gap_max");
    assert_result(read_bytes(fixture, "gap_max = 1\0M\n", 14), EX_CONFIG);
    assert_non_null(strstr(fixture->error, ":1: a NUL byte"));
}

static void test_read__endless_setting__is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *text = malloc(70000);

    memset(text, ' ', 70000);
    memcpy(text, "mail_owner = x", 14);
    memset(text + 15, 'x', 69000);
    text[69015] = 0;
    assert_result(read_text(fixture, text), EX_CONFIG);
    assert_non_null(strstr(fixture->error, ":1: the setting is too long"));
    free(text);
}

static void test_read__no_such_file__is_noinput(void **state)
{
    struct fixture *fixture = *state;

    assert_result(config_read(fixture->path, &fixture->config, fixture->error,
                              sizeof(fixture->error)),
                  EX_NOINPUT);
    assert_non_null(strstr(fixture->error, fixture->path));
    assert_result(config_read(fixture->folder, &fixture->config, fixture->error,
                              sizeof(fixture->error)),
                  EX_NOINPUT);
}

static int set(struct fixture *fixture, const char *name, const char *value)
{
    return config_set(&fixture->config, name, value, fixture->error,
                      sizeof(fixture->error));
}

static void test_set__times__need_a_unit(void **state)
{
    static const struct {
        const char *value;
        uint64_t us;
    } good[] = {{"0", 0},      {"0s", 0},         {"500us", 500},
                {"5ms", 5000}, {"10s", 10000000}, {"1s", 1000000}};
    static const char *const bad[] = {"10",
                                      "10 ms",
                                      "-1s",
                                      "1.5s",
                                      "ms",
                                      "",
                                      "10sec",
                                      "11s",
                                      "1h",
                                      "+1s",
                                      "99999999999999999999s",
                                      "9999999999999999999h"};
    struct fixture *fixture = *state;
    size_t i;

    assert_result(read_text(fixture, ""), 0);
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_result(set(fixture, "gather_time_max", good[i].value), 0);
        assert_int_equal(fixture->config.gather_time_max_us, good[i].us);
    }
    assert_result(set(fixture, "gather_time_max", "7ms"), 0);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_result(set(fixture, "gather_time_max", bad[i]), EX_CONFIG);
    assert_int_equal(fixture->config.gather_time_max_us, 7000);

    assert_result(set(fixture, "confirm_timeout", "1m"), 0);
    assert_int_equal(fixture->config.confirm_timeout_ms, 60000);
    assert_result(set(fixture, "confirm_timeout", "1h"), 0);
    assert_int_equal(fixture->config.confirm_timeout_ms, 3600000);
    assert_result(set(fixture, "confirm_timeout", "10500us"), EX_CONFIG);
    assert_non_null(strstr(fixture->error, "whole milliseconds"));
    assert_result(set(fixture, "confirm_timeout", "0"), EX_CONFIG);
    assert_non_null(strstr(fixture->error, "too small"));
    assert_result(set(fixture, "confirm_timeout", "1d"), EX_CONFIG);
    assert_non_null(strstr(fixture->error, "too large"));
}

static void test_set__sizes__take_k_m_g(void **state)
{
    static const struct {
        const char *value;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"64k", 65536},
                {"64K", 65536},
                {"3M", UINT64_C(3) << 20},
                {"4G", UINT64_C(4) << 30}};
    static const char *const bad[] = {"5G", "1x",  "M",   "-1",
                                      "",   "1 M", "1kB", "99999999999G"};
    struct fixture *fixture = *state;
    size_t i;

    assert_result(read_text(fixture, ""), 0);
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_result(set(fixture, "gap_max", good[i].value), 0);
        assert_int_equal(fixture->config.gap_max, good[i].bytes);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_result(set(fixture, "gap_max", bad[i]), EX_CONFIG);
    assert_result(set(fixture, "batch_requests_max", "1025"), EX_CONFIG);
    assert_result(set(fixture, "batch_requests_max", "0"), EX_CONFIG);
    assert_result(set(fixture, "batch_requests_max", "1k"), EX_CONFIG);
    assert_result(set(fixture, "batch_requests_max", "17"), 0);
    assert_int_equal(fixture->config.batch_requests_max, 17);
}

static void test_set__bad_words__are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"capture", "maybe"},
        {"capture", ""},
        {"capture", "on observe"},
        {"when_unavailable", "reject"},
        {"hold_lock_for_receipt", "true"},
        {"capture_source", "stream"},
        {"hold_policy", "some"},
        {"syslog_facility", "email"},
        {"queue_directory", "relative/path"},
        {"queue_directory", ""},
        {"mail_owner", ""},
        {"milter_socket", "8891"},
        {"milter_socket", "unix:relative"},
        {"nonsense", "x"},
    };
    struct fixture *fixture = *state;
    size_t i;

    assert_result(read_text(fixture, ""), 0);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_result(set(fixture, bad[i][0], bad[i][1]), EX_CONFIG);
    assert_result(set(fixture, "capture", "maybe"), EX_CONFIG);
    assert_string_equal(fixture->error,
                        "capture = maybe: expected one of: on observe off");
    assert_result(set(fixture, "milter_socket", "inet:8891@127.0.0.1"), 0);
    assert_result(set(fixture, "milter_socket", "unix:/run/x"), 0);
    assert_result(set(fixture, "milter_socket", ""), 0);
    assert_result(set(fixture, "capture", "off"), 0);
    assert_int_equal(fixture->config.capture, CONFIG_CAPTURE_OFF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read__empty_file__has_the_defaults),
        TEST(test_read__comments_and_continuations__as_in_main_cf),
        TEST(test_read__unknown_name__says_where),
        TEST(test_read__bad_line__says_where),
        TEST(test_read__endless_setting__is_refused),
        TEST(test_read__no_such_file__is_noinput),
        TEST(test_set__times__need_a_unit),
        TEST(test_set__sizes__take_k_m_g),
        TEST(test_set__bad_words__are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
