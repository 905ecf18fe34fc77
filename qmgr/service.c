/* SPDX-License-Identifier: MIT */
#include "qmgr/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/drain.h"
#include "qmgr/importer.h"
#include "qmgr/memory.h"
#include "qmgr/retry.h"
#include "qmgr/scheduler.h"
#include "qmgr/stop.h"
#include "qmgr/trigger.h"

#define SERVICE_TAKEN        0
#define SERVICE_AVAILABLE    1
#define SERVICE_REFILL_US    200000
#define SERVICE_GENERATION   "GENERATION" /* octal text */
#define SERVICE_FAIL_WAIT_MS 60000        /* as master's own throttle */

struct service {
    struct qmgr *qmgr;
    pid_t master;
    unsigned listen_count;
    struct trigger **triggers;
    struct event *status, *refill;
};

/* What master(8) expects on the status channel. */
struct service_status {
    int pid;
    unsigned generation;
    int available;
};

static void service_send_status(int available)
{
    const char *generation = getenv(SERVICE_GENERATION);
    struct service_status status = {
        .pid = (int)getpid(),
        .generation =
            generation != NULL ? (unsigned)strtoul(generation, NULL, 8) : 0,
        .available = available,
    };

    if (write(SERVICE_STATUS, &status, sizeof(status)) !=
        (ssize_t)sizeof(status))
        log_warning("report status to master: %s", strerror(errno));
}

void service_report(void)
{
    service_send_status(SERVICE_TAKEN);
    service_send_status(SERVICE_AVAILABLE);
}

void service_fail(int exit_code)
{
    struct pollfd status = {.fd = SERVICE_STATUS, .events = POLLIN};

    (void)poll(&status, 1, SERVICE_FAIL_WAIT_MS);
    exit(exit_code);
}

/* cleanup(8) takes one for each mail and sleeps when there is none. */
void service_refill(struct service *service)
{
    static const char tokens[1024];
    int limit = (int)service->qmgr->settings.process_limit;
    int have = 0;
    int missing;

    if (ioctl(SERVICE_FLOW_READ, FIONREAD, &have) != 0)
        return;
    missing = limit - have;
    if (missing > (int)sizeof(tokens))
        missing = (int)sizeof(tokens);
    if (missing > 0)
        (void)!write(SERVICE_FLOW_WRITE, tokens, (size_t)missing);
}

static void service_on_refill(int fd, short events, void *context)
{
    struct service *service = context;
    struct timeval wait = {0, SERVICE_REFILL_US};

    (void)fd;
    (void)events;
    service_refill(service);
    (void)event_add(service->refill, &wait);
}

/* master(8) has died, or reads its configuration again (drain.h). */
static void service_on_status(int fd, short events, void *context)
{
    struct service *service = context;

    (void)fd;
    (void)events;
    (void)event_del(service->status);
    (void)close(SERVICE_STATUS);
    if (getppid() != service->master)
        stop_now(service->qmgr, 1);
    else
        drain_start(service->qmgr);
}

static void service_handle(void *context, const char *bytes, size_t size)
{
    struct service *service = context;
    struct qmgr *qmgr = service->qmgr;
    int incoming = 0, deferred = 0;
    unsigned flags = 0;
    size_t i;

    for (i = 0; i < size; i++) {
        incoming |= bytes[i] == 'W' || bytes[i] == 'I';
        deferred |= bytes[i] == 'D';
        flags |= bytes[i] == 'A' ? MESSAGE_NOW : 0;
        flags |= bytes[i] == 'F' ? MESSAGE_FLUSH : 0;
    }
    if (flags & MESSAGE_FLUSH)
        scheduler_revive_all(qmgr->scheduler);
    if (deferred && (flags & MESSAGE_NOW))
        retry_all_now(qmgr, flags);
    if (deferred)
        importer_scan(qmgr->importer, IMPORTER_DEFERRED, flags);
    if (incoming)
        importer_scan(qmgr->importer, IMPORTER_INCOMING, flags);
    service_refill(service);
}

struct service *service_new(struct qmgr *qmgr, unsigned listen_count,
                            int is_fifo)
{
    struct service *service = memory_new(sizeof(*service));
    unsigned i;

    service->qmgr = qmgr;
    service->master = getppid();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != service->master)
        stop_now(qmgr, 1); /* it died a moment ago */
    service->listen_count = listen_count;
    service->triggers = memory_new(listen_count * sizeof(struct trigger *));
    for (i = 0; i < listen_count; i++)
        service->triggers[i] = trigger_new(qmgr->base, SERVICE_LISTEN + (int)i,
                                           is_fifo, service_handle, service);
    service->status = event_new(qmgr->base, SERVICE_STATUS, EV_READ,
                                service_on_status, service);
    (void)event_add(service->status, NULL);
    service->refill = evtimer_new(qmgr->base, service_on_refill, service);
    event_active(service->refill, EV_TIMEOUT, 0);
    return service;
}

void service_free(struct service *service)
{
    unsigned i;

    if (service == NULL)
        return;
    for (i = 0; i < service->listen_count; i++)
        trigger_free(service->triggers[i]);
    event_free(service->status);
    event_free(service->refill);
    free(service->triggers);
    free(service);
}
