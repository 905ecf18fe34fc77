/* SPDX-License-Identifier: MIT */
/*
 * Each format on disk against a file made by the version that introduced it.
 * "test_golden FOLDER" writes the files of this version there instead; one
 * that differs from what lies in tests/golden/ needs a new version number and
 * a new name.
 */
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/bytes.h"
#include "module/envelope.h"
#include "module/limits.h"
#include "module/record_format.h"
#include "module/segment_format.h"
#include "module/superblock_format.h"
#include "tests/known_key.h"

#define FILE_SIZE_MAX 4096
#define RECORD_LSN    UINT64_C(0x0000000104001000)
#define CONTENT                                                                \
    "From: sender@example.org\r\nSubject: golden\r\n\r\nOne line.\r\n"

/* What one file holds. */
struct bytes {
    uint8_t at[FILE_SIZE_MAX];
    size_t size;
};

static void make_superblock(struct bytes *bytes)
{
    struct syncq_key key = known_key();
    struct syncq_superblock superblock = {
        .generation = 5,
        .file_size = SYNCQ_DATA_OFFSET + 16 * SYNCQ_SEGMENT_SIZE_DEFAULT,
        .segment_size = SYNCQ_SEGMENT_SIZE_DEFAULT,
        .segment_count = 16,
        .entry_count = 262144,
        .epoch = 3,
        .lsn_limit = 5 * SYNCQ_SEGMENT_SIZE_DEFAULT,
        .checkpoint = 42,
        .created_us = 1700000000123456,
    };

    memcpy(superblock.uuid, key.uuid, sizeof(superblock.uuid));
    syncq_superblock_seal(&superblock, &key);
    memcpy(bytes->at, &superblock, sizeof(superblock));
    bytes->size = sizeof(superblock);
}

static void make_segment_page(struct bytes *bytes)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page = {
        .number = 2,
        .change = 7,
        .generation = 4,
        .base_lsn = UINT64_C(0x0000000104000000),
        .state = SYNCQ_SEGMENT_CLOSED,
        .part_count = 1234,
        .end_lsn = UINT64_C(0x0000000107fff000),
    };

    syncq_segment_page_seal(&page, &key);
    memcpy(bytes->at, &page, sizeof(page));
    bytes->size = sizeof(page);
}

static void make_envelope(struct syncq_envelope *envelope)
{
    static const struct syncq_recipient recipients[] = {
        {"one@b.example", "", "", 0},
        {"two@A.example", "alias@a.example", "rfc822;alias@a.example", 7},
        {"three@b.example", "", "", 8},
    };
    size_t i;

    assert_result(syncq_envelope_init(envelope), 0);
    assert_result(syncq_envelope_set_sender(envelope, "sender@example.org"), 0);
    assert_result(syncq_envelope_set_instructions(envelope, "smtp:b.example"),
                  0);
    assert_result(
        syncq_envelope_set_attribute_text(envelope, "queue_id", "4XyZabc123z"),
        0);
    assert_result(
        syncq_envelope_set_attribute(envelope, "binary", "\x00\xff\n", 3), 0);
    for (i = 0; i < sizeof(recipients) / sizeof(*recipients); i++)
        assert_result(syncq_envelope_add_recipient(envelope, &recipients[i]),
                      0);
    assert_result(syncq_envelope_group(envelope), 0);
}

/* Header, envelope, content and padding around an encoded envelope. */
static void make_record(struct bytes *bytes, const uint8_t *envelope,
                        size_t envelope_size)
{
    struct syncq_key key = known_key();
    struct syncq_record_header header = {
        .type = SYNCQ_RECORD_SMTP,
        .lsn = RECORD_LSN,
        .sequence = UINT64_C(3) << SYNCQ_SEQUENCE_COUNTER_BITS | 77,
        .copy = 1,
        .recipient_count = 3,
        .envelope_size = envelope_size,
        .content_size = strlen(CONTENT),
        .size = syncq_record_size(envelope_size, strlen(CONTENT)),
        .date_us = 1700000001654321,
        .durable_lsn = RECORD_LSN - SYNCQ_PAGE_SIZE,
        .checkpoint = 42,
        .part_count = 2,
    };
    uint8_t *body = bytes->at + sizeof(header);

    assert_true(header.size <= sizeof(bytes->at));
    memset(bytes->at, 0, sizeof(bytes->at));
    memcpy(body, envelope, envelope_size);
    memcpy(body + envelope_size, CONTENT, strlen(CONTENT));
    syncq_record_checksum(body, envelope_size + strlen(CONTENT),
                          header.checksum);
    syncq_record_header_seal(&header, &key);
    memcpy(bytes->at, &header, sizeof(header));
    bytes->size = header.size;
}

static void make_smtp_record(struct bytes *bytes)
{
    struct syncq_envelope envelope;
    uint8_t *encoded = NULL;
    size_t size = 0;

    make_envelope(&envelope);
    assert_result(syncq_envelope_encode(&envelope, &encoded, &size), 0);
    make_record(bytes, encoded, size);
    free(encoded);
    syncq_envelope_clear(&envelope);
}

static FILE *open_golden(const char *folder, const char *name, const char *mode)
{
    char path[1000];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return fopen(path, mode);
}

/* automake names the source folder; without it we are in that folder. */
static void read_golden(const char *name, struct bytes *bytes)
{
    const char *source = getenv("srcdir");
    char folder[900];
    FILE *file;

    snprintf(folder, sizeof(folder), "%s/golden", source ? source : ".");
    file = open_golden(folder, name, "rb");
    assert_non_null(file);
    bytes->size = fread(bytes->at, 1, sizeof(bytes->at), file);
    fclose(file);
}

static const struct {
    const char *name;
    void (*make)(struct bytes *bytes);
} files[] = {
    {"superblock-1.bin", make_superblock},
    {"segment-page-1.bin", make_segment_page},
    {"record-smtp-1.bin", make_smtp_record},
};

static void test_golden__made_again__is_identical(void **state)
{
    struct bytes made, golden;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
        memset(&made, 0, sizeof(made));
        files[i].make(&made);
        read_golden(files[i].name, &golden);
        assert_int_equal(golden.size, made.size);
        assert_memory_equal(golden.at, made.at, made.size);
    }
}

static uint64_t u64_at(const struct bytes *bytes, size_t offset)
{
    return read_u32(bytes->at + offset) |
           (uint64_t)read_u32(bytes->at + offset + 4) << 32;
}

/* The offsets are those of superblock_format.h. */
static void test_golden__superblock__is_read(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_superblock superblock;
    struct bytes bytes;

    (void)state;
    read_golden("superblock-1.bin", &bytes);
    assert_int_equal(bytes.size, 136);
    assert_memory_equal(bytes.at, "SYNCQ\r\n\x1a", 8);
    assert_int_equal(read_u32(bytes.at + 8), 1);
    assert_int_equal(read_u32(bytes.at + 12), 0);
    assert_memory_equal(bytes.at + 16, key.uuid, 16);
    assert_int_equal(u64_at(&bytes, 32), 5);
    assert_int_equal(u64_at(&bytes, 40), 0x40100000);
    assert_int_equal(u64_at(&bytes, 48), 0x4000000);
    assert_int_equal(read_u32(bytes.at + 56), 16);
    assert_int_equal(read_u32(bytes.at + 60), 262144);
    assert_int_equal(u64_at(&bytes, 64), 3);
    assert_int_equal(u64_at(&bytes, 72), 0x14000000);
    assert_int_equal(u64_at(&bytes, 80), 42);
    assert_int_equal(u64_at(&bytes, 88), 1700000000123456);
    memcpy(&superblock, bytes.at, sizeof(superblock));
    memset(key.uuid, 0, sizeof(key.uuid));
    assert_result(syncq_superblock_check(&superblock, &key), 0);
}

/* The offsets are those of segment_format.h. */
static void test_golden__segment_page__is_read(void **state)
{
    struct syncq_key key = known_key();
    struct syncq_segment_page page;
    struct bytes bytes;

    (void)state;
    read_golden("segment-page-1.bin", &bytes);
    assert_int_equal(bytes.size, 64);
    assert_memory_equal(bytes.at, "QSEG", 4);
    assert_int_equal(read_u32(bytes.at + 4), 2);
    assert_int_equal(u64_at(&bytes, 8), 7);
    assert_int_equal(u64_at(&bytes, 16), 4);
    assert_int_equal(u64_at(&bytes, 24), 0x104000000);
    assert_int_equal(read_u32(bytes.at + 32), 3);
    assert_int_equal(read_u32(bytes.at + 36), 1234);
    assert_int_equal(u64_at(&bytes, 40), 0x107fff000);
    memcpy(&page, bytes.at, sizeof(page));
    assert_true(syncq_segment_page_valid(&page, &key, 2));
}

/* The offsets are those of record_format.h. */
static void test_golden__record_header__is_read(void **state)
{
    static const uint8_t signature[] = {0xfc, 0x58, 0x84, 0x85};
    struct syncq_key key = known_key();
    struct syncq_record_header header;
    struct bytes bytes;

    (void)state;
    read_golden("record-smtp-1.bin", &bytes);
    assert_memory_equal(bytes.at, signature, 4);
    assert_int_equal(bytes.at[4], 1);
    assert_int_equal(bytes.at[5], SYNCQ_RECORD_SMTP);
    assert_int_equal(u64_at(&bytes, 8), RECORD_LSN);
    assert_int_equal(u64_at(&bytes, 16), 0x3000000004d);
    assert_int_equal(read_u32(bytes.at + 24), 1);
    assert_int_equal(read_u32(bytes.at + 28), 3);
    assert_int_equal(u64_at(&bytes, 32), bytes.size);
    assert_int_equal(u64_at(&bytes, 48), strlen(CONTENT));
    assert_int_equal(u64_at(&bytes, 56), 1700000001654321);
    assert_int_equal(u64_at(&bytes, 64), 0x104000000);
    assert_int_equal(u64_at(&bytes, 72), 42);
    assert_int_equal(u64_at(&bytes, 80), 0);
    assert_int_equal(read_u32(bytes.at + 88), 2);
    memcpy(&header, bytes.at, sizeof(header));
    assert_result(
        syncq_record_header_check(&header, &key, RECORD_LSN, bytes.size), 0);
    assert_result(syncq_record_body_check(&header, bytes.at + 128), 0);
}

static void test_golden__record_body__is_read(void **state)
{
    struct syncq_record_header header;
    struct syncq_envelope envelope;
    struct bytes bytes;
    uint8_t *again = NULL;
    size_t size = 0, end;

    (void)state;
    read_golden("record-smtp-1.bin", &bytes);
    memcpy(&header, bytes.at, sizeof(header));
    assert_result(
        syncq_envelope_decode(bytes.at + 128, header.envelope_size, &envelope),
        0);
    assert_string_equal(envelope.sender, "sender@example.org");
    assert_string_equal(envelope.instructions, "smtp:b.example");
    assert_int_equal(envelope.part_count, 2);
    assert_string_equal(envelope.parts[0].domain, "a.example");
    assert_string_equal(envelope.recipients[0].address, "two@A.example");
    assert_string_equal(envelope.recipients[0].original, "alias@a.example");
    assert_string_equal(envelope.recipients[0].dsn_original,
                        "rfc822;alias@a.example");
    assert_int_equal(envelope.recipients[0].notify, 7);
    assert_string_equal(envelope.recipients[2].address, "three@b.example");
    assert_string_equal(
        syncq_envelope_attribute_text(&envelope, "queue_id", ""),
        "4XyZabc123z");
    assert_result(syncq_envelope_encode(&envelope, &again, &size), 0);
    assert_int_equal(size, header.envelope_size);
    assert_memory_equal(again, bytes.at + 128, size);
    assert_memory_equal(bytes.at + 128 + size, CONTENT, strlen(CONTENT));
    for (end = 128 + size + strlen(CONTENT); end < bytes.size; end++)
        assert_int_equal(bytes.at[end], 0);
    free(again);
    syncq_envelope_clear(&envelope);
}

static int write_files(const char *folder)
{
    int result = 0;
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
        FILE *file = open_golden(folder, files[i].name, "wb");
        struct bytes made;

        memset(&made, 0, sizeof(made));
        files[i].make(&made);
        if (!file || fwrite(made.at, 1, made.size, file) != made.size)
            result = 1;
        if (file && fclose(file))
            result = 1;
    }
    return result;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden__made_again__is_identical),
        cmocka_unit_test(test_golden__superblock__is_read),
        cmocka_unit_test(test_golden__segment_page__is_read),
        cmocka_unit_test(test_golden__record_header__is_read),
        cmocka_unit_test(test_golden__record_body__is_read),
    };

    if (argc == 2)
        return write_files(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
