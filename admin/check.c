/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "admin/command.h"
#include "admin/progress.h"
#include "module/check.h"
#include "module/error.h"
#include "module/listing.h"

#define LINES_MAX 100 /* of one kind; the rest is only counted */

struct printer {
    struct progress progress;
    unsigned damage_lines, entry_lines;
};

static void print_damage(const struct syncq_damage *damage, void *context)
{
    struct printer *printer = context;

    progress_clear(&printer->progress);
    if (printer->damage_lines++ < LINES_MAX)
        printf("damaged: %" PRIu64 " bytes at LSN %" PRIu64
               ", file offset %" PRIu64 "\n",
               damage->size, damage->lsn, damage->offset);
}

static void print_page(uint32_t segment, void *context)
{
    struct printer *printer = context;

    progress_clear(&printer->progress);
    printf("damaged: both pages of segment %" PRIu32 "\n", segment);
}

static void print_entry(uint32_t slot, uint64_t sequence, uint32_t part,
                        int error, void *context)
{
    struct printer *printer = context;
    char text[32];

    progress_clear(&printer->progress);
    if (printer->entry_lines++ >= LINES_MAX)
        return;
    if (error == SYNCQ_ERR_BAD_ENTRY) {
        printf("damaged: entry %" PRIu32 " of the index\n", slot);
        return;
    }
    syncq_sequence_text(sequence, text);
    printf("lost: message %s, part %" PRIu32 ": %s\n", text, part,
           syncq_strerror(error));
}

static void print_progress(uint64_t done, uint64_t total, void *context)
{
    struct printer *printer = context;

    progress_update(done, total, &printer->progress);
}

static void print_counts(const struct syncq_check_report *report)
{
    printf("%" PRIu64 " messages, %" PRIu64 " marks records, %" PRIu64
           " void records, %" PRIu64 " MiB read\n",
           report->messages, report->marks, report->voids,
           report->scanned_size >> 20);
    if (report->index_error)
        printf("damaged: the index: %s; the sync helper makes a new one from "
               "the data file when it starts\n",
               syncq_strerror(report->index_error));
    else
        printf("%" PRIu64 " entries of the index in use\n",
               report->entries_used);
    if (report->latched)
        printf("FAILED: a sync failed at LSN %" PRIu64 "; see 'syncq status'\n",
               report->latched_lsn);
}

static void print_verdict(const struct syncq_check_report *report)
{
    if (syncq_check_is_good(report))
        printf("verdict: no damage\n");
    else if (report->damage_count || report->parts_lost)
        printf("verdict: DAMAGED: %" PRIu64 " places of %" PRIu64
               " bytes in the log, %" PRIu64 " parts of messages lost\n",
               report->damage_count, report->damage_size, report->parts_lost);
    else
        printf("verdict: NOT WELL: see above; no message is lost\n");
}

static int read_options(const struct command *command, int argc, char **argv)
{
    static const struct option known[] = {
        {"repair", no_argument, NULL, 'r'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        command_error(command, "--repair is not available in this version");
        return EX_UNAVAILABLE;
    }
    return command_no_arguments(command, argc, argv);
}

int verb_check(const struct command *command, int argc, char **argv)
{
    const char *directory = command->config->queue_directory;
    struct printer printer = {0};
    struct syncq_check_visitor visitor = {
        .damage = print_damage,
        .page = print_page,
        .entry = print_entry,
        .progress = print_progress,
        .context = &printer,
    };
    struct syncq_check_report report;
    int result;

    result = read_options(command, argc, argv);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = command_become_owner(command);
    if (result)
        return result;
    progress_init(&printer.progress, "checking");
    result = syncq_check(directory, command->config->run_directory, &visitor,
                         &report);
    progress_clear(&printer.progress);
    if (result)
        return command_failure(command, directory, result);
    print_counts(&report);
    print_verdict(&report);
    return syncq_check_is_good(&report) ? 0 : EX_DATAERR;
}
