/* SPDX-License-Identifier: MIT */
#include "qmgr/backlogs.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "module/choice.h"
#include "program/log.h"
#include "qmgr/arrivals.h"
#include "qmgr/delivery_file.h"
#include "qmgr/marks.h"
#include "qmgr/memory.h"

struct backlog *backlog_of(const struct qmgr *qmgr,
                           const struct message *message)
{
    return qmgr->backlogs->list[message->file];
}

struct backlogs *backlogs_new(struct qmgr *qmgr)
{
    struct backlogs *backlogs = memory_new(sizeof(*backlogs));
    char error[256];
    unsigned i;
    int result =
        files_read(&qmgr->config, &backlogs->files, error, sizeof(error));

    if (result != 0)
        log_fatal(result, "%s", error);
    qmgr->backlogs = backlogs;
    for (i = 0; i < backlogs->files.count; i++)
        backlogs->list[backlogs->count++] =
            backlog_new(qmgr, (uint8_t)i, &backlogs->files.list[i]);
    return backlogs;
}

void backlogs_start(struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++)
        backlog_start(backlogs->list[i]);
}

void backlogs_free(struct backlogs *backlogs)
{
    unsigned i;

    if (backlogs == NULL)
        return;
    for (i = 0; i < backlogs->count; i++)
        backlog_free(backlogs->list[i]);
    files_clear(&backlogs->files);
    free(backlogs);
}

int backlogs_accept(const struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        if (backlog_accepts(backlogs->list[i]))
            return 1;
    }
    return 0;
}

int backlogs_are_settled(const struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        if (!backlog_is_settled(backlogs->list[i]))
            return 0;
    }
    return 1;
}

int backlogs_lack_one(const struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        if (backlogs->list[i]->queue == NULL)
            return 1;
    }
    return 0;
}

struct backlog *backlogs_choose(struct backlogs *backlogs, uint64_t tried)
{
    struct backlog *usable[SYNCQ_FILES_MAX];
    uint64_t costs[SYNCQ_FILES_MAX];
    unsigned order[SYNCQ_FILES_MAX];
    unsigned i, count = 0;

    for (i = 0; i < backlogs->count; i++) {
        struct backlog *backlog = backlogs->list[i];
        struct syncq_load load;

        if ((tried >> i & 1) != 0 || !backlog_accepts(backlog))
            continue;
        syncq_load_read(backlog->queue, &load);
        /* Alone there is nobody else, and a helper may be on its way. */
        if (!load.served && backlogs->count > 1)
            continue;
        costs[count] = syncq_load_cost(&load);
        usable[count++] = backlog;
    }
    if (count == 0)
        return NULL;
    syncq_choice_order(costs, count, backlogs->turn++, order);
    return usable[order[0]];
}

void backlogs_drain_arrivals(struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++)
        arrivals_drain(backlogs->list[i]);
}

static int backlogs_on_leftover(void *context,
                                const uint8_t uuid[SYNCQ_UUID_SIZE],
                                uint64_t sequence, uint32_t recipient)
{
    const struct backlogs *backlogs = context;
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        struct backlog *backlog = backlogs->list[i];

        if (backlog->queue == NULL ||
            memcmp(backlog->uuid, uuid, SYNCQ_UUID_SIZE) != 0)
            continue;
        backlog_finish_recipient(backlog, sequence, recipient);
        return 1;
    }
    return 0;
}

void backlogs_recover_files(struct backlogs *backlogs, struct qmgr *qmgr)
{
    struct leftovers_taker taker = {backlogs_on_leftover, backlogs};

    (void)delivery_files_recover(qmgr->files, &taker);
}

/* One for all of them. */
struct backlogs_flush {
    unsigned waiting;
    int failed;
    void (*done)(void *context, int failed);
    void *context;
};

static void backlogs_on_flushed(void *context, int failed)
{
    struct backlogs_flush *flush = context;

    flush->failed |= failed;
    if (--flush->waiting > 0)
        return;
    flush->done(flush->context, flush->failed);
    free(flush);
}

void backlogs_flush(struct backlogs *backlogs,
                    void (*done)(void *context, int failed), void *context)
{
    struct backlogs_flush *flush = memory_new(sizeof(*flush));
    unsigned i;

    flush->done = done;
    flush->context = context;
    flush->waiting = 1; /* this call; an answer may come at once */
    for (i = 0; i < backlogs->count; i++) {
        if (backlogs->list[i]->queue == NULL)
            continue;
        flush->waiting++;
        marks_flush(backlogs->list[i]->marks, backlogs_on_flushed, flush);
    }
    backlogs_on_flushed(flush, 0);
}
