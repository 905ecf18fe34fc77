/* SPDX-License-Identifier: MIT */
/*
 * control.c - connections and who may ask; control_verb.c answers
 */
#include "qmgr/control.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "module/queue.h"
#include "qmgr/context.h"
#include "qmgr/control_verb.h"
#include "qmgr/memory.h"

#define CONTROL_LINE_SIZE_MAX (1u << 20)
#define CONTROL_BACKLOG       16
#define CONTROL_TIMEOUT_S     60
#define CONTROL_AGAIN_S       5
#define CONTROL_GROUPS_MAX    64

struct control {
    struct qmgr *qmgr;
    int fd;
    struct event *event, *again;
};

struct control_client {
    struct control *control;
    int fd;
    struct event *event;
    char *line;
    size_t size;
};

static void control_close(struct control_client *client)
{
    event_free(client->event);
    (void)close(client->fd);
    free(client->line);
    free(client);
}

static int control_group_has(uid_t uid, gid_t gid)
{
    const struct group *group = getgrnam(CONTROL_GROUP);
    const struct passwd *user = getpwuid(uid);
    gid_t groups[CONTROL_GROUPS_MAX];
    int count = CONTROL_GROUPS_MAX;
    gid_t wanted;
    int i;

    if (group == NULL)
        return 0;
    wanted = group->gr_gid;
    if (gid == wanted)
        return 1;
    if (user == NULL || getgrouplist(user->pw_name, gid, groups, &count) < 0)
        return 0;
    for (i = 0; i < count; i++) {
        if (groups[i] == wanted)
            return 1;
    }
    return 0;
}

static int control_may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    return peer.uid == 0 || peer.uid == geteuid() ||
           control_group_has(peer.uid, peer.gid);
}

/* Answers are small; a client that does not read them is cut off. */
static void control_on_answer(void *context, json_t *answer)
{
    struct control_client *client = context;
    char *text = json_dumps(answer, JSON_COMPACT);
    struct timeval limit = {CONTROL_TIMEOUT_S, 0};
    size_t size;

    json_decref(answer);
    if (text == NULL) {
        control_close(client);
        return;
    }
    size = strlen(text);
    text[size] = '\n'; /* in the place of the NUL */
    if (send(client->fd, text, size + 1, MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)(size + 1))
        control_close(client);
    else
        (void)event_add(client->event, &limit);
    free(text);
}

static void control_refuse(struct control_client *client, const char *error)
{
    control_on_answer(client, json_pack("{s:b,s:s}", "ok", 0, "error", error));
}

/* One line is complete; the rest of the input stays for later. */
static void control_take_line(struct control_client *client, char *end)
{
    json_error_t error;
    json_t *request;
    size_t size = (size_t)(end - client->line) + 1;

    request = json_loadb(client->line, size, 0, &error);
    memmove(client->line, client->line + size, client->size - size);
    client->size -= size;
    (void)event_del(client->event);
    if (!control_may_ask(client->fd))
        control_refuse(client, "not permitted");
    else if (request == NULL || !json_is_object(request))
        control_refuse(client, "not a JSON object");
    else
        control_verb_run(client->control->qmgr, request, control_on_answer,
                         client);
    json_decref(request);
}

static void control_on_client(int fd, short events, void *context)
{
    struct control_client *client = context;
    char bytes[4096];
    ssize_t got = 0;
    char *end;

    if (events & EV_READ)
        got = read(fd, bytes, sizeof(bytes));
    if (got <= 0 || client->size + (size_t)got > CONTROL_LINE_SIZE_MAX) {
        control_close(client);
        return;
    }
    client->line = memory_grow(client->line, client->size + (size_t)got + 1);
    memcpy(client->line + client->size, bytes, (size_t)got);
    client->size += (size_t)got;
    end = memchr(client->line, '\n', client->size);
    if (end != NULL)
        control_take_line(client, end);
}

static void control_on_listen(int fd, short events, void *context)
{
    struct control *control = context;
    struct timeval limit = {CONTROL_TIMEOUT_S, 0};
    struct control_client *client;
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (accepted < 0)
        return;
    client = memory_new(sizeof(*client));
    client->control = control;
    client->fd = accepted;
    client->event = event_new(control->qmgr->base, accepted,
                              EV_READ | EV_PERSIST, control_on_client, client);
    (void)event_add(client->event, &limit);
}

/* Replaces a socket that an earlier manager has left. */
static int control_listen(struct control *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct group *group = getgrnam(CONTROL_GROUP);
    int size =
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
                 control->qmgr->config.run_directory, SYNCQ_CONTROL_FILE);
    int result = 0;
    int fd;

    if (size < 0 || (size_t)size >= sizeof(address.sun_path))
        return ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    (void)unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, CONTROL_BACKLOG) != 0) {
        result = errno;
        (void)close(fd);
        return result;
    }
    /* Without the group only root and the mail owner reach it. */
    if (group != NULL && chown(address.sun_path, (uid_t)-1, group->gr_gid) == 0)
        (void)chmod(address.sun_path, 0660);
    control->fd = fd;
    return 0;
}

static void control_on_again(int fd, short events, void *context)
{
    struct control *control = context;
    struct timeval wait = {CONTROL_AGAIN_S, 0};

    (void)fd;
    (void)events;
    if (control_listen(control) != 0) {
        (void)event_add(control->again, &wait);
        return;
    }
    control->event =
        event_new(control->qmgr->base, control->fd, EV_READ | EV_PERSIST,
                  control_on_listen, control);
    (void)event_add(control->event, NULL);
}

struct control *control_new(struct qmgr *qmgr)
{
    struct control *control = memory_new(sizeof(*control));

    control->qmgr = qmgr;
    control->fd = -1;
    control->again = evtimer_new(qmgr->base, control_on_again, control);
    event_active(control->again, EV_TIMEOUT, 0);
    return control;
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    if (control->event != NULL)
        event_free(control->event);
    event_free(control->again);
    if (control->fd >= 0)
        (void)close(control->fd);
    free(control);
}
