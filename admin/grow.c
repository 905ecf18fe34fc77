/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/progress.h"
#include "admin/size.h"
#include "module/error.h"
#include "module/grow.h"

static int read_options(const struct command *command, int argc, char **argv,
                        struct syncq_grow_options *options)
{
    static const struct option known[] = {
        {"size", required_argument, NULL, 's'},
        {"entries", required_argument, NULL, 'n'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code = 0, result = 0;

    while (!result && (option = command_option(command, argc, argv, known,
                                               &exit_code)) != -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        if (option == 's')
            result = size_read(command, "size", optarg, &options->size);
        else
            result = entry_count_read(command, "entries", optarg,
                                      &options->entry_count);
    }
    if (!result)
        result = command_no_arguments(command, argc, argv);
    if (result || options->size || options->entry_count)
        return result;
    command_error(command, "how large? try 'syncq grow --help'");
    return EX_USAGE;
}

/* What would have been possible. */
static int refuse_range(const struct command *command,
                        const struct syncq_grow_report *report)
{
    uint64_t segment = report->segment_size >> 20;

    command_error(command,
                  "%s: has %" PRIu64 "M (%" PRIu32 " segments of %" PRIu64
                  "M) and %" PRIu32 " entries, and can only become larger, up "
                  "to %" PRIu64 "M and %" PRIu32 " entries",
                  command->config->queue_directory,
                  segment * report->segment_count, report->segment_count,
                  segment, report->entry_count,
                  segment * SYNCQ_SEGMENT_COUNT_MAX, SYNCQ_ENTRY_COUNT_MAX);
    return EX_USAGE;
}

static int refuse_space(const struct command *command,
                        const struct syncq_grow_report *report)
{
    command_error(command,
                  "%s: %s: %" PRIu64 " bytes are needed, %" PRIu64 " are free",
                  command->config->queue_directory, strerror(ENOSPC),
                  report->needed_size, report->available_size);
    return EX_CANTCREAT;
}

static int grow_queue(const struct command *command,
                      struct syncq_grow_options *options,
                      struct syncq_grow_report *report)
{
    const struct config *config = command->config;
    struct progress progress;
    int result;

    progress_init(&progress, "growing");
    options->progress = progress_update;
    options->context = &progress;
    options->allow_any_filesystem = config->allow_any_filesystem;
    result = syncq_queue_grow(config->queue_directory, config->run_directory,
                              options, report);
    progress_clear(&progress);
    if (result == SYNCQ_ERR_RANGE && report->segment_count)
        return refuse_range(command, report);
    if (result == ENOSPC && report->needed_size > report->available_size)
        return refuse_space(command, report);
    return result ? command_failure(command, config->queue_directory, result)
                  : 0;
}

int verb_grow(const struct command *command, int argc, char **argv)
{
    struct syncq_grow_options options = {0};
    struct syncq_grow_report report;
    int result;

    result = read_options(command, argc, argv, &options);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = command_become_owner(command);
    if (!result)
        result = grow_queue(command, &options, &report);
    if (!result && isatty(STDOUT_FILENO))
        printf("%s has %" PRIu64 "M and %" PRIu32 " entries now.\n",
               command->config->queue_directory,
               (report.segment_size >> 20) * report.segment_count_new,
               report.entry_count_new);
    return result;
}
