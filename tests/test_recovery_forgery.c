/* SPDX-License-Identifier: MIT */
/*
 * test_recovery_forgery.c - records inside mails
 *
 * A mail's body holds perfect records at every place where one can begin, made
 * with full knowledge of everything but the key, and an exact copy of a
 * genuine record.  The index is lost and the mail's own header is damaged, so
 * that recovery looks into the body.  Nothing of it may become a message.  The
 * last test shows that it would with the right key.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/bytes.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { FORGED = 100, FORGED_SIZE = 512, CONTENT_SIZE = FORGED * FORGED_SIZE };

static void make_envelope(const char *domain, struct syncq_envelope *envelope)
{
    struct syncq_recipient recipient = {domain, "", "", 0};

    assert_result(syncq_envelope_init(envelope), 0);
    assert_result(syncq_envelope_set_sender(envelope, "evil@example.com"), 0);
    assert_result(syncq_envelope_add_recipient(envelope, &recipient), 0);
    assert_result(syncq_envelope_group(envelope), 0);
}

/* A whole record for the place lsn, with this key. */
static void forge(uint8_t *at, uint64_t lsn, uint64_t sequence,
                  const struct syncq_key *key)
{
    struct syncq_record_header header = {
        .type = SYNCQ_RECORD_SMTP,
        .lsn = lsn,
        .sequence = sequence,
        .recipient_count = 1,
        .part_count = 1,
        .date_us = 1700000000000000,
    };
    struct syncq_envelope envelope;
    uint8_t *bytes;
    size_t size;

    make_envelope("victim@forged.example", &envelope);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    header.envelope_size = size;
    header.content_size = 20;
    header.size = syncq_record_size(header.envelope_size, header.content_size);
    assert_true(header.size <= FORGED_SIZE);
    memcpy(at + sizeof header, bytes, size);
    memset(at + sizeof header + size, 'F', 20);
    syncq_record_checksum(at + sizeof header, size + 20, header.checksum);
    syncq_record_header_seal(&header, key);
    memcpy(at, &header, sizeof header);
    free(bytes);
    syncq_envelope_clear(&envelope);
}

struct carrier {
    uint64_t sequence, lsn, offset;
};

/* Append a mail whose body is full of forged records. */
static void append_carrier(struct fixture *fixture, const struct syncq_key *key,
                           const struct mail *genuine, struct carrier *carrier)
{
    struct syncq_envelope envelope;
    struct syncq_ticket ticket;
    uint8_t *content = calloc(1, CONTENT_SIZE + SYNCQ_RECORD_STEP);
    uint8_t *encoded;
    struct iovec piece = {content, CONTENT_SIZE + SYNCQ_RECORD_STEP};
    uint64_t lsn = fixture->helper.channel->head_lsn;
    uint64_t body, start;
    size_t size;

    assert_non_null(content);
    make_envelope("carrier@example.org", &envelope);
    assert_result(syncq_envelope_encode(&envelope, &encoded, &size), 0);
    free(encoded);
    body = sizeof(struct syncq_record_header) + size;
    start = round_up(body, SYNCQ_RECORD_STEP);
    for (uint64_t i = 0; i < FORGED; i++)
        forge(content + (start - body) + i * FORGED_SIZE,
              lsn + start + i * FORGED_SIZE,
              (UINT64_C(1) << SYNCQ_SEQUENCE_COUNTER_BITS) + 5000 + i, key);
    /* A genuine record, byte for byte, over one of them. */
    assert_int_equal(
        pread(fixture->writer->data.fd, content + (start - body), FORGED_SIZE,
              (off_t)fixture_offset(fixture->writer, genuine->lsn)),
        FORGED_SIZE);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_SMTP, &envelope,
                               &piece, 1, &ticket),
                  0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    assert_int_equal(ticket.lsn, lsn); /* the forger guessed right */
    *carrier = (struct carrier){ticket.sequence, ticket.lsn,
                                fixture_offset(fixture->writer, ticket.lsn)};
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    syncq_envelope_clear(&envelope);
    free(content);
}

/* How many messages recovery finds beside the genuine ones. */
static uint64_t recover_forged(struct fixture *fixture, int right_key,
                               int damage_header)
{
    struct syncq_recovery_report report;
    struct carrier carrier;
    struct fixture *image;
    struct syncq_queue *reader;
    struct mail genuine, after[2];
    struct syncq_key key;
    uint64_t forged = 0;

    mail_store_simple(fixture->writer, &genuine, 1, 200);
    key = fixture->writer->key;
    if (!right_key)
        key.bytes[31] ^= 1; /* all but one bit of it */
    append_carrier(fixture, &key, &genuine, &carrier);
    mail_store_simple(fixture->writer, &after[0], 2, 200);
    mail_store_simple(fixture->writer, &after[1], 3, 200);
    image = fixture_image(fixture);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    if (damage_header)
        fixture_damage(image, SYNCQ_DATA_FILE, carrier.offset, 128);
    assert_result(fixture_recover(image, &report, NULL), 0);
    if (damage_header)
        assert_true(report.damage_count >= 1);
    reader = fixture_reader(image);
    mail_check(reader, &genuine);
    mail_check(reader, &after[0]);
    mail_check(reader, &after[1]);
    for (uint32_t slot = 0; slot < syncq_entry_count(reader); slot++) {
        struct syncq_entry_view view;

        forged += syncq_entry_read(reader, slot, &view) == 0 &&
                  view.sequence != genuine.sequence &&
                  view.sequence != after[0].sequence &&
                  view.sequence != after[1].sequence &&
                  view.sequence != carrier.sequence;
    }
    assert_int_equal(report.messages, (damage_header ? 3u : 4u) + forged);
    syncq_queue_close(reader);
    fixture_free(image);
    return forged;
}

static void test_forgery__inside_a_whole_mail__never_a_message(void **state)
{
    assert_int_equal(recover_forged(*state, 0, 0), 0);
}

static void test_forgery__header_of_the_mail_lost__never_a_message(void **state)
{
    assert_int_equal(recover_forged(*state, 0, 1), 0);
}

/* Even with the key nobody looks into a record that is whole. */
static void
test_forgery__key_known_inside_a_whole_mail__no_message(void **state)
{
    assert_int_equal(recover_forged(*state, 1, 0), 0);
}

/* The control: without the key as the obstacle all but the copied one would
 * be messages. */
static void test_forgery__key_known_and_header_lost__all_of_them(void **state)
{
    assert_int_equal(recover_forged(*state, 1, 1), FORGED - 1);
}

/* A record of an earlier lap at its old place: the LSN tells. */
static void test_forgery__record_of_another_lap__never_a_message(void **state)
{
    struct fixture *fixture = *state;
    struct fixture *image;
    struct syncq_queue *reader;
    struct syncq_recovery_report report;
    struct mail mail, next;
    uint8_t bytes[4096];
    uint64_t from, to;

    mail_store_simple(fixture->writer, &mail, 1, 3000);
    mail_store_simple(fixture->writer, &next, 2, 10);
    from = fixture_offset(fixture->writer, mail.lsn);
    /* The same offset in the next segment, which is prepared and empty. */
    to = from + FIXTURE_SEGMENT_SIZE;
    assert_int_equal(
        pread(fixture->writer->data.fd, bytes, sizeof bytes, (off_t)from),
        sizeof bytes);
    image = fixture_image(fixture);
    fixture_overwrite(image, SYNCQ_DATA_FILE, to, bytes, sizeof bytes);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(image, &report, NULL), 0);
    assert_int_equal(report.messages, 2);
    assert_int_equal(report.damage_count, 0);
    reader = fixture_reader(image);
    assert_int_equal(count_used(reader), 2);
    syncq_queue_close(reader);
    fixture_free(image);
}

#define RUNNING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_setup_running,               \
                                    fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_forgery__inside_a_whole_mail__never_a_message),
        RUNNING(test_forgery__header_of_the_mail_lost__never_a_message),
        RUNNING(test_forgery__key_known_inside_a_whole_mail__no_message),
        RUNNING(test_forgery__key_known_and_header_lost__all_of_them),
        RUNNING(test_forgery__record_of_another_lap__never_a_message),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
