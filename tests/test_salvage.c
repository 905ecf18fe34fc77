/* SPDX-License-Identifier: MIT */
/*
 * test_salvage.c - messages found again in files that nothing else can read
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/bytes.h"
#include "module/error.h"
#include "module/salvage.h"
#include "tests/cmocka_all.h"
#include "tests/queue_fixture.h"

enum { COUNT = 8, FOUND_MAX = 64 };

struct found {
    struct {
        uint64_t sequence, offset, checksum_low;
        size_t size;
        unsigned status; /* of part 0 */
        uint64_t mask;
        int is_genuine;
        char sender[64], recipient[64];
    } messages[FOUND_MAX];
    size_t count;
};

static int see_message(const struct syncq_salvaged *message, void *context)
{
    struct found *found = context;
    uint8_t checksum[16];

    assert_true(found->count < FOUND_MAX);
    syncq_record_checksum(message->content, message->content_size, checksum);
    found->messages[found->count].sequence = message->header->sequence;
    found->messages[found->count].offset = message->offset;
    memcpy(&found->messages[found->count].checksum_low, checksum, 8);
    found->messages[found->count].size = message->content_size;
    found->messages[found->count].status = message->states[0].status;
    found->messages[found->count].mask = message->states[0].mask;
    found->messages[found->count].is_genuine = message->is_genuine;
    (void)snprintf(found->messages[found->count].sender, 64, "%s",
                   message->envelope->sender);
    (void)snprintf(found->messages[found->count].recipient, 64, "%s",
                   message->envelope->recipients[0].address);
    found->count++;
    return 0;
}

static int salvage(const struct fixture *fixture, int without_key,
                   struct found *found, struct syncq_salvage_report *report)
{
    const struct syncq_salvage_visitor visitor = {see_message, NULL, found};
    struct syncq_salvage_report unread;
    struct syncq_salvage *opened;
    int result = syncq_salvage_open(fixture->queue, SYNCQ_DATA_FILE,
                                    without_key, &opened);

    memset(found, 0, sizeof *found);
    if (result != 0)
        return result;
    result =
        syncq_salvage_run(opened, &visitor, report == NULL ? &unread : report);
    syncq_salvage_close(opened);
    return result;
}

struct filled {
    struct mail mails[COUNT];
    uint64_t offsets[COUNT], checksums[COUNT];
};

/* Mails 0 and 1 are done, 2 and 3 deferred. */
static void fill(struct fixture *fixture, struct filled *filled)
{
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        struct syncq_record record;
        uint8_t checksum[16];

        mail_init(&filled->mails[i], i, 1 + i % 3, 1 + i % 3, 500 + i * 3000);
        mail_store(fixture->writer, &filled->mails[i]);
        filled->offsets[i] =
            fixture_offset(fixture->writer, filled->mails[i].lsn);
        assert_result(syncq_record_read(fixture->writer, filled->mails[i].lsn,
                                        0, &record),
                      0);
        syncq_record_checksum(record.content, record.content_size, checksum);
        memcpy(&filled->checksums[i], checksum, 8);
        syncq_record_clear(&record);
    }
    mail_mark(fixture->writer, filled->mails, 2, SYNCQ_STATUS_DONE, NULL);
    mail_mark(fixture->writer, filled->mails + 2, 2, SYNCQ_STATUS_DEFERRED,
              NULL);
    fixture_stop(fixture);
}

static unsigned expected_status(unsigned i, int without_index)
{
    if (i < 2)
        return SYNCQ_STATUS_DONE;
    if (i < 4)
        return SYNCQ_STATUS_DEFERRED;
    return without_index ? SYNCQ_STATUS_FREE : SYNCQ_STATUS_SYNCED;
}

/* All but the one that is gone, whole. */
static void check_found(const struct found *found, const struct filled *filled,
                        unsigned gone, int is_genuine)
{
    size_t at = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        char sender[64];

        if (i == gone)
            continue;
        assert_true(at < found->count);
        (void)snprintf(sender, sizeof sender, "sender%u@example.com", i);
        assert_int_equal(found->messages[at].sequence,
                         filled->mails[i].sequence);
        assert_int_equal(found->messages[at].offset, filled->offsets[i]);
        assert_int_equal(found->messages[at].size, filled->mails[i].size);
        assert_int_equal(found->messages[at].checksum_low,
                         filled->checksums[i]);
        assert_string_equal(found->messages[at].sender, sender);
        assert_int_equal(found->messages[at].is_genuine, is_genuine);
        at++;
    }
    assert_int_equal(at, found->count);
}

static void check_states(const struct found *found, int without_index)
{
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(found->messages[i].status,
                         expected_status(i, without_index));
        assert_int_equal(found->messages[i].mask & 1, i < 2);
    }
}

static void test_salvage__good_queue__all_with_states(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_salvage_report report;
    struct filled filled;
    struct found found;

    fill(fixture, &filled);
    assert_result(salvage(fixture, 0, &found, &report), 0);
    check_found(&found, &filled, COUNT, 1);
    check_states(&found, 0);
    assert_true(report.layout_known && report.index_used);
    assert_int_equal(report.damage_count, 0);
    assert_int_equal(report.messages, COUNT);
    /* The marks know nearly as much. */
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(salvage(fixture, 0, &found, &report), 0);
    check_found(&found, &filled, COUNT, 1);
    check_states(&found, 1);
    assert_false(report.index_used);
}

static void test_salvage__damaged_mail__all_others(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_salvage_report report;
    struct filled filled;
    struct found found;

    fill(fixture, &filled);
    fixture_damage(fixture, SYNCQ_DATA_FILE, filled.offsets[5] + 2000, 1);
    assert_result(salvage(fixture, 0, &found, &report), 0);
    check_found(&found, &filled, 5, 1);
    assert_int_equal(report.damage_count, 1);
    assert_true(report.damage_size >= filled.mails[5].size);
}

static void damage_layout(const struct fixture *fixture)
{
    const uint64_t last = FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE;

    fixture_damage(fixture, SYNCQ_DATA_FILE, 0, 2 * SYNCQ_PAGE_SIZE);
    for (uint64_t i = 0; i < FIXTURE_SEGMENT_COUNT; i++) {
        uint64_t start = SYNCQ_DATA_OFFSET + i * FIXTURE_SEGMENT_SIZE;

        fixture_damage(fixture, SYNCQ_DATA_FILE, start, SYNCQ_PAGE_SIZE);
        fixture_damage(fixture, SYNCQ_DATA_FILE, start + last, SYNCQ_PAGE_SIZE);
    }
}

static void test_salvage__no_superblock_no_pages__by_steps(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_salvage_report report;
    struct filled filled;
    struct found found;
    uint8_t record[4096];
    int fd;

    fill(fixture, &filled);
    /* A copy of a whole record elsewhere, as the cleaner makes them. */
    fd = open(fixture_path(fixture, SYNCQ_DATA_FILE), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, record, sizeof record, (off_t)filled.offsets[0]),
                     sizeof record);
    close(fd);
    fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                      SYNCQ_DATA_OFFSET + 2 * FIXTURE_SEGMENT_SIZE + 8192,
                      record, 1024);
    damage_layout(fixture);
    assert_result(salvage(fixture, 0, &found, &report), 0);
    assert_false(report.layout_known);
    check_found(&found, &filled, COUNT, 1);
    check_states(&found, 0);
    assert_int_equal(report.copies, 1);
    /* Whose queue it was is known from the index only. */
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_INDEX_FILE)), 0);
    assert_result(salvage(fixture, 0, &found, &report), SYNCQ_ERR_SUPERBLOCK);
    assert_result(salvage(fixture, 1, &found, &report), 0);
    assert_int_equal(found.count, COUNT + 1);
}

static void test_salvage__pages_gone__place_still_counts(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t last = FIXTURE_SEGMENT_SIZE - SYNCQ_PAGE_SIZE;
    struct syncq_salvage_report report;
    struct filled filled;
    struct found found;

    fill(fixture, &filled);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET, 64);
    fixture_damage(fixture, SYNCQ_DATA_FILE, SYNCQ_DATA_OFFSET + last, 64);
    assert_result(salvage(fixture, 0, &found, &report), 0);
    assert_true(report.layout_known);
    check_found(&found, &filled, COUNT, 1);
}

static void test_salvage__key__wrong_missing_none(void **state)
{
    struct fixture *fixture = *state;
    struct filled filled;
    struct found found;

    fill(fixture, &filled);
    fixture_damage(fixture, SYNCQ_KEY_FILE, 0, 3);
    assert_result(salvage(fixture, 0, &found, NULL), SYNCQ_ERR_KEY);
    assert_result(salvage(fixture, 1, &found, NULL), 0);
    check_found(&found, &filled, COUNT, 0);
    check_states(&found, 0); /* the index needs no key */
    assert_int_equal(unlink(fixture_path(fixture, SYNCQ_KEY_FILE)), 0);
    assert_result(salvage(fixture, 0, &found, NULL), SYNCQ_ERR_KEY_FILE);
    assert_result(salvage(fixture, 1, &found, NULL), 0);
    check_found(&found, &filled, COUNT, 0);
}

static void test_salvage__cut_short__what_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_salvage_report report;
    struct filled filled;
    struct found found;
    char path[1024];

    fill(fixture, &filled);
    (void)snprintf(path, sizeof path, "%s",
                   fixture_path(fixture, SYNCQ_DATA_FILE));
    assert_int_equal(truncate(path, (off_t)filled.offsets[7] + 300), 0);
    for (int without_key = 0; without_key < 2; without_key++) {
        assert_result(salvage(fixture, without_key, &found, &report), 0);
        check_found(&found, &filled, 7, !without_key);
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_result(salvage(fixture, 1, &found, NULL), 0);
    assert_int_equal(found.count, 0);
}

/* ---- a record inside a mail ---- */

static void make_envelope(const char *address, struct syncq_envelope *envelope)
{
    struct syncq_recipient recipient = {address, "", "", 0};

    assert_result(syncq_envelope_init(envelope), 0);
    assert_result(syncq_envelope_set_sender(envelope, "evil@example.com"), 0);
    assert_result(syncq_envelope_add_recipient(envelope, &recipient), 0);
    assert_result(syncq_envelope_group(envelope), 0);
}

/* A whole record, made with everything but the right key. */
static void forge(uint8_t *at, const struct syncq_key *key)
{
    struct syncq_record_header header = {.type = SYNCQ_RECORD_SMTP,
                                         .lsn = 1 << 20,
                                         .sequence = UINT64_C(77) << 40 | 1,
                                         .recipient_count = 1,
                                         .part_count = 1,
                                         .content_size = 6};
    struct syncq_envelope envelope;
    uint8_t *bytes;
    size_t size;

    make_envelope("victim@forged.example", &envelope);
    assert_result(syncq_envelope_encode(&envelope, &bytes, &size), 0);
    header.envelope_size = size;
    header.size = syncq_record_size(size, header.content_size);
    assert_true(header.size <= 512);
    memcpy(at + sizeof header, bytes, size);
    memcpy(at + sizeof header + size, "forged", 6);
    syncq_record_checksum(at + sizeof header, size + 6, header.checksum);
    syncq_record_header_seal(&header, key);
    memcpy(at, &header, sizeof header);
    free(bytes);
    syncq_envelope_clear(&envelope);
}

/* Store a mail whose body is full of forged records; where it is. */
static uint64_t store_carrier(struct fixture *fixture,
                              const struct syncq_key *key)
{
    enum { SIZE = 16 * 512 };
    struct syncq_envelope envelope;
    struct syncq_ticket ticket;
    uint8_t *encoded, *content = calloc(1, SIZE + SYNCQ_RECORD_STEP);
    struct iovec piece = {content, SIZE + SYNCQ_RECORD_STEP};
    uint64_t body, start, offset;
    size_t size;

    fixture_start(fixture);
    fixture_open(fixture);
    make_envelope("carrier@example.org", &envelope);
    assert_result(syncq_envelope_encode(&envelope, &encoded, &size), 0);
    free(encoded);
    body = sizeof(struct syncq_record_header) + size;
    start = round_up(body, SYNCQ_RECORD_STEP);
    for (uint64_t i = 0; i < 16; i++)
        forge(content + (start - body) + i * 512, key);
    assert_result(syncq_append(fixture->writer, SYNCQ_RECORD_SMTP, &envelope,
                               &piece, 1, &ticket),
                  0);
    assert_result(syncq_ticket_wait(fixture->writer, &ticket, FIXTURE_WAIT_MS),
                  0);
    offset = fixture_offset(fixture->writer, ticket.lsn);
    syncq_ticket_finish(fixture->writer, &ticket, SYNCQ_STATUS_SYNCED);
    fixture_stop(fixture);
    syncq_envelope_clear(&envelope);
    free(content);
    return offset;
}

static size_t count_forged(const struct found *found)
{
    size_t count = 0;

    for (size_t i = 0; i < found->count; i++)
        count +=
            strcmp(found->messages[i].recipient, "victim@forged.example") == 0;
    return count;
}

static void test_salvage__forged_inside_a_mail__never_genuine(void **state)
{
    struct fixture *fixture = *state;
    struct syncq_key key = {.bytes = {1}};
    struct found found;
    uint64_t offset = store_carrier(fixture, &key);

    /* Covered by a whole record it is not looked at, with and without key. */
    for (int without_key = 0; without_key < 2; without_key++) {
        assert_result(salvage(fixture, without_key, &found, NULL), 0);
        assert_int_equal(found.count, 1);
        assert_int_equal(count_forged(&found), 0);
    }
    /* Where the carrier is damaged, only those without a key are fooled. */
    fixture_damage(fixture, SYNCQ_DATA_FILE, offset, 8);
    assert_result(salvage(fixture, 0, &found, NULL), 0);
    assert_int_equal(found.count, 0);
    damage_layout(fixture);
    assert_result(salvage(fixture, 0, &found, NULL), 0);
    assert_int_equal(found.count, 0);
    assert_result(salvage(fixture, 1, &found, NULL), 0);
    assert_int_equal(count_forged(&found), 16);
    for (size_t i = 0; i < found.count; i++)
        assert_false(found.messages[i].is_genuine);
}

#define QUEUE(test)                                                            \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(test_salvage__good_queue__all_with_states),
        QUEUE(test_salvage__damaged_mail__all_others),
        QUEUE(test_salvage__no_superblock_no_pages__by_steps),
        QUEUE(test_salvage__pages_gone__place_still_counts),
        QUEUE(test_salvage__key__wrong_missing_none),
        QUEUE(test_salvage__cut_short__what_is_left),
        QUEUE(test_salvage__forged_inside_a_mail__never_genuine),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
