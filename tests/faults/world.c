/* SPDX-License-Identifier: MIT */
#include "tests/faults/world.h"

#include <stdlib.h>

#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/faults/medium.h"

/* The keeper looks once a second by itself, which here is hardly ever. */
static void wake_keeper(struct world *world)
{
    if (world->live->helper_runs && chance_below(&world->chance, 3) == 0)
        keeper_wake(&world->live->helper);
}

void world_say(struct world *world, const struct mail *mail,
               enum oracle_word word)
{
    oracle_say(world->oracle, mail, word);
    wake_keeper(world);
    medium_point();
}

static struct world_mail *mail_new(struct world *world, size_t size_max)
{
    struct chance *chance = &world->chance;
    struct world_mail *made = &world->mails[world->mail_count];
    uint32_t domains = 1 + (uint32_t)chance_below(chance, 3);
    uint32_t more = (uint32_t)chance_below(chance, 3);

    mail_init(&made->mail, ++world->mail_count, domains + more, domains,
              (size_t)chance_below(chance, size_max + 1));
    made->state = WORLD_SUBMITTED;
    return made;
}

static void confirmed(struct world *world, struct world_mail *mail,
                      struct syncq_ticket *ticket)
{
    world_say(world, &mail->mail, ORACLE_CONFIRMED);
    syncq_ticket_finish(world->live->writer, ticket, SYNCQ_STATUS_SYNCED);
    mail->state = WORLD_STORED;
    medium_point();
}

static void give_up(struct world *world, struct world_mail *mail,
                    struct syncq_ticket *ticket)
{
    struct syncq_queue *queue = world->live->writer;

    world_say(world, &mail->mail, ORACLE_CANCELLED);
    if (syncq_ticket_abandon(queue, ticket) == SYNCQ_ERR_EXISTS) {
        syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_SYNCED);
        return;
    }
    syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_CANCELLED);
    medium_point();
}

int world_store(struct world *world, size_t size_max)
{
    struct syncq_queue *queue = world->live->writer;
    struct syncq_ticket ticket;
    struct world_mail *mail;
    int result;

    if (world->mail_count == WORLD_MAILS_MAX)
        return SYNCQ_ERR_RANGE;
    mail = mail_new(world, size_max);
    world_say(world, &mail->mail, ORACLE_SUBMITTED);
    result = mail_append(queue, &mail->mail, &ticket);
    medium_point();
    if (result != 0)
        return result;
    if (chance_below(&world->chance, 12) == 0) {
        give_up(world, mail, &ticket);
        return 0;
    }
    result = syncq_ticket_wait(queue, &ticket, FIXTURE_WAIT_MS);
    if (result == 0)
        confirmed(world, mail, &ticket);
    else
        findings_add(world->findings, FINDING_STUCK, "live",
                     "mail %u is not confirmed: %s", mail->mail.seed,
                     syncq_strerror(result));
    return result;
}

static unsigned choose_status(struct world *world)
{
    switch (chance_below(&world->chance, 6)) {
    case 0:
        return SYNCQ_STATUS_DEFERRED;
    case 1:
        return SYNCQ_STATUS_HELD;
    default:
        return SYNCQ_STATUS_DONE;
    }
}

void world_deliver(struct world *world, unsigned count)
{
    unsigned status = choose_status(world);
    struct mail *chosen = calloc(count + 1, sizeof *chosen);
    struct world_mail **from = calloc(count + 1, sizeof *from);
    unsigned found = 0;

    assert_true(chosen != NULL && from != NULL);
    for (unsigned i = 0; i < world->mail_count && found < count; i++) {
        struct world_mail *mail = &world->mails[i];

        if (mail->state != WORLD_STORED &&
            (mail->state != WORLD_HELD || status != SYNCQ_STATUS_DONE))
            continue;
        from[found] = mail;
        chosen[found++] = mail->mail;
        if (status == SYNCQ_STATUS_DONE) {
            mail->state = WORLD_DONE;
            world_say(world, &mail->mail, ORACLE_DONE);
        } else if (status == SYNCQ_STATUS_HELD) {
            mail->state = WORLD_HELD;
            world_say(world, &mail->mail, ORACLE_HOLDING);
        }
    }
    if (found > 0)
        mail_mark(world->live->writer, chosen, found, status, NULL);
    for (unsigned i = 0; i < found; i++)
        if (status != SYNCQ_STATUS_DEFERRED)
            oracle_say(world->oracle, &from[i]->mail,
                       status == SYNCQ_STATUS_DONE ? ORACLE_DONE_DURABLE
                                                   : ORACLE_HELD);
    medium_point();
    free(chosen);
    free(from);
}

static int is_retired(struct fixture *fixture, void *context)
{
    const uint32_t *segment = context;
    struct syncq_channel *channel = fixture->helper.channel;

    return !atomic_load(&channel->segments[*segment].ask);
}

int world_retire(struct world *world)
{
    struct fixture *live = world->live;
    struct syncq_mark *marks = NULL;
    struct syncq_ticket ticket;
    uint32_t segment, count;

    if (syncq_retire_find(live->writer, &segment, &marks, &count) != 0)
        return 0;
    if (count > 0) {
        assert_result(syncq_marks_append(live->writer, marks, count, &ticket),
                      0);
        assert_result(syncq_ticket_wait(live->writer, &ticket, FIXTURE_WAIT_MS),
                      0);
        syncq_ticket_finish(live->writer, &ticket, SYNCQ_STATUS_SYNCED);
    }
    free(marks);
    syncq_retire_ask(live->writer, segment);
    fixture_until(live, is_retired, &segment);
    medium_point();
    return 1;
}
