/* SPDX-License-Identifier: MIT */
/*
 * block_phases.c - what happens to the queue, in order
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/cleaner.h"
#include "module/retire.h"
#include "tests/daemon.h"
#include "tests/faults/block_player.h"

enum {
    KIB = 1024,
    SMALL = 300 * KIB,    /* one mail in four, the others up to 3 KiB */
    LARGE = 1000 * KIB,   /* the same */
    LAPS_SIZE = 48 << 20, /* bytes of mail: one and a half laps */
    ALL = PLAYER_MAILS_MAX,
};

static void write_some(struct player *player, unsigned thread_count,
                       unsigned count)
{
    struct player_writers writers = {.player = player,
                                     .count = count,
                                     .size_max = SMALL,
                                     .thread_count = thread_count};

    player_writers_start(&writers);
    player_writers_join(&writers);
}

static void one(struct player *player)
{
    write_some(player, 1, 16);
}

static void two(struct player *player)
{
    write_some(player, 2, 10);
}

static void three(struct player *player)
{
    write_some(player, 3, 8);
}

static void fifty(struct player *player)
{
    write_some(player, 50, 4);
}

static void deliver(struct player *player)
{
    for (int i = 0; i < 6; i++)
        player_deliver(player, 5 + 5 * (unsigned)i, i % 3 == 0);
    player_release(player);
}

struct checkpoints {
    uint64_t wanted;
};

static int has_checkpoints(struct player *player, void *context)
{
    const struct checkpoints *checkpoints = context;
    const struct syncq_channel *channel = player->queue->handle.channel;

    player_deliver(player, 8, 0);
    return atomic_load(&channel->checkpoint) >= checkpoints->wanted;
}

/* Mail comes and goes while the index is synced; on a slower disk, or there
 * would be more of it than the index can hold. */
static void checkpoint(struct player *player)
{
    _Atomic int stop = 0;
    struct player_writers writers = {.player = player,
                                     .count = 1000,
                                     .size_max = SMALL / 10,
                                     .stop = &stop,
                                     .thread_count = 2};
    struct checkpoints checkpoints = {
        atomic_load(&player->queue->handle.channel->checkpoint) + 2};

    block_disk_say(player->disk, "flush-ms 4");
    player_writers_start(&writers);
    player_until(player, has_checkpoints, &checkpoints, "checkpoints");
    atomic_store(&stop, 1);
    player_writers_join(&writers);
    block_disk_say(player->disk, "flush-ms 0");
}

static void restart(struct player *player)
{
    player_stop(player);
    player_start(player);
    write_some(player, 2, 4);
}

static int has_confirmed(struct player *player, void *context)
{
    const unsigned *wanted = context;

    return atomic_load(&player->shared->confirmed_count) >= *wanted;
}

static void wait_confirmed(struct player *player, unsigned more)
{
    unsigned wanted = atomic_load(&player->shared->confirmed_count) + more;

    player_until(player, has_confirmed, &wanted, "confirms");
}

/* Writers go on under the next helper. */
static void takeover(struct player *player)
{
    struct player_writers writers = {
        .player = player, .count = 20, .size_max = SMALL, .thread_count = 4};

    player_writers_start(&writers);
    for (int i = 0; i < 2; i++) {
        wait_confirmed(player, 20);
        player_kill_helper(player);
        player_start(player);
    }
    player_writers_join(&writers);
}

static pid_t start_victim(struct player *player, struct player_writers *writers)
{
    pid_t pid;

    player_close(player);
    pid = player_writers_fork(writers);
    wait_confirmed(player, 30);
    return pid;
}

/* The helper finishes what they began. */
static void dead_writers(struct player *player)
{
    struct player_writers writers = {.player = player,
                                     .count = 1000,
                                     .size_max = SMALL / 10,
                                     .thread_count = 4};

    daemon_kill(start_victim(player, &writers));
    player_open(player);
    player_settle(player);
}

/* After each recovery another segment is closed. */
static void make_room(struct player *player)
{
    player_deliver(player, ALL, 0);
    while (player_retire(player))
        ;
}

/* All processes die; the next helper has to recover. */
static void crash(struct player *player)
{
    struct player_writers writers = {.player = player,
                                     .count = 1000,
                                     .size_max = SMALL / 10,
                                     .thread_count = 3};
    pid_t victim = start_victim(player, &writers);

    player_kill_helper(player);
    daemon_kill(victim);
    player_start(player);
    player_settle(player);
    make_room(player);
    write_some(player, 1, 4);
}

static void lost_index(struct player *player)
{
    char path[PATH_MAX + 32];

    player_stop(player);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_INDEX_FILE,
                   player->queue_directory);
    (void)unlink(path);
    player_start(player);
    make_room(player);
    write_some(player, 1, 4);
}

/* More than a lap: segments are closed, retired and used again. */
static void wrap(struct player *player)
{
    _Atomic int stop = 0;
    struct player_writers writers = {.player = player,
                                     .count = 1000,
                                     .size_max = LARGE,
                                     .stop = &stop,
                                     .thread_count = 3};
    uint64_t end = atomic_load(&player->shared->confirmed_size) + LAPS_SIZE;

    player_deliver(player, ALL, 0);
    player_writers_start(&writers);
    while (atomic_load(&player->shared->confirmed_size) < end) {
        player_deliver(player, 12, 0);
        (void)player_retire(player);
    }
    atomic_store(&stop, 1);
    while (atomic_load(&writers.running) > 0) { /* they may need room */
        player_deliver(player, ALL, 0);
        (void)player_retire(player);
    }
    player_writers_join(&writers);
}

static int head_has_left(struct player *player, void *context)
{
    const uint32_t *segment = context;

    return player->queue->handle.channel->head_segment != *segment;
}

/* Copy what stays in the segment, one message after the other. */
static void empty_segment(struct player *player, uint64_t base_lsn)
{
    struct syncq_queue *queue = player->queue;
    struct syncq_relocation relocation;
    struct syncq_cleaner_list list;
    int result = syncq_cleaner_list(queue, base_lsn, &list);

    player_must(result, "list");
    while ((result = syncq_cleaner_start(queue, &list, &relocation)) !=
           ERANGE) {
        if (result == ENOENT)
            continue;
        player_must(result, "relocate");
        player_must(
            syncq_ticket_wait(queue, &relocation.ticket, FIXTURE_WAIT_MS),
            "copy");
        syncq_relocate_finish(queue, &relocation);
    }
    syncq_cleaner_list_clear(&list);
}

/* Some mail stays, all else in its segment goes: it is moved, while others are
 * still writing, and the segment used again. */
static void relocation(struct player *player)
{
    _Atomic int stop = 0;
    struct player_writers writers = {.player = player,
                                     .count = 1000,
                                     .size_max = LARGE,
                                     .stop = &stop,
                                     .thread_count = 2};
    struct syncq_queue *queue = player->queue;
    uint64_t base_lsn;
    uint32_t segment;

    make_room(player);
    segment = queue->handle.channel->head_segment;
    write_some(player, 2, 10);
    player_deliver(player, ALL, 8);
    player_writers_start(&writers);
    player_until(player, head_has_left, &segment, "next segment");
    base_lsn = atomic_load(&queue->handle.channel->segments[segment].base_lsn);
    player_deliver(player, ALL, 0);
    player_must(syncq_retire_ask_emptying(queue, segment), "ask");
    player_must(syncq_retire_wait(queue, segment, FIXTURE_WAIT_MS), "emptying");
    empty_segment(player, base_lsn);
    atomic_store(&stop, 1);
    do
        player_deliver(player, ALL, 0);
    while (player_retire(player) || atomic_load(&writers.running) > 0);
    player_writers_join(&writers);
    player_release(player);
}

static void stop(struct player *player)
{
    player_deliver(player, 20, 2);
    player_stop(player);
}

const struct player_phase player_phases[] = {
    {"create", player_create},
    {"start", player_start},
    {"one-writer", one},
    {"two-writers", two},
    {"three-writers", three},
    {"fifty-writers", fifty},
    {"marks", deliver},
    {"checkpoints", checkpoint},
    {"restart", restart},
    {"takeover", takeover},
    {"dead-writers", dead_writers},
    {"wrap", wrap},
    {"relocation", relocation},
    {"crash", crash},
    {"lost-index", lost_index},
    {"stop", stop},
    {NULL, NULL},
};
