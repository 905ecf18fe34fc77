/* SPDX-License-Identifier: MIT */
#include "tests/repair_queue.h"

#include <string.h>

#include "module/error.h"
#include "tests/cmocka_all.h"

static void see_lost(uint64_t sequence, uint32_t part, void *context)
{
    struct repair_seen *seen = context;

    (void)part;
    assert_true(seen->lost_count < REPAIR_MAILS);
    seen->lost[seen->lost_count++] = sequence;
}

static void see_damage(const struct syncq_damage *damage, void *context)
{
    struct repair_seen *seen = context;

    seen->damage = *damage;
    seen->damage_count++;
}

static void see_superblock(unsigned copy, int error, void *context)
{
    (void)copy;
    (void)error;
    ((struct repair_seen *)context)->superblocks++;
}

static void see_page(uint32_t segment, int end, void *context)
{
    (void)segment;
    (void)end;
    ((struct repair_seen *)context)->pages++;
}

int repair_run(const struct fixture *fixture, struct repair_seen *seen,
               struct syncq_repair_report *report)
{
    static struct repair_seen unseen;
    struct syncq_repair_report unread;
    struct syncq_repair_visitor visitor = {
        .check = {.damage = see_damage,
                  .superblock = see_superblock,
                  .page = see_page},
        .lost = see_lost};

    memset(&unseen, 0, sizeof unseen);
    visitor.check.context = seen == NULL ? &unseen : seen;
    memset(visitor.check.context, 0, sizeof *seen);
    return syncq_repair(fixture->queue, fixture->run, &visitor,
                        report == NULL ? &unread : report);
}

void repair_check(const struct fixture *fixture, struct repair_seen *seen,
                  struct syncq_check_report *report)
{
    const struct syncq_check_visitor visitor = {.damage = see_damage,
                                                .superblock = see_superblock,
                                                .page = see_page,
                                                .context = seen};

    memset(seen, 0, sizeof *seen);
    assert_result(syncq_check(fixture->queue, fixture->run, &visitor, report),
                  0);
}

void repair_check_good(const struct fixture *fixture)
{
    struct syncq_check_report report;
    struct repair_seen seen;

    repair_check(fixture, &seen, &report);
    assert_true(syncq_check_is_good(&report));
    assert_int_equal(report.lists_wrong, 0);
    assert_int_equal(report.parts_lost, 0);
}

void repair_fill(struct fixture *fixture, struct repair_filled *filled)
{
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < REPAIR_MAILS; i++) {
        mail_store_simple(fixture->writer, &filled->mails[i], i,
                          1000 + i * 700);
        filled->offsets[i] =
            fixture_offset(fixture->writer, filled->mails[i].lsn);
        if (i != 5)
            continue;
        mail_mark(fixture->writer, filled->mails, 2, SYNCQ_STATUS_DONE, NULL);
        mail_mark(fixture->writer, filled->mails + 2, 2, SYNCQ_STATUS_DEFERRED,
                  &filled->marks_lsn);
        filled->marks_offset =
            fixture_offset(fixture->writer, filled->marks_lsn);
    }
}

unsigned repair_plain_status(unsigned i)
{
    if (i < 2)
        return SYNCQ_STATUS_DONE;
    return i < 4 ? SYNCQ_STATUS_DEFERRED : SYNCQ_STATUS_SYNCED;
}

void repair_check_statuses(const struct fixture *fixture,
                           const struct repair_filled *filled, unsigned gone,
                           unsigned held_below)
{
    struct syncq_queue *reader = fixture_reader(fixture);

    for (unsigned i = 0; i < REPAIR_MAILS; i++) {
        unsigned want = repair_plain_status(i);

        if (i == gone)
            want = SYNCQ_STATUS_FREE;
        else if (i < held_below && want != SYNCQ_STATUS_DONE)
            want = SYNCQ_STATUS_HELD;
        assert_int_equal(mail_status(reader, &filled->mails[i], 0), want);
        if (i != gone)
            mail_check(reader, &filled->mails[i]);
    }
    lists_check(reader);
    syncq_queue_close(reader);
}

void repair_check_works(struct fixture *fixture)
{
    struct mail mail;

    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 4711, 3000);
    mail_check(fixture->writer, &mail);
    fixture_stop(fixture);
}
