/* SPDX-License-Identifier: MIT */
#include "tests/grow_steps.h"

#include "tests/cmocka_all.h"

int grow_run(const struct fixture *fixture, uint32_t segment_count,
             uint32_t entry_count)
{
    const struct syncq_grow_options options = {.size = segment_count *
                                                       FIXTURE_SEGMENT_SIZE,
                                               .entry_count = entry_count,
                                               .allow_any_filesystem = 1};
    struct syncq_grow_report report;

    return syncq_queue_grow(fixture->queue, fixture->run, &options, &report);
}

int grow_wait_answer(struct syncq_channel *channel)
{
    uint32_t state;

    while ((state = atomic_load(&channel->grow)) != SYNCQ_GROW_ANSWERED)
        (void)syncq_futex_wait(&channel->grow, state, 1000000);
    return atomic_load(&channel->grow_result);
}

void grow_check_size(const struct fixture *fixture, uint32_t segment_count,
                     uint32_t entry_count)
{
    struct syncq_queue *reader = fixture_reader(fixture);
    struct syncq_queue_status status;

    assert_result(syncq_queue_status(reader, &status), 0);
    assert_int_equal(status.segment_count, segment_count);
    assert_int_equal(status.entry_count, entry_count);
    assert_int_equal(status.file_size,
                     SYNCQ_DATA_OFFSET + FIXTURE_SEGMENT_SIZE * segment_count);
    assert_int_equal(reader->data.superblock.segment_count, segment_count);
    assert_int_equal(reader->data.superblock.entry_count, entry_count);
    syncq_queue_close(reader);
}

void grow_store(struct syncq_queue *queue, struct grow_mails *mails,
                uint32_t parts, size_t size)
{
    struct mail *mail = &mails->mails[mails->count];

    assert_true(mails->count < GROW_MAILS_MAX);
    mail_init(mail, mails->count, parts, parts, size);
    mail_store(queue, mail);
    mails->count++;
}

void grow_store_until(struct syncq_queue *queue, struct grow_mails *mails,
                      uint32_t segment)
{
    uint32_t at = 0;
    uint64_t base;

    while (at < segment) {
        grow_store(queue, mails, 1, GROW_SIZE);
        assert_result(syncq_segment_find(queue,
                                         mails->mails[mails->count - 1].lsn,
                                         &at, &base),
                      0);
    }
}

void grow_check_mails(const struct fixture *fixture,
                      const struct grow_mails *mails)
{
    struct syncq_queue *reader = fixture_reader(fixture);
    uint32_t parts = 0;

    for (uint32_t i = 0; i < mails->count; i++) {
        mail_check(reader, &mails->mails[i]);
        for (uint32_t part = 0; part < mails->mails[i].part_count; part++)
            assert_int_equal(mail_status(reader, &mails->mails[i], part),
                             SYNCQ_STATUS_SYNCED);
        parts += mails->mails[i].part_count;
    }
    assert_int_equal(count_used(reader), parts);
    lists_check(reader);
    syncq_queue_close(reader);
}
