/* SPDX-License-Identifier: MIT */
#include <sysexits.h>

#include "admin/check_report.h"
#include "admin/command.h"
#include "module/error.h"

struct check_options {
    int repair, as_json;
};

static int read_options(const struct command *command, int argc, char **argv,
                        struct check_options *options)
{
    static const struct option known[] = {
        {"repair", no_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        options->repair |= option == 'r';
        options->as_json |= option == 'j';
    }
    return command_no_arguments(command, argc, argv);
}

static int check(const struct command *command,
                 const struct check_options *options)
{
    const char *directory = command->config->queue_directory;
    struct check_printer printer;
    struct syncq_repair_visitor visitor;
    struct syncq_check_report report;
    int result;

    check_printer_init(&printer, options->as_json, "checking");
    visitor = check_printer_visitor(&printer);
    result = syncq_check(directory, command->config->run_directory,
                         &visitor.check, &report);
    if (!result)
        result = check_print(&printer, &report);
    else
        progress_clear(&printer.progress);
    if (result)
        return command_failure(command, directory, result);
    return syncq_check_is_good(&report) ? 0 : EX_DATAERR;
}

static int repair(const struct command *command,
                  const struct check_options *options)
{
    const char *directory = command->config->queue_directory;
    struct check_printer printer;
    struct syncq_repair_visitor visitor;
    struct syncq_repair_report report;
    int result;

    check_printer_init(&printer, options->as_json, "checking");
    visitor = check_printer_visitor(&printer);
    result = syncq_repair(directory, command->config->run_directory, &visitor,
                          &report);
    if (!result)
        result = check_print_repair(&printer, &report);
    else
        progress_clear(&printer.progress);
    if (result == SYNCQ_ERR_BUSY) {
        command_error(command,
                      "%s: the queue is in use; stop the queue manager, the "
                      "milter and the sync helper first",
                      directory);
        return EX_TEMPFAIL;
    }
    if (result)
        return command_failure(command, directory, result);
    if (!report.latch_cleared)
        return EX_IOERR;
    return check_repair_is_whole(&report) ? 0 : EX_DATAERR;
}

int verb_check(const struct command *command, int argc, char **argv)
{
    struct check_options options = {0};
    int result = read_options(command, argc, argv, &options);

    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = command_become_owner(command);
    if (result)
        return result;
    return options.repair ? repair(command, &options)
                          : check(command, &options);
}
