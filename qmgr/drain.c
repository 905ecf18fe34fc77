/* SPDX-License-Identifier: MIT */
#include "qmgr/drain.h"

#include <stdlib.h>

#include "qmgr/import.h"
#include "qmgr/memory.h"
#include "qmgr/pass.h"
#include "qmgr/scheduler.h"
#include "qmgr/stop.h"

#define DRAIN_LOOK_US  20000
#define DRAIN_LOOK_MAX 250 /* looks, so 5 s */

struct drain {
    struct qmgr *qmgr;
    struct event *timer;
    unsigned looks;
};

static void drain_count(struct pass *pass, void *context)
{
    unsigned *reports = context;

    *reports += pass->step != PASS_DELIVER;
}

static void drain_on_timer(int fd, short events, void *context)
{
    struct drain *drain = context;
    struct timeval wait = {0, DRAIN_LOOK_US};
    unsigned reports = 0;

    (void)fd;
    (void)events;
    pass_visit(drain_count, &reports);
    if ((scheduler_running(drain->qmgr->scheduler) > 0 || reports > 0 ||
         import_under_way() > 0) &&
        drain->looks++ < DRAIN_LOOK_MAX)
        (void)event_add(drain->timer, &wait);
    else
        stop_now(drain->qmgr, 0);
}

void drain_start(struct qmgr *qmgr)
{
    struct drain *drain;

    if (qmgr->stopping)
        return;
    qmgr->stopping = 1;
    drain = memory_new(sizeof(*drain));
    drain->qmgr = qmgr;
    drain->timer = evtimer_new(qmgr->base, drain_on_timer, drain);
    event_active(drain->timer, EV_TIMEOUT, 0);
}
