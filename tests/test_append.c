/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include "module/bytes.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

static void test_append__sizes__read_back_identical(void **state)
{
    static const size_t sizes[] = {0,    1,    127,   128,    255,
                                   256,  257,  4095,  4096,   4097,
                                   8191, 8192, 65536, 1 << 20};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct fixture *fixture = *state;
    struct mail mails[COUNT];
    uint64_t lsn = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        mail_store_simple(fixture->writer, &mails[i], i, sizes[i]);
        assert_true(mails[i].lsn > lsn);
        assert_int_equal(mails[i].lsn % SYNCQ_RECORD_STEP, 0);
        lsn = mails[i].lsn;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        mail_check(fixture->writer, &mails[i]);
        assert_int_equal(mail_status(fixture->writer, &mails[i], 0),
                         SYNCQ_STATUS_SYNCED);
    }
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn),
        COUNT);
    lists_check(fixture->writer);
}

/* Content size with which the record is exactly `size` bytes long. */
static size_t content_for_record(struct syncq_queue *queue, uint64_t size)
{
    struct mail mail;
    struct syncq_record record;
    size_t overhead;

    mail_store_simple(queue, &mail, 7, 0);
    assert_result(syncq_record_read(queue, mail.lsn, 0, &record), 0);
    overhead = sizeof record.header + record.header.envelope_size;
    syncq_record_clear(&record);
    return size - overhead;
}

static void test_append__largest__fits_and_one_more_does_not(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue_status status;
    struct syncq_ticket ticket;
    struct mail mail;
    size_t size = content_for_record(fixture->writer,
                                     syncq_record_size_max(fixture->writer));

    mail_init(&mail, 7, 1, 1, size + 1);
    assert_result(mail_append(fixture->writer, &mail, &ticket),
                  SYNCQ_ERR_TOO_LARGE);
    mail_store_simple(fixture->writer, &mail, 7, size);
    mail_check(fixture->writer, &mail);
    assert_result(syncq_queue_status(fixture->writer, &status), 0);
    assert_int_equal(status.message_size_max,
                     syncq_record_size_max(fixture->writer) -
                         sizeof(struct syncq_record_header));
    (void)log_check(fixture->writer, fixture->helper.channel->durable_lsn);
    lists_check(fixture->writer);
}

static void test_append__too_large__changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t head = fixture->helper.channel->head_lsn;
    uint32_t free_count = fixture->writer->index.lists->free_count;
    struct iovec piece = {(void *)"x", SIZE_MAX};
    struct iovec pieces[2] = {piece, piece};
    struct syncq_envelope envelope;
    struct syncq_recipient recipient = {"a@b", "", "", 0};
    struct syncq_ticket ticket;

    assert_result(syncq_envelope_init(&envelope), 0);
    assert_result(syncq_envelope_add_recipient(&envelope, &recipient), 0);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_SMTP, &envelope,
                               NULL, 0, &ticket),
                  SYNCQ_ERR_RANGE); /* not grouped */
    assert_result(syncq_envelope_group(&envelope), 0);
    /* Sizes whose sum wraps must not look small; nothing is read of them. */
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_SMTP, &envelope,
                               pieces, 2, &ticket),
                  SYNCQ_ERR_TOO_LARGE);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_SMTP, &envelope,
                               pieces, 1, &ticket),
                  SYNCQ_ERR_TOO_LARGE);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_VOID, &envelope,
                               NULL, 0, &ticket),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_MARKS, &envelope,
                               NULL, 0, &ticket),
                  SYNCQ_ERR_RANGE);
    syncq_envelope_clear(&envelope);
    assert_int_equal(fixture->helper.channel->head_lsn, head);
    assert_int_equal(fixture->writer->index.lists->free_count, free_count);
}

static void test_append__many_parts__each_has_its_entry(void **state)
{
    struct fixture *fixture = *state;
    struct mail mail;
    uint32_t recipients = 0, next = 0;

    mail_init(&mail, 3, 100, 12, 5000);
    mail_store(fixture->writer, &mail);
    mail_check(fixture->writer, &mail);
    for (uint32_t part = 0; part < mail.part_count; part++) {
        struct syncq_entry_view view;
        char domain[64];

        assert_result(
            syncq_entry_read(fixture->writer, mail.slots[part], &view), 0);
        (void)snprintf(domain, sizeof domain, "domain%02u.example", part);
        assert_int_equal(view.sequence, mail.sequence);
        assert_int_equal(view.part, part);
        assert_int_equal(view.part_count, 12);
        assert_int_equal(view.first_recipient, next);
        assert_int_equal(view.type, SYNCQ_RECORD_SMTP);
        assert_int_equal(view.domain_hash, syncq_domain_hash(domain));
        assert_int_equal(view.state.lsn, mail.lsn);
        assert_int_equal(view.state.mask, 0);
        assert_int_equal(view.state.status, SYNCQ_STATUS_SYNCED);
        next += view.recipient_count;
        recipients += view.recipient_count;
    }
    assert_int_equal(recipients, 100);
    assert_int_equal(count_used(fixture->writer), 12);
    lists_check(fixture->writer);
}

struct thread {
    struct fixture *fixture;
    struct mail mails[40];
    unsigned number;
};

static void *store_many(void *context)
{
    struct thread *thread = context;

    for (unsigned i = 0; i < 40; i++) {
        mail_init(&thread->mails[i], thread->number * 40 + i, 1 + i % 5,
                  1 + i % 3 % (1 + i % 5), 100 + i * 331);
        mail_store(thread->fixture->writer, &thread->mails[i]);
    }
    return NULL;
}

static int compare_lsn(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void test_append__many_threads__all_there_each_once(void **state)
{
    enum { THREADS = 8, EACH = 40 };
    struct thread *threads = calloc(THREADS, sizeof *threads);
    uint64_t lsns[THREADS * EACH], sequences[THREADS * EACH];
    struct fixture *fixture = *state;
    pthread_t ids[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        threads[i].fixture = fixture;
        threads[i].number = i;
        assert_int_equal(pthread_create(&ids[i], NULL, store_many, &threads[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(ids[i], NULL);
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        const struct mail *mail = &threads[i / EACH].mails[i % EACH];

        mail_check(fixture->writer, mail);
        lsns[i] = mail->lsn;
        sequences[i] = mail->sequence;
    }
    qsort(lsns, THREADS * EACH, sizeof lsns[0], compare_lsn);
    qsort(sequences, THREADS * EACH, sizeof sequences[0], compare_lsn);
    for (unsigned i = 1; i < THREADS * EACH; i++) {
        assert_true(lsns[i] > lsns[i - 1]);
        assert_true(sequences[i] > sequences[i - 1]);
    }
    assert_int_equal(
        log_check(fixture->writer, fixture->helper.channel->durable_lsn),
        THREADS * EACH);
    lists_check(fixture->writer);
    free(threads);
}

/* Whole pages around a record, as the page cache has them. */
static uint8_t *read_pages(struct syncq_queue *queue, const struct mail *mail,
                           size_t *size)
{
    struct syncq_record record;
    uint64_t offset = fixture_offset(queue, mail->lsn);
    uint64_t start = offset & ~(SYNCQ_PAGE_SIZE - 1);
    uint8_t *pages;

    assert_result(syncq_record_read(queue, mail->lsn, 0, &record), 0);
    *size = (offset + record.header.size - start + SYNCQ_PAGE_SIZE - 1) &
            ~(SYNCQ_PAGE_SIZE - 1);
    syncq_record_clear(&record);
    pages = malloc(*size);
    assert_non_null(pages);
    assert_int_equal(pread(queue->data.fd, pages, *size, (off_t)start), *size);
    return pages;
}

static void test_append__confirmed_page__is_never_written_again(void **state)
{
    enum { COUNT = 30 };
    struct fixture *fixture = *state;
    struct mail mails[COUNT];
    uint8_t *before[COUNT], *after;
    size_t sizes[COUNT], size;

    for (unsigned i = 0; i < COUNT; i++) {
        mail_store_simple(fixture->writer, &mails[i], i, i * 400);
        before[i] = read_pages(fixture->writer, &mails[i], &sizes[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        after = read_pages(fixture->writer, &mails[i], &size);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(before[i], after, size);
        free(before[i]);
        free(after);
    }
    /* One at a time: each was a batch of its own, and so has its own pages. */
    for (unsigned i = 1; i < COUNT; i++)
        assert_int_equal(mails[i].lsn % SYNCQ_PAGE_SIZE, 0);
}

static void check_mark(const struct syncq_mark *have,
                       const struct syncq_mark *want)
{
    assert_int_equal(have->sequence, want->sequence);
    assert_int_equal(have->part, want->part);
    assert_int_equal(have->state.mask, want->state.mask);
    assert_int_equal(have->state.last_attempt_s, want->state.last_attempt_s);
    assert_int_equal(have->state.next_attempt_s, want->state.next_attempt_s);
    assert_int_equal(have->state.attempts, want->state.attempts);
    assert_int_equal(have->state.reason, want->state.reason);
    assert_int_equal(have->state.dsn_class, want->state.dsn_class);
    assert_int_equal(have->state.dsn_subject, want->state.dsn_subject);
    assert_int_equal(have->state.dsn_detail, want->state.dsn_detail);
    assert_int_equal(have->state.status, want->state.status);
}

static void test_marks__appended__are_read_back(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_mark mark = {.sequence = 0x123456789abcdef0,
                              .part = 65534,
                              .state = {.mask = UINT64_MAX,
                                        .last_attempt_s = 1,
                                        .next_attempt_s = UINT32_MAX,
                                        .attempts = 65535,
                                        .reason = 77,
                                        .dsn_class = 4,
                                        .dsn_subject = 7,
                                        .dsn_detail = 999,
                                        .status = SYNCQ_STATUS_DEFERRED}};
    struct syncq_mark decoded;
    struct syncq_record record;
    struct syncq_ticket ticket;
    uint64_t first_lsn;

    assert_result(syncq_marks_append(fixture->writer, &mark, 0, &ticket),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_marks_append(fixture->writer, &mark,
                                     SYNCQ_MARKS_MAX + 1, &ticket),
                  SYNCQ_ERR_RANGE);
    assert_result(syncq_marks_append(fixture->writer, &mark, 1, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    first_lsn = ticket.lsn;
    assert_result(syncq_record_read(fixture->writer, first_lsn, 0, &record), 0);
    assert_int_equal(record.header.type, SYNCQ_RECORD_MARKS);
    assert_int_equal(record.header.previous_marks, 0);
    assert_int_equal(record.content_size, 64);
    syncq_mark_decode(record.content, 0, &decoded);
    check_mark(&decoded, &mark);
    syncq_record_clear(&record);

    assert_result(syncq_marks_append(fixture->writer, &mark, 1, &ticket), 0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    assert_result(syncq_record_read(fixture->writer, ticket.lsn, 0, &record),
                  0);
    assert_int_equal(record.header.previous_marks, first_lsn);
    syncq_record_clear(&record);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
}

static void test_append__queue_open_for_reading__no_helper(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_queue *reader = fixture_reader(fixture);
    struct syncq_mark mark = {0};
    struct syncq_ticket ticket;
    struct mail mail;

    mail_init(&mail, 1, 1, 1, 10);
    assert_result(mail_append(reader, &mail, &ticket), SYNCQ_ERR_NO_HELPER);
    assert_result(syncq_marks_append(reader, &mark, 1, &ticket),
                  SYNCQ_ERR_NO_HELPER);
    syncq_queue_close(reader);
}

static void test_read__wrong_place_or_message__bad_record(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_record record;
    struct mail mail;

    mail_store_simple(fixture->writer, &mail, 1, 1000);
    assert_result(syncq_record_read(fixture->writer, mail.lsn,
                                    mail.sequence + 1, &record),
                  SYNCQ_ERR_BAD_RECORD);
    assert_result(
        syncq_record_read(fixture->writer, mail.lsn + 256, 0, &record),
        SYNCQ_ERR_BAD_RECORD);
    assert_result(syncq_record_read(fixture->writer, mail.lsn + 1, 0, &record),
                  SYNCQ_ERR_BAD_RECORD);
    assert_result(syncq_record_read(fixture->writer, 0, 0, &record),
                  SYNCQ_ERR_BAD_RECORD);
    assert_result(syncq_record_read(fixture->writer, UINT64_MAX, 0, &record),
                  SYNCQ_ERR_BAD_RECORD);
    /* The seal behind it is a void record: valid, and no message. */
    assert_result(syncq_record_read(fixture->writer,
                                    mail.lsn + round_up(1128 + 100, 256), 0,
                                    &record),
                  SYNCQ_ERR_BAD_RECORD);
}

#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_append__sizes__read_back_identical),
        RUNNING(test_append__largest__fits_and_one_more_does_not),
        RUNNING(test_append__too_large__changes_nothing),
        RUNNING(test_append__many_parts__each_has_its_entry),
        RUNNING(test_append__many_threads__all_there_each_once),
        RUNNING(test_append__confirmed_page__is_never_written_again),
        RUNNING(test_marks__appended__are_read_back),
        RUNNING(test_append__queue_open_for_reading__no_helper),
        RUNNING(test_read__wrong_place_or_message__bad_record),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
