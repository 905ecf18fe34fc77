/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/check_internal.h"
#include "module/error.h"

static void raise_durable(struct syncq_check *check, uint64_t durable_lsn)
{
    if (durable_lsn > check->durable_lsn)
        check->durable_lsn = durable_lsn;
}

/*
 * What is known of the head before anything is read.  The channel's word holds
 * even when its helper is dead: it is of this boot.
 */
static void find_durable(struct syncq_check *check)
{
    struct syncq_channel *channel = check->queue->handle.channel;
    struct syncq_checkpoint checkpoint;

    if (channel != NULL)
        raise_durable(check, atomic_load(&channel->durable_lsn));
    if (check->report->latched)
        raise_durable(check, check->report->latched_lsn);
    if (check->report->index_error == 0 &&
        syncq_index_read_checkpoint(&check->queue->index, &checkpoint) == 0)
        raise_durable(check, checkpoint.durable_lsn);
}

static void find_holes(struct syncq_check *check)
{
    const struct syncq_data *data = &check->queue->data;
    off_t hole = lseek(data->fd, 0, SEEK_HOLE);

    if (hole < 0 || (uint64_t)hole >= data->file_size)
        return;
    check->report->has_holes = 1;
    check->report->hole_offset = (uint64_t)hole;
}

static int open_queue(const char *directory, const char *run_directory,
                      struct syncq_check *check)
{
    struct syncq_check_report *report = check->report;
    int latch, result = syncq_queue_open_files(directory, run_directory, 0,
                                               &check->queue);
    struct syncq_queue *queue = check->queue;

    if (result != 0)
        return result;
    latch = syncq_latch_read(queue->directory_fd, &report->latched_lsn);
    report->index_latched = latch == SYNCQ_ERR_INDEX;
    report->latched = latch != 0 && !report->index_latched;
    report->index_error = syncq_index_open(queue->directory_fd, 0,
                                           queue->key.uuid, &queue->index);
    if (report->index_error == SYNCQ_ERR_NO_QUEUE)
        report->index_error = SYNCQ_ERR_INDEX;
    /* A list that cannot be read only means that all is new. */
    (void)syncq_damage_list_read(queue->directory_fd, &check->known);
    /* Without a helper there is no channel, and that is fine. */
    (void)syncq_channel_attach(run_directory, 0, queue->key.uuid,
                               &queue->handle);
    report->online = syncq_helper_running(queue);
    result =
        syncq_log_reader_init(&check->reader, queue->data.fd, !report->online);
    report->direct = check->reader.direct;
    return result;
}

static void tell_progress(uint64_t offset, void *context)
{
    struct syncq_check *check = context;
    uint64_t total = check->queue->data.file_size;

    /* The data file is nearly all of the work; the index is its end. */
    if (check->visitor->progress != NULL)
        check->visitor->progress(offset, total + total / 64,
                                 check->visitor->context);
}

int syncq_check(const char *directory, const char *run_directory,
                const struct syncq_check_visitor *visitor,
                struct syncq_check_report *report)
{
    struct syncq_check check = {
        .visitor = visitor, .report = report, .reader = {.fd = -1}};
    int result;

    memset(report, 0, sizeof *report);
    result = open_queue(directory, run_directory, &check);
    if (result == 0) {
        check.reader.progress = tell_progress;
        check.reader.context = &check;
        find_durable(&check);
        find_holes(&check);
        result = syncq_check_log(&check);
    }
    if (result == 0 && report->index_error == 0)
        result = syncq_check_index(&check);
    if (result == 0 && visitor->progress != NULL)
        visitor->progress(1, 1, visitor->context);
    report->read_size = check.reader.read_size;
    report->unreadable_size = check.reader.bad_count * SYNCQ_PAGE_SIZE;
    syncq_log_reader_clear(&check.reader);
    syncq_damage_list_clear(&check.known);
    syncq_queue_close(check.queue);
    free(check.gaps);
    return result;
}

int syncq_check_is_good(const struct syncq_check_report *report)
{
    return report->damage_count == 0 && report->superblocks_damaged == 0 &&
           report->pages_damaged == 0 && !report->has_holes &&
           report->index_error == 0 && report->entries_damaged == 0 &&
           report->parts_lost == 0 && !report->latched &&
           !report->index_latched;
}
