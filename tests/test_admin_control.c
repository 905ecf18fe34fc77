/* SPDX-License-Identifier: MIT */
#include "tests/cmocka_all.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"
#include "admin/release.h"
#include "tests/temporary.h"

/* A queue manager that answers one question with these bytes. */
struct manager {
    char *directory;
    int listen_fd;
    const char *answer;
    char question[4096];
    pthread_t thread;
};

static void *serve(void *context)
{
    struct manager *manager = context;
    int fd = accept(manager->listen_fd, NULL, NULL);
    size_t size = 0;
    ssize_t count;

    if (fd < 0)
        return NULL;
    while (!memchr(manager->question, '\n', size)) {
        count = read(fd, manager->question + size,
                     sizeof(manager->question) - 1 - size);
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    if (write(fd, manager->answer, strlen(manager->answer)) < 0)
        manager->question[0] = 0;
    close(fd);
    return NULL;
}

static void start(struct manager *manager, const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(manager, 0, sizeof(*manager));
    manager->answer = answer;
    manager->directory = temporary_make();
    assert_non_null(manager->directory);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/control",
             manager->directory);
    manager->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(manager->listen_fd >= 0);
    assert_int_equal(
        bind(manager->listen_fd, (struct sockaddr *)&address, sizeof(address)),
        0);
    if (!answer)
        return;
    assert_int_equal(listen(manager->listen_fd, 1), 0);
    assert_int_equal(pthread_create(&manager->thread, NULL, serve, manager), 0);
}

static void stop(struct manager *manager)
{
    if (manager->answer)
        pthread_join(manager->thread, NULL);
    close(manager->listen_fd);
    temporary_remove(manager->directory);
}

static json_t *request_all(void)
{
    const struct release release = {.all = 1};

    return release_request(&release);
}

static void test_ask__manager_answers__gives_the_object(void **state)
{
    struct manager manager;
    json_t *answer = NULL;

    (void)state;
    start(&manager, "{\"ok\":true,\"released\":7}\n");
    assert_result(control_ask(manager.directory, request_all(), &answer), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "released")),
                     7);
    json_decref(answer);
    stop(&manager);
    assert_string_equal(manager.question,
                        "{\"verb\":\"release\",\"all\":true}\n");
}

static void test_ask__ids__are_one_line(void **state)
{
    const char *const ids[] = {"4gWm", "a\nb\"c", "\xff"};
    const struct release release = {.ids = ids, .id_count = 3};
    struct manager manager;
    json_t *answer = NULL;

    (void)state;
    start(&manager, "{\"ok\":false,\"error\":\"no\"}");
    assert_result(
        control_ask(manager.directory, release_request(&release), &answer), 0);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
    stop(&manager);
    assert_string_equal(manager.question, "{\"verb\":\"release\",\"ids\":"
                                          "[\"4gWm\",\"a\\nb\\\"c\",\"?\"]}\n");
}

static void test_ask__answer_is_junk__is_a_protocol_error(void **state)
{
    static const char *const answers[] = {"", "\n", "[]\n", "{\"ok\":\n",
                                          "hello\n"};
    struct manager manager;
    json_t *answer = NULL;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        start(&manager, answers[i]);
        assert_result(control_ask(manager.directory, request_all(), &answer),
                      EPROTO);
        assert_null(answer);
        stop(&manager);
    }
}

static void test_ask__socket_without_listener__is_no_manager(void **state)
{
    struct manager manager;
    json_t *answer = NULL;

    (void)state;
    start(&manager, NULL);
    assert_result(control_ask(manager.directory, request_all(), &answer),
                  ESRCH);
    stop(&manager);
}

static void test_ask__no_socket__is_no_manager(void **state)
{
    char *directory = temporary_make();
    json_t *answer = NULL;

    (void)state;
    assert_non_null(directory);
    assert_result(control_ask(directory, request_all(), &answer), ESRCH);
    temporary_remove(directory);
}

static void test_ask__path_too_long__is_refused(void **state)
{
    char path[256];
    json_t *answer = NULL;

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    assert_result(control_ask(path, request_all(), &answer), ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask__manager_answers__gives_the_object),
        cmocka_unit_test(test_ask__ids__are_one_line),
        cmocka_unit_test(test_ask__answer_is_junk__is_a_protocol_error),
        cmocka_unit_test(test_ask__socket_without_listener__is_no_manager),
        cmocka_unit_test(test_ask__no_socket__is_no_manager),
        cmocka_unit_test(test_ask__path_too_long__is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
