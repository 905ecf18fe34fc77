/* SPDX-License-Identifier: MIT */
#include "module/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/recovery_internal.h"

struct repair {
    struct syncq_queue *queue;
    const struct syncq_repair_visitor *visitor;
    struct syncq_repair_report *report;
};

static const uint8_t zeros[SYNCQ_PAGE_SIZE];

/* A hole reads as zeros; give it the blocks that it should have had. */
static int fill_holes(struct syncq_data *data)
{
    off_t size = (off_t)data->file_size;
    off_t at = lseek(data->fd, 0, SEEK_HOLE);
    int result = 0;

    while (at >= 0 && at < size && result == 0) {
        off_t end = lseek(data->fd, at, SEEK_DATA);

        if (end < 0 || end > size)
            end = size;
        for (; at < end && result == 0; at += (off_t)SYNCQ_PAGE_SIZE)
            result = syncq_file_write(data->fd, zeros, sizeof zeros, at);
        if (result == 0 && at < size)
            at = lseek(data->fd, at, SEEK_HOLE);
    }
    if (result == 0 && at < 0)
        result = errno;
    return result;
}

/* What the page cache holds and the disk does not is not to be believed. */
static int drop_cache(struct syncq_data *data)
{
    if (fsync(data->fd) != 0)
        return errno;
    return posix_fadvise(data->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/*
 * A page that holds nothing and cannot be read: most disks give a new sector
 * to what is written there.  The mapping must not meet it before that.
 */
static void renew_page(struct repair *repair, struct syncq_log_reader *reader,
                       uint64_t offset)
{
    int fd = repair->queue->data.fd;
    off_t at = (off_t)offset;

    syncq_log_reader_restart(reader); /* its window is borrowed */
    if (syncq_file_read(reader->fd, reader->window, SYNCQ_PAGE_SIZE, at) == 0)
        return;
    if (syncq_file_write(fd, zeros, sizeof zeros, at) == 0 &&
        fdatasync(fd) == 0 &&
        syncq_file_read(reader->fd, reader->window, SYNCQ_PAGE_SIZE, at) == 0)
        repair->report->zeroed_size += SYNCQ_PAGE_SIZE;
    else
        repair->report->unreadable_size += SYNCQ_PAGE_SIZE;
}

/* What lies between the pages of a free segment. */
static int renew_segment(struct repair *repair, struct syncq_log_reader *reader,
                         uint64_t start, uint64_t end)
{
    const uint8_t *bytes;
    int result = 0;

    syncq_log_reader_restart(reader);
    for (uint64_t at = start; at < end && result == 0; at += SYNCQ_PAGE_SIZE)
        result = syncq_log_reader_get(reader, at, SYNCQ_PAGE_SIZE, end, &bytes);
    for (size_t i = 0; i < reader->bad_count; i++)
        renew_page(repair, reader, reader->bad[i]);
    reader->bad_count = 0;
    return result;
}

static int renew_everything(struct repair *repair,
                            struct syncq_log_reader *reader)
{
    const struct syncq_data *data = &repair->queue->data;
    int result = 0;

    for (uint64_t at = 0; at < 2; at++)
        renew_page(repair, reader, at * SYNCQ_PAGE_SIZE);
    for (uint32_t i = 0; i < data->segment_count && result == 0; i++) {
        uint64_t start = syncq_data_segment_offset(data, i);
        uint64_t last = start + data->segment_size - SYNCQ_PAGE_SIZE;
        struct syncq_segment_page page;
        int is_free = syncq_data_read_segment_page(data, &repair->queue->key, i,
                                                   &page) == 0 &&
                      page.state == SYNCQ_SEGMENT_FREE;

        renew_page(repair, reader, start);
        renew_page(repair, reader, last);
        if (is_free)
            result =
                renew_segment(repair, reader, start + SYNCQ_PAGE_SIZE, last);
    }
    return result;
}

static int renew(struct repair *repair)
{
    struct syncq_log_reader reader;
    int result = syncq_log_reader_init(&reader, repair->queue->data.fd, 1);

    if (result == 0)
        result = renew_everything(repair, &reader);
    syncq_log_reader_clear(&reader);
    return result;
}

/* Recovery writes the pages of segments in use; the others are free. */
static int rewrite_free_page(struct repair *repair, uint32_t segment)
{
    struct syncq_queue *queue = repair->queue;
    struct syncq_segment_page page;
    uint64_t base_lsn;
    int result =
        syncq_data_read_segment_page(&queue->data, &queue->key, segment, &page);

    if (result == SYNCQ_ERR_BAD_RECORD) {
        result = syncq_log_find_base(queue, segment, &base_lsn);
        if (result != SYNCQ_ERR_BAD_RECORD)
            return result;
        page = (struct syncq_segment_page){.number = segment,
                                           .state = SYNCQ_SEGMENT_FREE};
        result = 0;
    }
    if (result != 0 || page.state != SYNCQ_SEGMENT_FREE)
        return result;
    return syncq_data_write_segment_page(&queue->data, &queue->key, &page);
}

static int rewrite_free_pages(struct repair *repair)
{
    uint32_t count = repair->queue->data.segment_count;
    int result = 0;

    for (uint32_t i = 0;
         i < count && result == 0 && repair->report->found.pages_damaged > 0;
         i++)
        result = rewrite_free_page(repair, i);
    return result;
}

static int rebuild(struct repair *repair)
{
    struct syncq_repair_report *report = repair->report;
    struct syncq_repair_plan plan = {
        .direct = 1,
        .latched = report->found.latched,
        .latched_lsn = report->found.latched_lsn,
        .old = {.fd = -1},
        .lost = repair->visitor->lost,
        .context = repair->visitor->check.context,
    };
    struct syncq_recovered recovered;
    int result =
        syncq_recover_as(repair->queue, &plan, &report->recovery, &recovered);

    syncq_index_close(&plan.old);
    return result;
}

static int clear_latch(struct repair *repair)
{
    struct syncq_repair_report *report = repair->report;
    int result;

    /* Only the disk's own bytes tell what a failed sync has left. */
    if (report->found.latched &&
        (!report->found.direct || report->unreadable_size > 0))
        return 0;
    if (report->was_latched) {
        result = syncq_latch_clear(repair->queue->directory_fd);
        if (result != 0)
            return result;
    }
    report->latch_cleared = 1;
    return 0;
}

static int run(struct repair *repair, const char *directory,
               const char *run_directory)
{
    struct syncq_queue *queue = repair->queue;
    struct syncq_repair_report *report = repair->report;
    int result = syncq_data_lock(&queue->data, 1);

    if (result == 0)
        result = syncq_data_reread_superblock(&queue->data, &queue->key);
    if (result == 0)
        result = fill_holes(&queue->data);
    if (result == 0)
        result = drop_cache(&queue->data);
    if (result == 0)
        result = syncq_check(directory, run_directory, &repair->visitor->check,
                             &report->found);
    report->was_latched = report->found.latched || report->found.index_latched;
    if (result == 0)
        result = renew(repair);
    if (result == 0)
        result = rebuild(repair);
    /* After it: until then they tell that mail may have been there. */
    if (result == 0)
        result = rewrite_free_pages(repair);
    return result == 0 ? clear_latch(repair) : result;
}

int syncq_repair(const char *directory, const char *run_directory,
                 const struct syncq_repair_visitor *visitor,
                 struct syncq_repair_report *report)
{
    struct repair repair = {.visitor = visitor, .report = report};
    int manager_fd = -1;
    int result = syncq_manager_lock(directory, &manager_fd);

    memset(report, 0, sizeof *report);
    if (result != 0)
        return result;
    result = syncq_queue_open_files(directory, run_directory, 1, &repair.queue);
    if (result == 0)
        result = run(&repair, directory, run_directory);
    syncq_queue_close(repair.queue);
    close(manager_fd);
    return result;
}
