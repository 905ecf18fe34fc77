/* SPDX-License-Identifier: MIT */
#include "module/failpoint.h"

#ifdef SYNCQ_FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/channel.h"

extern struct syncq_failpoint *__start_syncq_failpoints[];
extern struct syncq_failpoint *__stop_syncq_failpoints[];

static struct syncq_failpoint_plan *plan;

struct syncq_failpoint **syncq_failpoints(size_t *count)
{
    *count = (size_t)(__stop_syncq_failpoints - __start_syncq_failpoints);
    for (size_t i = 0; i < *count; i++)
        __start_syncq_failpoints[i]->number = (uint32_t)i + 1;
    return __start_syncq_failpoints;
}

struct syncq_failpoint *syncq_failpoint_find(const char *name)
{
    size_t count;
    struct syncq_failpoint **points = syncq_failpoints(&count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(points[i]->name, name) == 0)
            return points[i];
    return NULL;
}

void syncq_failpoint_follow(struct syncq_failpoint_plan *followed)
{
    plan = followed;
}

void syncq_failpoint_count(_Atomic uint32_t *reached)
{
    size_t count;
    struct syncq_failpoint **points = syncq_failpoints(&count);

    for (size_t i = 0; i < count; i++)
        points[i]->reached = reached == NULL ? NULL : &reached[i];
}

static void act(enum syncq_failpoint_action action)
{
    switch (action) {
    case SYNCQ_FAILPOINT_KILL:
        (void)raise(SIGKILL);
        break;
    case SYNCQ_FAILPOINT_STOP:
        (void)raise(SIGSTOP);
        break;
    case SYNCQ_FAILPOINT_DO_EXIT:
        _exit(SYNCQ_FAILPOINT_EXIT);
    case SYNCQ_FAILPOINT_ABORT:
        abort();
    }
}

static enum syncq_failpoint_action action_by_name(const char *name)
{
    static const char *const names[] = {"", "kill", "stop", "exit", "abort"};

    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum syncq_failpoint_action)i;
    return SYNCQ_FAILPOINT_ABORT;
}

/* The plan of a program that was executed. */
static void follow_file(const char *path, const struct syncq_failpoint *point)
{
    static _Atomic uint32_t hits;
    char text[128] = "", name[64] = "", action[16] = "";
    unsigned hit = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0 &&
        sscanf(text, "%63[^:]:%u:%15s", name, &hit, action) == 3 &&
        strcmp(name, point->name) == 0 &&
        atomic_fetch_add(&hits, 1) + 1 == hit) {
        (void)unlink(path);
        act(action_by_name(action));
    }
    close(fd);
}

void syncq_failpoint_reach(struct syncq_failpoint *point)
{
    const char *path;

    if (point->reached != NULL)
        atomic_fetch_add(point->reached, 1);
    if (plan == NULL) {
        path = getenv(SYNCQ_FAILPOINT_FILE);
        if (path != NULL)
            follow_file(path, point);
        return;
    }
    if (point->number == 0 || atomic_load(&plan->number) != point->number ||
        atomic_fetch_sub(&plan->left, 1) != 1)
        return;
    atomic_store(&plan->number, 0);
    atomic_store(&plan->fired, 1);
    syncq_futex_wake(&plan->fired);
    act(plan->action);
}

#else

/* A file must hold something. */
extern int syncq_failpoint_nothing;

#endif
