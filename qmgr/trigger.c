/* SPDX-License-Identifier: MIT */
#include "qmgr/trigger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "program/log.h"
#include "qmgr/memory.h"

#define TRIGGER_SIZE      1024 /* bytes read of one request */
#define TRIGGER_TIMEOUT_S 10
#define TRIGGER_BATCH     128 /* accepted in one turn */
#define TRIGGER_PAUSE_S   1   /* after an error of accept */

struct trigger {
    struct event_base *base;
    struct event *event, *again;
    void (*handle)(void *context, const char *bytes, size_t size);
    void *context;
};

struct trigger_request {
    struct trigger *trigger;
    struct event *event;
};

static void trigger_on_request(int fd, short events, void *context)
{
    struct trigger_request *request = context;
    char bytes[TRIGGER_SIZE];
    ssize_t got = 0;

    if (events & EV_READ)
        got = read(fd, bytes, sizeof(bytes));
    event_free(request->event);
    (void)close(fd);
    if (got > 0)
        request->trigger->handle(request->trigger->context, bytes, (size_t)got);
    free(request);
}

static void trigger_take(struct trigger *trigger, int fd)
{
    struct timeval limit = {TRIGGER_TIMEOUT_S, 0};
    struct trigger_request *request = memory_new(sizeof(*request));

    request->trigger = trigger;
    request->event =
        event_new(trigger->base, fd, EV_READ, trigger_on_request, request);
    (void)event_add(request->event, &limit);
}

static void trigger_on_listen(int fd, short events, void *context)
{
    struct trigger *trigger = context;
    struct timeval pause = {TRIGGER_PAUSE_S, 0};
    unsigned i;

    (void)events;
    for (i = 0; i < TRIGGER_BATCH; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client >= 0) {
            trigger_take(trigger, client);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            log_warning("accept trigger: %s", strerror(errno));
            (void)event_del(trigger->event);
            (void)event_add(trigger->again, &pause);
        }
        return;
    }
}

static void trigger_on_again(int fd, short events, void *context)
{
    struct trigger *trigger = context;

    (void)fd;
    (void)events;
    (void)event_add(trigger->event, NULL);
}

static void trigger_on_fifo(int fd, short events, void *context)
{
    struct trigger *trigger = context;
    char bytes[TRIGGER_SIZE];
    ssize_t got = read(fd, bytes, sizeof(bytes));

    (void)events;
    if (got > 0)
        trigger->handle(trigger->context, bytes, (size_t)got);
}

struct trigger *trigger_new(struct event_base *base, int listen_fd, int is_fifo,
                            void (*handle)(void *context, const char *bytes,
                                           size_t size),
                            void *context)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));

    trigger->base = base;
    trigger->handle = handle;
    trigger->context = context;
    trigger->event =
        event_new(base, listen_fd, EV_READ | EV_PERSIST,
                  is_fifo ? trigger_on_fifo : trigger_on_listen, trigger);
    trigger->again = evtimer_new(base, trigger_on_again, trigger);
    (void)event_add(trigger->event, NULL);
    return trigger;
}

void trigger_free(struct trigger *trigger)
{
    if (trigger == NULL)
        return;
    event_free(trigger->event);
    event_free(trigger->again);
    free(trigger);
}
