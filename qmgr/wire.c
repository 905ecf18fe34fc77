/* SPDX-License-Identifier: MIT */
#include "qmgr/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "postfix/attribute.h"
#include "qmgr/memory.h"

#define WIRE_READ_SIZE 4096 /* bytes: room made before each read */

struct wire {
    struct wire_handler handler;
    int fd, closed, calling;
    struct event *readable, *writable;
    struct timeval timeout; /* zero: none */
    char *input;
    size_t input_size, input_capacity;
    char *output;
    size_t output_size;
};

static void wire_release(struct wire *wire)
{
    if (wire->readable != NULL)
        event_free(wire->readable);
    if (wire->writable != NULL)
        event_free(wire->writable);
    if (wire->fd >= 0)
        (void)close(wire->fd);
    free(wire->input);
    free(wire->output);
    free(wire);
}

void wire_close(struct wire *wire)
{
    if (wire == NULL)
        return;
    if (!wire->calling) {
        wire_release(wire);
        return;
    }
    /* A handler closed its own wire: the caller below still needs it. */
    wire->closed = 1;
    (void)event_del(wire->readable);
    (void)event_del(wire->writable);
    (void)close(wire->fd);
    wire->fd = -1;
}

static void wire_leave(struct wire *wire)
{
    wire->calling--;
    if (wire->closed && !wire->calling)
        wire_release(wire);
}

static void wire_fail(struct wire *wire, int error)
{
    if (wire->closed)
        return;
    (void)event_del(wire->readable);
    (void)event_del(wire->writable);
    wire->handler.failed(wire->handler.context, error);
}

static void wire_arm(struct wire *wire)
{
    struct timeval *timeout = wire->timeout.tv_sec > 0 ? &wire->timeout : NULL;

    (void)event_add(wire->readable, timeout);
}

static void wire_deliver_lists(struct wire *wire)
{
    size_t done = 0;

    while (!wire->closed && done < wire->input_size) {
        size_t size =
            attribute_list_size(wire->input + done, wire->input_size - done);

        if (size == 0)
            break;
        wire->handler.list(wire->handler.context, wire->input + done, size);
        done += size;
    }
    if (done > 0) {
        wire->input_size -= done;
        memmove(wire->input, wire->input + done, wire->input_size);
    }
}

static ssize_t wire_read(struct wire *wire)
{
    ssize_t got;

    if (wire->input_capacity - wire->input_size < WIRE_READ_SIZE) {
        wire->input_capacity = wire->input_size * 2 + WIRE_READ_SIZE;
        wire->input = memory_grow(wire->input, wire->input_capacity);
    }
    got = read(wire->fd, wire->input + wire->input_size,
               wire->input_capacity - wire->input_size);
    if (got > 0)
        wire->input_size += (size_t)got;
    return got;
}

static void wire_on_readable(int fd, short events, void *context)
{
    struct wire *wire = context;
    ssize_t got;

    (void)fd;
    wire->calling++;
    if (events & EV_TIMEOUT) {
        wire_fail(wire, ETIMEDOUT);
        goto out;
    }
    got = wire_read(wire);
    if (got > 0) {
        wire_deliver_lists(wire);
        if (!wire->closed && wire->input_size > WIRE_LIST_SIZE_MAX)
            wire_fail(wire, EPROTO);
    } else if (got == 0) {
        wire_fail(wire, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        wire_fail(wire, errno);
    }
out:
    wire_leave(wire);
}

static void wire_on_writable(int fd, short events, void *context)
{
    struct wire *wire = context;
    ssize_t put;

    (void)events;
    wire->calling++;
    put = send(fd, wire->output, wire->output_size, MSG_NOSIGNAL);
    if (put > 0) {
        wire->output_size -= (size_t)put;
        memmove(wire->output, wire->output + put, wire->output_size);
    } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
        wire_fail(wire, errno);
    }
    if (!wire->closed && wire->output_size == 0)
        (void)event_del(wire->writable);
    wire_leave(wire);
}

int wire_adopt(struct event_base *base, int fd,
               const struct wire_handler *handler, struct wire **out)
{
    struct wire *wire = memory_new(sizeof(*wire));

    wire->handler = *handler;
    wire->fd = fd;
    wire->readable =
        event_new(base, fd, EV_READ | EV_PERSIST, wire_on_readable, wire);
    wire->writable =
        event_new(base, fd, EV_WRITE | EV_PERSIST, wire_on_writable, wire);
    if (wire->readable == NULL || wire->writable == NULL) {
        wire->fd = -1;
        wire_release(wire);
        return ENOMEM;
    }
    wire_arm(wire);
    *out = wire;
    return 0;
}

int wire_open(struct event_base *base, const char *path,
              const struct wire_handler *handler, struct wire **wire)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int result = 0;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        result = errno;
    if (result == 0)
        result = wire_adopt(base, fd, handler, wire);
    if (result != 0)
        (void)close(fd);
    return result;
}

void wire_send(struct wire *wire, const void *bytes, size_t size)
{
    ssize_t put = 0;

    if (wire->closed || wire->fd < 0)
        return;
    if (wire->output_size == 0) {
        put = send(wire->fd, bytes, size, MSG_NOSIGNAL);
        /* A broken connection shows itself to the reader, too. */
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (put < 0)
            put = 0;
    }
    if ((size_t)put == size)
        return;
    size -= (size_t)put;
    wire->output = memory_grow(wire->output, wire->output_size + size);
    memcpy(wire->output + wire->output_size, (const char *)bytes + put, size);
    wire->output_size += size;
    (void)event_add(wire->writable, NULL);
}

void wire_set_timeout(struct wire *wire, int64_t seconds)
{
    if (wire->closed || wire->fd < 0)
        return;
    wire->timeout.tv_sec = seconds;
    (void)event_del(wire->readable);
    wire_arm(wire);
}
