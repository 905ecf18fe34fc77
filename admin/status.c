/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/command.h"
#include "admin/json.h"
#include "admin/status.h"
#include "module/entry.h"
#include "module/error.h"
#include "module/running.h"

#define MISSING                                                                \
    "this queue file was in use and is not drained, but neither queue_files "  \
    "nor drain_files has it; its mail waits"

#define FAILED_ADVICE                                                          \
    "a sync failed: the disk may have lost what was last written to it. New "  \
    "mail is not taken here; what is queued is still delivered. Repair the "   \
    "disk, stop syncq, and run 'syncq check --repair'"

static void count_parts(struct syncq_queue *queue, struct status *status)
{
    struct syncq_entry_view entry;
    uint32_t slot, count = syncq_entry_count(queue);

    for (slot = 0; slot < count; slot++)
        if (!syncq_entry_read(queue, slot, &entry) &&
            entry.state.status < STATUS_COUNT)
            status->parts[entry.state.status]++;
}

static int read_queue(struct syncq_queue *queue, struct status *status)
{
    int result = syncq_queue_status(queue, &status->queue);

    if (result)
        return result;
    status->helper = syncq_running_helper(queue);
    status->statistics_error =
        syncq_statistics_read(queue, &status->statistics);
    /* The gate is in the channel: without one there is nothing to ask. */
    if (!status->statistics_error)
        status->gate_open = syncq_gate_get(queue, status->gate);
    count_parts(queue, status);
    /* A list that cannot be read says nothing; 'syncq check' reads it all. */
    (void)syncq_damage_summary(queue, &status->damage);
    return status_space_read(queue, status);
}

static void add_trouble(struct status *status, int is_so, const char *text)
{
    if (is_so && status->trouble_count < STATUS_TROUBLES_MAX)
        status->troubles[status->trouble_count++] = text;
}

static void find_troubles(struct status *status)
{
    const struct syncq_queue_status *queue = &status->queue;

    add_trouble(status, queue->latched, "a sync failed; no mail is taken");
    /* One segment is kept, so that what is there can leave. */
    add_trouble(status,
                syncq_space_free(&status->space) <
                    status->space.segment_room / 4,
                "the queue is full: no segment is left for mail");
    add_trouble(status, !queue->entries_free,
                "the queue is full: no entry is left");
    add_trouble(status,
                syncq_space_used_percent(&status->space) >= 95 ||
                    syncq_space_entries_used_percent(&status->space) >= 95,
                "mail that cannot be delivered takes nearly all space");
    add_trouble(status, status->parts[SYNCQ_STATUS_LOST] > 0,
                "mail is lost, see 'syncq check'");
    add_trouble(status, status->damage.found_count > 0,
                "confirmed data is damaged, see 'syncq check'");
    if (status->helper == SYNCQ_ERR_LATCHED)
        add_trouble(status, !queue->latched, syncq_strerror(status->helper));
    else
        add_trouble(status, status->helper, syncq_strerror(status->helper));
    add_trouble(status, status->manager, "the queue manager is not running");
    add_trouble(status,
                !status->manager && !status->statistics_error &&
                    !status->gate_open,
                "captures are refused");
}

static int read_options(const struct command *command, int argc, char **argv,
                        int *as_json)
{
    static const struct option known[] = {
        {"json", no_argument, NULL, 'j'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        *as_json = 1;
    }
    return command_no_arguments(command, argc, argv);
}

static const char *helper_text(int helper)
{
    switch (helper) {
    case 0:
        return "running";
    case SYNCQ_ERR_NO_HELPER:
        return "not running";
    case SYNCQ_ERR_DETACHED:
        return "restarting";
    case SYNCQ_ERR_RECOVERING:
        return "reading the queue";
    case SYNCQ_ERR_LATCHED:
        return "running, but takes no mail";
    default:
        return syncq_strerror(helper);
    }
}

static void print_captures(const struct status *status)
{
    if (status->statistics_error)
        return;
    if (status->gate_open)
        printf("captures:       on\n");
    else
        printf("captures:       refused: %s\n", status->gate);
}

static void print_damage(const struct syncq_damage_summary *damage)
{
    if (damage->found_count)
        printf("DAMAGED:        %" PRIu64 " places of %" PRIu64
               " bytes; everything else goes on\n",
               damage->found_count, damage->found_size);
    if (damage->repaired_count)
        printf("repaired:       %" PRIu64 " places of %" PRIu64 " bytes\n",
               damage->repaired_count, damage->repaired_size);
}

static void print_parts(const struct status *status)
{
    const char *separator = "";
    int i;

    printf("parts:          ");
    for (i = SYNCQ_STATUS_NEW; i < STATUS_COUNT; i++) {
        if (!status->parts[i])
            continue;
        printf("%s%" PRIu64 " %s", separator, status->parts[i],
               syncq_status_name((unsigned)i));
        separator = ", ";
    }
    printf("%s\n", *separator ? "" : "none");
}

uint64_t status_live_count(const struct status *status)
{
    uint64_t count = 0;
    unsigned i;

    for (i = SYNCQ_STATUS_NEW; i < STATUS_COUNT; i++)
        if (!syncq_status_is_final(i))
            count += status->parts[i];
    return count;
}

static void print_drain(const struct status *status)
{
    uint64_t live = status_live_count(status);

    if (!status->drain)
        return;
    if (!live && !status->trouble_count)
        printf("draining:       drained: may be removed\n");
    else
        printf("draining:       %" PRIu64 " parts left\n", live);
}

static void print_times(const char *name,
                        const struct syncq_histogram *histogram)
{
    printf("%-15s p50 %.3f ms, p99 %.3f ms\n", name,
           (double)syncq_histogram_quantile(histogram, 0.5) / 1e3,
           (double)syncq_histogram_quantile(histogram, 0.99) / 1e3);
}

static void print_statistics(const struct status *status)
{
    const struct syncq_statistics *statistics = &status->statistics;

    if (status->statistics_error)
        return;
    printf("accepted:       %" PRIu64 " records, %" PRIu64 " bytes\n"
           "batches:        %" PRIu64 ", %.1f records each\n",
           statistics->appends, statistics->append_bytes, statistics->batches,
           status_batch_mean(statistics));
    if (statistics->copies)
        printf("moved:          %" PRIu64 " records, %" PRIu64 " bytes\n",
               statistics->copies, statistics->copied_size);
    if (statistics->failed)
        printf("refused:        %" PRIu64 " records\n", statistics->failed);
    if (statistics->batches)
        print_times("sync time:", &statistics->sync_us);
    if (statistics->appends)
        print_times("confirm time:", &statistics->confirm_us);
}

static void print_text(const struct status *status)
{
    const struct syncq_queue_status *queue = &status->queue;
    int i;

    printf("queue:          %s\n", status->directory);
    if (status->error)
        goto out;
    if (queue->latched)
        printf("FAILED:         at LSN %" PRIu64 ": %s\n", queue->latched_lsn,
               FAILED_ADVICE);
    printf("sync helper:    %s\n", helper_text(status->helper));
    printf("queue manager:  %s\n", !status->manager ? "running"
                                   : status->manager == ESRCH
                                       ? "not running"
                                       : syncq_strerror(status->manager));
    print_captures(status);
    status_space_print(status);
    print_damage(&status->damage);
    print_parts(status);
    print_drain(status);
    print_statistics(status);
out:
    for (i = 0; i < status->trouble_count; i++)
        printf("NOT WELL:       %s\n", status->troubles[i]);
}

/* What is shown of all files. */
struct report {
    json_t *array; /* NULL: as text */
    unsigned count, not_well;
};

static int add_report(struct report *report, const struct status *status)
{
    if (report->array) {
        json_append(&report->array, status_json(status));
        if (!report->array)
            return ENOMEM;
    } else {
        if (report->count)
            putchar('\n');
        print_text(status);
    }
    report->count++;
    report->not_well += status->trouble_count > 0;
    return 0;
}

static void look(const struct command *command, const struct files_one *file,
                 struct status *status)
{
    struct syncq_queue *queue = NULL;

    memset(status, 0, sizeof(*status));
    status->directory = file->directory;
    status->drain = file->drain;
    status->error =
        command_open_file(command, file->directory, SYNCQ_OPEN_READ, &queue);
    if (!status->error)
        status->error = read_queue(queue, status);
    if (status->error) {
        add_trouble(status, 1, syncq_strerror(status->error));
    } else {
        status->manager = syncq_running_manager(file->directory);
        find_troubles(status);
        add_trouble(status, file->drain && !syncq_queue_draining(queue),
                    "the sync helper does not know that this file is to be "
                    "drained: send it SIGHUP");
    }
    syncq_queue_close(queue);
}

static int report_missing(const struct syncq_set_member *member, void *context)
{
    struct status status = {.directory = member->directory, .error = 1};

    add_trouble(&status, 1, MISSING);
    return add_report(context, &status);
}

static int report_files(const struct command *command, struct report *report,
                        struct status *status)
{
    const struct files *files = command->files;
    int result = 0;
    unsigned i;

    for (i = 0; i < files->count && !result; i++) {
        look(command, &files->list[i], status);
        if (status->error && files->count == 1)
            return command_failure(command, status->directory, status->error);
        result = add_report(report, status);
        status_space_clear(status);
    }
    if (!result)
        result = status_visit_missing(command, report_missing, report);
    return result ? command_failure(command, "status", result) : 0;
}

/* One object for one file, else an array of them. */
static int print_json(const struct command *command, struct report *report)
{
    int result;

    result = json_print(report->count == 1
                            ? json_incref(json_array_get(report->array, 0))
                            : json_incref(report->array));
    return result ? command_failure(command, "status", result) : 0;
}

int verb_status(const struct command *command, int argc, char **argv)
{
    struct report report = {0};
    struct status *status = NULL;
    int as_json = 0, result;

    result = read_options(command, argc, argv, &as_json);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = command_become_owner(command);
    if (result)
        return result;
    status = calloc(1, sizeof(*status));
    if (as_json)
        report.array = json_array();
    if (!status || (as_json && !report.array))
        result = command_failure(command, "status", ENOMEM);
    else
        result = report_files(command, &report, status);
    if (!result && as_json)
        result = print_json(command, &report);
    if (!result && report.not_well)
        result = EX_UNAVAILABLE;
    json_decref(report.array);
    free(status);
    return result;
}
