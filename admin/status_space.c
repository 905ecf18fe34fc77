/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "admin/status.h"
#include "module/cleaner.h"

int status_space_read(struct syncq_queue *queue, struct status *status)
{
    struct syncq_space_sizes *sizes = NULL;
    int result = syncq_space_sizes_new(queue, &sizes);

    if (!result)
        result = syncq_space_read(queue, sizes, &status->space);
    syncq_space_sizes_free(sizes);
    if (result)
        return result;
    status->reclaimable = syncq_cleaner_reclaimable(&status->space);
    status->report_error = syncq_space_report_read(queue, &status->report);
    /* Without a channel nothing was refused. */
    (void)syncq_refusals_read(queue, status->refusals);
    return 0;
}

void status_space_clear(struct status *status)
{
    if (status)
        syncq_space_clear(&status->space);
}

static void print_time(uint64_t full_in_s)
{
    if (full_in_s == SYNCQ_FULL_UNKNOWN)
        printf("rate not known yet");
    else if (full_in_s == SYNCQ_FULL_NEVER)
        printf("not filling");
    else if (full_in_s >= 2 * 86400)
        printf("full in %" PRIu64 " days at this rate", full_in_s / 86400);
    else if (full_in_s >= 2 * 3600)
        printf("full in %" PRIu64 " hours at this rate", full_in_s / 3600);
    else
        printf("full in %" PRIu64 " minutes at this rate", full_in_s / 60);
}

static void print_use(const struct status *status, const char *what,
                      unsigned percent, uint64_t full_in_s, uint32_t alarm)
{
    printf("%-15s %u %% by mail in the queue", what, percent);
    if (!status->report_error) {
        printf(", ");
        print_time(full_in_s);
    }
    if (!status->report_error && alarm)
        printf(" (ALARM: above %" PRIu32 " %%)", alarm);
    printf("\n");
}

static void print_refusals(const struct status *status)
{
    const char *separator = "";
    int i;

    for (i = 0; i < SYNCQ_LIMIT_COUNT; i++) {
        if (!status->refusals[i])
            continue;
        printf("%s%" PRIu64 " for %s",
               *separator ? separator : "no room for:    ", status->refusals[i],
               syncq_limit_name((enum syncq_limit)i));
        separator = ", ";
    }
    if (*separator)
        printf("\n");
}

void status_space_print(const struct status *status)
{
    const struct syncq_space *space = &status->space;
    const struct syncq_space_report *report = &status->report;
    uint64_t free = syncq_space_free(space);

    printf("free space:     %" PRIu64 " bytes (%" PRIu64 " of %" PRIu64
           " MiB), %" PRIu32 " of %" PRIu32 " segments\n"
           "after cleaning: %" PRIu64 " bytes\n"
           "mail in it:     %" PRIu64 " bytes\n"
           "free entries:   %" PRIu32 " of %" PRIu32 "\n",
           free, free >> 20, syncq_space_size(space) >> 20,
           space->segments_free, space->segment_count,
           free + status->reclaimable, space->live_size, space->entries_free,
           space->entry_count);
    print_use(status, "space in use:", syncq_space_used_percent(space),
              report->bytes_full_in_s, report->bytes_alarm);
    print_use(status,
              "entries in use:", syncq_space_entries_used_percent(space),
              report->entries_full_in_s, report->entries_alarm);
    print_refusals(status);
}
