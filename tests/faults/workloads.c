/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/medium.h"
#include "tests/faults/world.h"

enum { KIB = 1024 };

const struct syncq_create_options world_queue_options = {
    .size = FIXTURE_SEGMENT_COUNT * SYNCQ_SEGMENT_SIZE_MIN,
    .segment_size = SYNCQ_SEGMENT_SIZE_MIN,
    .entry_count = SYNCQ_ENTRY_COUNT_MIN,
    .allow_any_filesystem = 1,
};

/* Helper and writer; the index is synced often, now and then, or never. */
static void start(struct world *world)
{
    static const uint64_t intervals_ms[] = {0, 1, 20, 10000};

    world->live->config.index_sync_interval_ms =
        intervals_ms[chance_below(&world->chance, 4)];
    fixture_start(world->live);
    fixture_open(world->live);
}

/* A small mail mostly, sometimes one of many pages. */
static size_t any_size(struct world *world)
{
    switch (chance_below(&world->chance, 8)) {
    case 0:
        return 300 * KIB;
    case 1:
    case 2:
        return 20 * KIB;
    case 3:
        return 1;
    default:
        return 3 * KIB;
    }
}

/* When the queue is full the manager has to make room. */
static void make_room(struct world *world)
{
    world_deliver(world, WORLD_MAILS_MAX);
    while (world_retire(world))
        ;
}

struct writer {
    struct world *world;
    pthread_t thread;
    unsigned count;
};

static void *write_mails(void *context)
{
    struct writer *writer = context;

    for (unsigned i = 0; i < writer->count; i++)
        if (world_store(writer->world, any_size(writer->world)) != 0)
            break;
    return NULL;
}

/* Several writers at once, and a manager that delivers meanwhile. */
static void append_with(struct world *world, unsigned writer_count,
                        unsigned mail_count)
{
    struct writer writers[8];

    start(world);
    for (unsigned i = 0; i < writer_count; i++) {
        writers[i] = (struct writer){.world = world, .count = mail_count};
        assert_int_equal(
            pthread_create(&writers[i].thread, NULL, write_mails, &writers[i]),
            0);
    }
    for (unsigned i = 0; i < 3; i++)
        world_deliver(world, 1 + (unsigned)chance_below(&world->chance, 3));
    for (unsigned i = 0; i < writer_count; i++)
        (void)pthread_join(writers[i].thread, NULL);
    world_deliver(world, 2);
    fixture_stop(world->live);
}

static void append_1(struct world *world)
{
    append_with(world, 1, 8);
}

static void append_2(struct world *world)
{
    append_with(world, 2, 5);
}

static void append_3(struct world *world)
{
    append_with(world, 3, 4);
}

static void append_8(struct world *world)
{
    append_with(world, 8, 3);
}

/* One mail that is never delivered keeps its segment, and what was said about
 * others in there has to be carried on from lap to lap. */
static void pin_one(struct world *world)
{
    for (unsigned i = 0; i < world->mail_count; i++)
        if (world->mails[i].state == WORLD_PINNED)
            return;
    for (unsigned i = 0; i < world->mail_count; i++)
        if (world->mails[i].state == WORLD_STORED) {
            world->mails[i].state = WORLD_PINNED;
            return;
        }
}

/* More than one lap: segments are closed, retired and used again. */
static void wrap(struct world *world)
{
    unsigned fulls = 0;

    start(world);
    for (unsigned i = 0; i < 40 && fulls < 3; i++) {
        int result = world_store(world, 400 * KIB);

        pin_one(world);
        if (result == SYNCQ_ERR_SEGMENTS_FULL || i % 8 == 7) {
            make_room(world);
            fulls += result != 0;
        }
    }
    fixture_stop(world->live);
}

/* A writer of its own that leaves its reservation behind. */
static void die(struct world *world)
{
    struct fixture *live = world->live;
    struct syncq_queue *queue = NULL;
    struct syncq_ticket ticket;
    struct mail mail;

    assert_result(
        syncq_queue_open(live->queue, live->run, SYNCQ_OPEN_WRITE, &queue), 0);
    if (world->mail_count < WORLD_MAILS_MAX) {
        struct world_mail *made = &world->mails[world->mail_count];

        mail_init(&mail, ++world->mail_count, 2, 2, 5000);
        *made = (struct world_mail){.mail = mail, .state = WORLD_SUBMITTED};
        world_say(world, &mail, ORACLE_SUBMITTED);
        (void)mail_append(queue, &mail, &ticket);
        free(ticket.slots);
    }
    syncq_queue_close(queue);
}

static void dead_writers(struct world *world)
{
    start(world);
    for (unsigned i = 0; i < 6; i++) {
        if (chance_below(&world->chance, 2) == 0)
            die(world);
        else
            (void)world_store(world, any_size(world));
        keeper_wake(&world->live->helper);
    }
    world_deliver(world, 2);
    fixture_stop(world->live);
}

/* The helper leaves while writers are there; the next one takes over. */
static void takeover(struct world *world)
{
    struct fixture *live = world->live;
    struct syncq_queue *writer;

    start(world);
    for (unsigned i = 0; i < 3; i++) {
        (void)world_store(world, any_size(world));
        (void)world_store(world, any_size(world));
        world_deliver(world, 1);
        writer = live->writer;
        live->writer = NULL; /* stays open */
        fixture_stop(live);
        live->writer = writer;
        fixture_start(live);
    }
    fixture_stop(live);
}

static void create(struct world *world)
{
    assert_result(syncq_queue_create(world->live->queue, &world_queue_options),
                  0);
    append_with(world, 1, 2);
}

/* A line each, and the long one last: short runs begin at the top. */
/* clang-format off */
const struct workload workloads[] = {
    {"append-1", append_1, 1, 110},
    {"create", create, 0, 100},
    {"append-2", append_2, 1, 120},
    {"append-3", append_3, 1, 130},
    {"append-8", append_8, 1, 200},
    {"dead-writers", dead_writers, 1, 80},
    {"takeover", takeover, 1, 140},
    {"wrap", wrap, 1, 650},
    {NULL, NULL, 0, 0},
};
/* clang-format on */
