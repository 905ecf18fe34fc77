/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "module/read_ahead.h"
#include "module/queue_internal.h"
#include "module/record_format.h"

int syncq_queue_open_files(const char *directory, const char *run_directory,
                           int writable, struct syncq_queue **queue)
{
    struct syncq_queue *made = calloc(1, sizeof *made);
    int result;

    if (made == NULL)
        return ENOMEM;
    made->mode = writable ? SYNCQ_OPEN_WRITE : SYNCQ_OPEN_READ;
    made->directory_fd = made->data.fd = made->index.fd = -1;
    made->handle.fd = made->arrivals_fd = -1;
    made->run_directory = strdup(run_directory);
    result = made->run_directory == NULL
                 ? ENOMEM
                 : syncq_directory_open(directory, &made->directory_fd);
    if (result == 0 &&
        faccessat(made->directory_fd, SYNCQ_DATA_FILE, F_OK, 0) != 0)
        result = SYNCQ_ERR_NO_QUEUE;
    if (result == 0)
        result = syncq_key_load(made->directory_fd, &made->key);
    if (result == 0)
        result = syncq_data_open(made->directory_fd, writable, &made->key,
                                 &made->data);
    if (result != 0) {
        syncq_queue_close(made);
        return result;
    }
    *queue = made;
    return 0;
}

int syncq_queue_uuid(const char *directory, uint8_t uuid[SYNCQ_UUID_SIZE])
{
    struct syncq_queue *queue = NULL;
    int result = syncq_queue_open_files(directory, "", 0, &queue);

    if (result == 0)
        memcpy(uuid, queue->key.uuid, SYNCQ_UUID_SIZE);
    syncq_queue_close(queue);
    return result;
}

static int open_index(struct syncq_queue *queue)
{
    int result =
        syncq_index_open(queue->directory_fd, queue->mode == SYNCQ_OPEN_WRITE,
                         queue->key.uuid, &queue->index);

    return result == SYNCQ_ERR_NO_QUEUE ? SYNCQ_ERR_INDEX : result;
}

int syncq_queue_follow(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;
    int result = 0;

    if (channel != NULL)
        result = syncq_data_follow(&queue->data,
                                   atomic_load(&channel->segment_count));
    if (result == 0 && queue->index.map != NULL)
        result = syncq_index_follow(&queue->index);
    return result;
}

/*
 * Writers take the shared lock on the data file first and look at the channel
 * after it: recovery, which needs the lock alone, cannot start in between.
 */
static int join_channel(struct syncq_queue *queue)
{
    uint64_t latched_lsn;
    int result = syncq_data_lock(&queue->data, 0);

    if (result == SYNCQ_ERR_BUSY)
        result = SYNCQ_ERR_RECOVERING;
    if (result == 0)
        result = syncq_channel_attach(queue->run_directory, 1, queue->key.uuid,
                                      &queue->handle);
    if (result == 0 && !syncq_channel_helper_alive(&queue->handle))
        result = SYNCQ_ERR_NO_HELPER;
    if (result == 0)
        result = syncq_channel_usable(&queue->handle);
    if (result == SYNCQ_ERR_DETACHED)
        result = SYNCQ_ERR_NO_HELPER;
    if (result == SYNCQ_ERR_NO_HELPER &&
        syncq_latch_read(queue->directory_fd, &latched_lsn) ==
            SYNCQ_ERR_LATCHED)
        result = SYNCQ_ERR_LATCHED;
    /* Just grown: one of the two may be ahead. */
    if (result == 0)
        result = syncq_queue_follow(queue);
    if (result == 0)
        result = syncq_channel_register(&queue->handle);
    return result;
}

int syncq_queue_open(const char *directory, const char *run_directory,
                     enum syncq_open_mode mode, struct syncq_queue **queue)
{
    int writable = mode == SYNCQ_OPEN_WRITE;
    struct syncq_queue *made;
    int result =
        syncq_queue_open_files(directory, run_directory, writable, &made);

    if (result != 0)
        return result;
    if (writable) {
        result = join_channel(made);
        if (result == 0)
            result = open_index(made);
        if (result == 0)
            result = syncq_read_ahead_new(&made->data, &made->read_ahead);
    } else {
        result = open_index(made);
        /* Without a helper there is no channel, and that is fine. */
        (void)syncq_channel_attach(run_directory, 0, made->key.uuid,
                                   &made->handle);
    }
    if (result != 0) {
        syncq_queue_close(made);
        return result;
    }
    *queue = made;
    return 0;
}

void syncq_queue_close(struct syncq_queue *queue)
{
    if (queue == NULL)
        return;
    syncq_read_ahead_free(queue->read_ahead);
    if (queue->arrivals_fd >= 0)
        close(queue->arrivals_fd);
    syncq_index_close(&queue->index);
    syncq_data_close(&queue->data);
    syncq_channel_detach(&queue->handle);
    syncq_key_clear(&queue->key);
    if (queue->directory_fd >= 0)
        close(queue->directory_fd);
    free(queue->run_directory);
    free(queue);
}

int syncq_queue_usable(struct syncq_queue *queue)
{
    return syncq_channel_usable(&queue->handle);
}

int syncq_helper_running(struct syncq_queue *queue)
{
    return queue->handle.channel != NULL &&
           syncq_channel_helper_alive(&queue->handle);
}

int syncq_queue_draining(struct syncq_queue *queue)
{
    return queue->handle.channel != NULL &&
           atomic_load(&queue->handle.channel->draining) != 0;
}

/* A part whose states cannot be read may be alive, so it counts. */
uint64_t syncq_queue_live_count(struct syncq_queue *queue)
{
    const struct syncq_index *index = &queue->index;
    uint64_t count = 0;

    for (uint32_t slot = 0; slot < index->entry_count; slot++) {
        struct syncq_entry_view view = {.slot = slot};
        int result = syncq_index_read(index, slot, &view);

        count += result == 0 ? !syncq_status_is_final(view.state.status)
                             : view.state.status == SYNCQ_STATUS_LOST;
    }
    return count;
}

static uint32_t count_free_entries(struct syncq_queue *queue)
{
    uint32_t count = 0;

    if (queue->handle.channel != NULL)
        return queue->index.lists->free_count;
    for (uint32_t slot = 0; slot < queue->index.entry_count; slot++)
        count += queue->index.entries[slot].kind == SYNCQ_ENTRY_FREE;
    return count;
}

/* What is left of the segment that the head is in. */
static uint64_t head_free_size(struct syncq_queue *queue)
{
    struct syncq_channel *channel = queue->handle.channel;
    uint64_t head, base, end;
    uint32_t segment;

    if (channel == NULL)
        return 0;
    segment = channel->head_segment;
    head = channel->head_lsn;
    if (segment >= queue->data.segment_count)
        return 0;
    base = atomic_load(&channel->segments[segment].base_lsn);
    end = base + queue->data.segment_size - SYNCQ_PAGE_SIZE;
    return head >= base && head < end ? end - head : 0;
}

int syncq_queue_status(struct syncq_queue *queue,
                       struct syncq_queue_status *status)
{
    const struct syncq_data *data = &queue->data;
    struct syncq_channel *channel = queue->handle.channel;
    int result = syncq_queue_follow(queue);

    if (result != 0)
        return result;
    *status = (struct syncq_queue_status){
        .file_size = data->file_size,
        .segment_size = data->segment_size,
        .epoch = data->superblock.epoch,
        .segment_count = data->segment_count,
        .entry_count = queue->index.entry_count,
        .entries_free = count_free_entries(queue),
        .message_size_max =
            syncq_record_size_max(queue) - sizeof(struct syncq_record_header),
    };
    memcpy(status->uuid, queue->key.uuid, sizeof status->uuid);
    for (uint32_t i = 0; i < status->segment_count; i++) {
        uint64_t base;
        int prepared = channel != NULL && channel->next_segment == i;

        status->segments_free +=
            prepared || syncq_segment_base(queue, i, &base) != 0;
    }
    /* One is kept for the cleaner and for marks. */
    if (status->segments_free > 0)
        status->free_size =
            head_free_size(queue) +
            (status->segments_free - 1) * syncq_record_size_max(queue);
    status->latched =
        syncq_latch_read(queue->directory_fd, &status->latched_lsn) ==
        SYNCQ_ERR_LATCHED;
    return 0;
}

int syncq_manager_lock(const char *directory, int *fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int directory_fd = -1;
    int opened = -1;
    int result = syncq_directory_open(directory, &directory_fd);

    if (result != 0)
        return result;
    opened = openat(directory_fd, SYNCQ_MANAGER_FILE,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opened < 0)
        result = errno;
    else if (fcntl(opened, F_OFD_SETLK, &lock) != 0)
        result = errno == EAGAIN || errno == EACCES ? SYNCQ_ERR_BUSY : errno;
    close(directory_fd);
    if (result != 0) {
        if (opened >= 0)
            close(opened);
        return result;
    }
    *fd = opened;
    return 0;
}
