/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/error.h"
#include "module/failpoint.h"
#include "module/filesystem.h"
#include "module/recovery_internal.h"
#include "module/reserve.h"
#include "program/log.h"
#include "sync-helper/helper.h"

enum { ATTACH_TRIES = 20, ATTACH_WAIT_US = 500000 };

void helper_load_page(struct helper *helper, uint32_t segment)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_segment_page *page = &helper->pages[segment];
    const struct syncq_channel_segment *known =
        &helper->channel->segments[segment];

    if (syncq_data_read_segment_page(&queue->data, &queue->key, segment,
                                     page) == 0)
        return;
    /* Damaged since the channel was made: what it knows still counts. */
    *page =
        (struct syncq_segment_page){.number = segment,
                                    .base_lsn = atomic_load(&known->base_lsn),
                                    .state = atomic_load(&known->state)};
    if (page->state == 0)
        page->state = SYNCQ_SEGMENT_FREE;
}

int helper_load_pages(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;

    helper->pages = calloc(SYNCQ_SEGMENT_COUNT_MAX, sizeof *helper->pages);
    if (helper->pages == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < queue->data.segment_count; i++)
        helper_load_page(helper, i);
    return 0;
}

static void fill_channel(struct helper *helper,
                         const struct syncq_recovered *recovered)
{
    struct syncq_channel *channel = helper->channel;

    channel->epoch = recovered->epoch;
    channel->segment_count = helper->queue->data.segment_count;
    channel->hold_lock_for_receipt =
        (uint32_t)helper->config->hold_lock_for_receipt;
    atomic_store(&channel->draining, (uint32_t)helper->drain);
    channel->head_lsn = recovered->head_lsn;
    channel->head_segment = recovered->head_segment;
    atomic_store(&channel->durable_lsn, recovered->durable_lsn);
    atomic_store(&channel->synced_lsn, recovered->durable_lsn);
    atomic_store(&channel->checkpoint, recovered->checkpoint);
    atomic_store(&channel->marks_lsn, recovered->marks_lsn);
    for (uint32_t i = 0; i < helper->queue->data.segment_count; i++) {
        atomic_store(&channel->segments[i].base_lsn, helper->pages[i].base_lsn);
        atomic_store(&channel->segments[i].state, helper->pages[i].state);
    }
}

int helper_reclaim_segments(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_channel *channel = helper->channel;
    int result = 0;

    for (uint32_t i = 0; i < helper->queue->data.segment_count && result == 0;
         i++) {
        struct syncq_segment_page *page = &helper->pages[i];
        int is_prepared;

        result = syncq_reserve_lock(queue);
        if (result != 0)
            return result;
        is_prepared =
            page->state == SYNCQ_SEGMENT_OPEN && i != channel->head_segment &&
            i != channel->next_segment &&
            atomic_load(&channel->segments[i].state) != SYNCQ_SEGMENT_CLOSED;
        syncq_reserve_unlock(queue);
        if (is_prepared) {
            /* On disk, too: nobody may miss records there later. */
            page->state = SYNCQ_SEGMENT_FREE;
            result =
                syncq_data_write_segment_page(&queue->data, &queue->key, page);
        }
        if (page->state == SYNCQ_SEGMENT_FREE)
            atomic_store(&channel->segments[i].state, SYNCQ_SEGMENT_FREE);
    }
    return result;
}

/* Nobody else has the data file mapped: recover it and make a new channel. */
static int start_anew(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    int result = syncq_channel_create(queue->run_directory, queue->key.uuid,
                                      &queue->handle);

    if (result != 0)
        return result;
    helper->channel = queue->handle.channel;
    result = syncq_data_reread_superblock(&queue->data, &queue->key);
    if (result == 0)
        result = syncq_recover(queue, &report, &recovered);
    if (result == 0)
        recovery_log(&report);
    if (result == 0)
        result = syncq_latch_clear(queue->directory_fd);
    SYNCQ_FAILPOINT("start.recovered");
    if (result == 0)
        result = helper_load_pages(helper);
    if (result != 0)
        return result;
    fill_channel(helper, &recovered);
    result = helper_reclaim_segments(helper);
    if (result == 0)
        result = keeper_prepare_segment(helper);
    if (result == 0)
        result = syncq_data_lock(&queue->data, 0);
    SYNCQ_FAILPOINT("start.locked");
    if (result == 0) {
        atomic_store(&helper->channel->state, SYNCQ_CHANNEL_OPEN);
        syncq_futex_wake(&helper->channel->state);
    }
    return result;
}

int helper_request_place(const struct helper *helper,
                         const struct syncq_request *request, uint64_t *offset)
{
    uint64_t end = helper->queue->data.segment_size - SYNCQ_PAGE_SIZE;
    uint64_t base;

    if (request->segment >= helper->queue->data.segment_count)
        return SYNCQ_ERR_RANGE;
    base = atomic_load(&helper->channel->segments[request->segment].base_lsn);
    if (request->lsn < base + SYNCQ_PAGE_SIZE || request->lsn - base >= end ||
        request->size > end - (request->lsn - base) || request->size == 0)
        return SYNCQ_ERR_RANGE;
    *offset = request->lsn - base;
    return 0;
}

/*
 * Alone: recover.  With writers around: take over their channel, or wait a
 * while for those to leave that hold on to one that was removed.
 */
static int join(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result = SYNCQ_ERR_BUSY;

    for (int i = 0; i < ATTACH_TRIES && !atomic_load(&helper->stop); i++) {
        result = syncq_data_lock(&queue->data, 1);
        if (result == 0)
            return start_anew(helper);
        if (result != SYNCQ_ERR_BUSY)
            return result;
        result = takeover_serve(helper);
        if (result != SYNCQ_ERR_NO_HELPER)
            return result;
        syncq_data_unlock(&queue->data);
        syncq_channel_detach(&queue->handle);
        (void)usleep(ATTACH_WAIT_US); /* nothing tells when a lock is freed */
    }
    return SYNCQ_ERR_BUSY;
}

static int exit_code(int error)
{
    switch (error) {
    case SYNCQ_ERR_NO_QUEUE:
    case SYNCQ_ERR_RUN_DIRECTORY:
        return EX_NOINPUT;
    case SYNCQ_ERR_OWNER:
    case SYNCQ_ERR_MODE:
        return EX_NOPERM;
    case SYNCQ_ERR_BUSY:
        return EX_TEMPFAIL;
    default:
        return error > 0 ? EX_OSERR : EX_DATAERR;
    }
}

static int check_queue(struct helper *helper)
{
    uint64_t latched_lsn;

    if (!helper->config->allow_any_filesystem) {
        int result = syncq_filesystem_check(helper->queue->data.fd);

        if (result != 0)
            return result;
    }
    return syncq_latch_read(helper->queue->directory_fd, &latched_lsn) ==
                   SYNCQ_ERR_LATCHED
               ? SYNCQ_ERR_LATCHED
               : 0;
}

int helper_open(struct helper *helper, const struct config *config)
{
    int result;

    helper->config = config;
    (void)pthread_mutex_init(&helper->lock, NULL);
    result = syncq_queue_open_files(config->queue_directory,
                                    config->run_directory, 1, &helper->queue);
    if (result == 0)
        result = check_queue(helper);
    if (result == 0)
        result = join(helper);
    if (result == 0)
        result = pthread_create(&helper->keeper, NULL, keeper_run, helper);
    if (result != 0) {
        log_error("queue %s: %s", config->queue_directory,
                  result == SYNCQ_ERR_BUSY
                      ? "another sync helper, or a writer of a channel that "
                        "was removed, holds it"
                      : syncq_strerror(result));
        syncq_queue_close(helper->queue);
        helper->queue = NULL;
        free(helper->pages);
        helper->pages = NULL;
        return exit_code(result);
    }
    log_info("ready: epoch=%" PRIu64 ", queue=%s", helper->channel->epoch,
             config->queue_directory);
    return 0;
}

/* A clean start does not settle entries, so none may be left in between. */
static int nothing_open(const struct helper *helper)
{
    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&helper->channel->states[i]);

        if (state != SYNCQ_REQUEST_FREE && state != SYNCQ_REQUEST_CONFCONF)
            return 0;
    }
    return 1;
}

/* Only when every writer has left can the stop be called clean. */
static int close_clean(struct helper *helper)
{
    struct syncq_queue *queue = helper->queue;
    int result;

    if (atomic_load(&helper->channel->state) != SYNCQ_CHANNEL_OPEN ||
        atomic_load(&helper->index_failed))
        return SYNCQ_ERR_LATCHED;
    result = syncq_data_lock(&queue->data, 1);
    if (result != 0)
        return result;
    writers_check(helper); /* the keeper's last look may be a while ago */
    if (atomic_load(&helper->channel->durable_lsn) !=
            helper->channel->head_lsn ||
        !nothing_open(helper))
        return SYNCQ_ERR_RANGE; /* a dead writer left a hole: recovery's */
    result = keeper_close_segments(helper);
    if (result == 0)
        result = checkpoint_write(helper, SYNCQ_CHECKPOINT_CLEAN);
    SYNCQ_FAILPOINT("close.checkpoint-written");
    /* An older index is then told by its checkpoint number. */
    queue->data.superblock.checkpoint =
        atomic_load(&helper->channel->checkpoint);
    if (result == 0)
        result = syncq_data_write_superblock(&queue->data, &queue->key);
    if (result == 0)
        atomic_store(&helper->channel->state, SYNCQ_CHANNEL_CLOSED);
    SYNCQ_FAILPOINT("close.closed");
    return result;
}

void helper_close(struct helper *helper)
{
    char path[4096];
    int result;

    keeper_wake(helper);
    (void)pthread_join(helper->keeper, NULL);
    result = close_clean(helper);
    if (result == 0) {
        (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE,
                       helper->queue->run_directory);
        (void)unlink(path);
        log_info("stopped clean");
    } else {
        log_info("stopped; the next helper goes on: %s",
                 result == SYNCQ_ERR_BUSY ? "writers are still there"
                                          : syncq_strerror(result));
    }
    syncq_queue_close(helper->queue);
    free(helper->pages);
}

/* What a request becomes when nothing will ever be synced again. */
static uint32_t failed_state(uint32_t state)
{
    switch (state) {
    case SYNCQ_REQUEST_SENT:
    case SYNCQ_REQUEST_RECEIPT:
    case SYNCQ_REQUEST_ABANDONED:
        return SYNCQ_REQUEST_FAILED;
    case SYNCQ_REQUEST_LEFT:
    case SYNCQ_REQUEST_WITHDRAWN:
        return SYNCQ_REQUEST_FREE;
    default:
        return state;
    }
}

static void answer_failed(struct helper *helper)
{
    struct syncq_channel *channel = helper->channel;

    for (uint32_t i = 0; i < SYNCQ_REQUESTS_MAX; i++) {
        uint32_t state = atomic_load(&channel->states[i]);

        while (failed_state(state) != state)
            if (atomic_compare_exchange_weak(&channel->states[i], &state,
                                             failed_state(state))) {
                channel->statistics.failed++;
                syncq_futex_wake(&channel->states[i]);
                break;
            }
    }
}

/*
 * The kernel reports a failed write once and calls its pages clean, so a
 * second msync would "succeed": there is no second try.
 */
void helper_fail(struct helper *helper, const char *what, int error)
{
    struct syncq_channel *channel = helper->channel;
    int result = 0;

    (void)pthread_mutex_lock(&helper->lock);
    if (atomic_exchange(&channel->state, SYNCQ_CHANNEL_FAILED) !=
        SYNCQ_CHANNEL_FAILED) {
        SYNCQ_FAILPOINT("fail.state-set");
        result = syncq_latch_set(helper->queue->directory_fd,
                                 atomic_load(&channel->durable_lsn));
        SYNCQ_FAILPOINT("fail.latch-set");
        log_error("%s failed: %s; the queue takes no more mail: see "
                  "syncq status",
                  what, syncq_strerror(error));
        if (result != 0)
            log_error("the latch cannot be written: %s; do not restart this "
                      "helper",
                      syncq_strerror(result));
        atomic_fetch_add(&channel->segment_bell, 1);
        syncq_futex_wake(&channel->segment_bell);
    }
    (void)pthread_mutex_unlock(&helper->lock);
    answer_failed(helper);
}
