/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/control.h"
#include "admin/release.h"
#include "module/error.h"

static int read_options(const struct command *command, int argc, char **argv,
                        struct release *release)
{
    static const struct option known[] = {
        {"all", no_argument, NULL, 'a'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        release->all = 1;
    }
    release->ids = (const char *const *)(argv + optind);
    release->id_count = argc - optind;
    if (release->all ? !release->id_count : release->id_count > 0)
        return 0;
    command_error(command,
                  "expected either --all or IDs; try 'syncq release --help'");
    return EX_USAGE;
}

static int print_answer(const struct command *command,
                        const struct release *release, const json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_int_t released =
        json_integer_value(json_object_get(answer, "released"));

    if (!json_is_true(json_object_get(answer, "ok"))) {
        command_error(command, "the queue manager: %s",
                      error ? error : "it gave no reason");
        return EX_UNAVAILABLE;
    }
    printf("released %" JSON_INTEGER_FORMAT "\n", released);
    if (released || release->all)
        return 0;
    command_error(command, "%s: no held message has this id%s", release->ids[0],
                  release->id_count > 1 ? ", nor any of the others" : "");
    return EX_NOINPUT;
}

/* Ask the queue manager.  ESRCH: none answers on the socket. */
static int ask_manager(const struct command *command,
                       const struct release *release, int *exit_code)
{
    json_t *answer = NULL;
    int result;

    result = control_ask(command->config->run_directory,
                         release_request(release), &answer);
    if (result == ESRCH)
        return ESRCH;
    *exit_code = result ? command_failure(command, "the queue manager", result)
                        : print_answer(command, release, answer);
    json_decref(answer);
    return 0;
}

/* Without a queue manager this process takes its place for a moment. */
static int release_here(const struct command *command,
                        const struct release *release)
{
    const char *directory = command->config->queue_directory;
    struct syncq_queue *queue = NULL;
    struct release_result found = {0};
    int manager_fd = -1, result;

    result = command_open(command, SYNCQ_OPEN_WRITE, &queue);
    if (result)
        return result;
    result = syncq_manager_lock(directory, &manager_fd);
    if (result == SYNCQ_ERR_BUSY) {
        command_error(command,
                      "%s: the queue manager holds the queue but does "
                      "not answer on its control socket; try again",
                      directory);
        result = EX_TEMPFAIL;
        goto out;
    }
    if (result) {
        result = command_failure(command, directory, result);
        goto out;
    }
    result = release_held(queue, release, &found);
    if (result) {
        result = command_failure(command, directory, result);
        goto out;
    }
    printf("released %" PRIu64 "\n", found.released);
    if (found.id_missing) {
        command_error(command, "%s: no held message has this id%s",
                      found.id_missing,
                      found.unreadable ? ", but some held messages cannot be "
                                         "read; 'syncq check' tells more"
                                       : "");
        result = EX_NOINPUT;
    }
out:
    syncq_queue_close(queue);
    if (manager_fd >= 0)
        close(manager_fd);
    return result;
}

int verb_release(const struct command *command, int argc, char **argv)
{
    struct release release = {0};
    int exit_code, result;

    release.timeout_ms = command->config->confirm_timeout_ms;
    result = read_options(command, argc, argv, &release);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    if (ask_manager(command, &release, &exit_code) == ESRCH)
        exit_code = release_here(command, &release);
    return exit_code;
}
