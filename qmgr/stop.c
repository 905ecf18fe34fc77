/* SPDX-License-Identifier: MIT */
#include "qmgr/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/backlogs.h"
#include "qmgr/committer.h"
#include "qmgr/delivery_file.h"
#include "qmgr/marks.h"
#include "qmgr/pass.h"

#define STOP_AGENTS_MS 1500 /* from the signal on */
#define STOP_MARKS_MS  2800
#define STOP_LOOK_MS   20

static int64_t stop_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct stop_look {
    unsigned locked; /* files that an agent still has */
    int last;        /* fold what there is, locked or not */
};

/* Who gets the exclusive lock knows that no agent is left. */
static int stop_lock(const struct pass *pass)
{
    char path[SETTINGS_PATH_SIZE];
    int fd;

    pass_path(pass, path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void stop_fold(struct pass *pass, void *context)
{
    struct stop_look *look = context;
    int fd;

    if (pass->message->origin != MESSAGE_QUEUE || pass->step != PASS_DELIVER)
        return;
    fd = stop_lock(pass);
    if (fd < 0 && !look->last) {
        look->locked++;
        return;
    }
    if (pass->agents_started && pass_read_back(pass, NULL))
        pass->source->progress(pass, NULL);
    /* A locked file stays for the next start, with the agent's later marks. */
    if (fd >= 0) {
        delivery_file_remove(pass);
        (void)close(fd);
        pass->step = PASS_CLOSE; /* folded */
    }
}

/* Some marks are not durable yet. */
static int stop_is_waiting(const struct backlogs *backlogs)
{
    unsigned i;

    for (i = 0; i < backlogs->count; i++) {
        if (backlogs->list[i]->queue != NULL &&
            !marks_are_clean(backlogs->list[i]->marks))
            return 1;
    }
    return 0;
}

/* Have the marks of all queue files durable, side by side. */
static void stop_record(struct backlogs *backlogs, int64_t end_ms)
{
    unsigned i;

    if (backlogs == NULL)
        return;
    for (i = 0; i < backlogs->count; i++) {
        if (backlogs->list[i]->queue != NULL)
            marks_flush(backlogs->list[i]->marks, NULL, NULL);
    }
    while (stop_is_waiting(backlogs) && stop_now_ms() < end_ms) {
        for (i = 0; i < backlogs->count; i++) {
            struct backlog *backlog = backlogs->list[i];

            if (backlog->queue != NULL && !marks_are_clean(backlog->marks))
                (void)committer_drain(backlog->committer, STOP_LOOK_MS);
        }
    }
    if (stop_is_waiting(backlogs))
        log_warning("stopped before all deliveries were recorded; some "
                    "may be repeated");
}

void stop_now(struct qmgr *qmgr, int wait)
{
    int64_t start = stop_now_ms();
    const struct timespec look_again = {0, STOP_LOOK_MS * 1000000L};
    struct stop_look look;

    qmgr->stopping = 1;
    do {
        look = (struct stop_look){.last = !wait || stop_now_ms() - start >=
                                                       STOP_AGENTS_MS};
        pass_visit(stop_fold, &look);
        if (look.locked > 0)
            (void)nanosleep(&look_again, NULL);
    } while (look.locked > 0);
    stop_record(qmgr->backlogs, start + STOP_MARKS_MS);
    exit(0);
}
