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

/* In one file, as its manager.  0 or an exit code. */
static int release_in(const struct command *command, const char *directory,
                      const struct release *release,
                      struct release_result *found)
{
    struct syncq_queue *queue = NULL;
    int manager_fd = -1, result;

    result = command_open_file(command, directory, SYNCQ_OPEN_WRITE, &queue);
    if (result)
        return command_failure(command, directory, result);
    result = syncq_manager_lock(directory, &manager_fd);
    if (result == SYNCQ_ERR_BUSY) {
        command_error(command,
                      "%s: the queue manager holds the queue but does "
                      "not answer on its control socket; try again",
                      directory);
        result = EX_TEMPFAIL;
        goto out;
    }
    if (!result)
        result = release_held(queue, release, found);
    if (result)
        result = command_failure(command, directory, result);
out:
    syncq_queue_close(queue);
    if (manager_fd >= 0)
        close(manager_fd);
    return result;
}

static int report_missing(const struct command *command, const char *id,
                          uint32_t unreadable)
{
    command_error(command, "%s: no held message has this id%s", id,
                  unreadable ? ", but some held messages cannot be "
                               "read; 'syncq check' tells more"
                             : "");
    return EX_NOINPUT;
}

/* The same ids, or all, in each file; an id has to be in one of them. */
static int release_once(const struct command *command,
                        const struct release *release, uint64_t *released)
{
    const char *missing = NULL;
    uint32_t unreadable = 0;
    int result = 0, code, is_missing = 1;
    unsigned i;

    for (i = 0; i < command->files->count; i++) {
        struct release_result found = {0};

        code = release_in(command, command->files->list[i].directory, release,
                          &found);
        if (code)
            result = code;
        *released += found.released;
        unreadable += found.unreadable;
        is_missing &= found.id_missing != NULL;
        if (found.id_missing)
            missing = found.id_missing;
    }
    return !result && missing && is_missing
               ? report_missing(command, missing, unreadable)
               : result;
}

/* Without a queue manager this process takes its place for a moment. */
static int release_here(const struct command *command,
                        const struct release *release)
{
    int count =
        release->all || command->files->count == 1 ? 1 : release->id_count;
    struct release one = *release;
    uint64_t released = 0;
    int result = command_become_owner(command), code, i;

    if (result)
        return result;
    for (i = 0; i < count; i++) {
        if (count > 1) {
            one.ids = release->ids + i;
            one.id_count = 1;
        }
        code = release_once(command, &one, &released);
        if (!result)
            result = code;
    }
    if (!result || result == EX_NOINPUT)
        printf("released %" PRIu64 "\n", released);
    return result;
}

int verb_release(const struct command *command, int argc, char **argv)
{
    struct release release = {0};
    int exit_code, result;

    release.timeout_ms = command->config->confirm_timeout_ms;
    if (command->chosen)
        release.directory = command->files->list[0].directory;
    result = read_options(command, argc, argv, &release);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    if (ask_manager(command, &release, &exit_code) == ESRCH)
        exit_code = release_here(command, &release);
    return exit_code;
}
