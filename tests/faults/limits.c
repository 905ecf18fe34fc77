/* SPDX-License-Identifier: MIT */
/*
 * limits.c - the ends of what a format can say
 *
 * Records that end exactly at a page's or a segment's end; and every length
 * and count at 0, 1, around 256, 2^31, 2^32, 2^63 and all ones, in records,
 * pages and files that are genuine otherwise: made with the key, checksums and
 * all.  Whoever reads them must refuse, or find exactly what was written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "module/check.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/guard.h"
#include "tests/faults/limits.h"
#include "tests/faults/small_queue.h"

enum { SEGMENTS = 6, MAILS = 3, VICTIM = 1 };

static const uint64_t values[] = {
    0,
    1,
    127,
    128,
    255,
    256,
    257,
    4096,
    SMALL_SEGMENT_SIZE - 2 * SYNCQ_PAGE_SIZE,
    SMALL_SEGMENT_SIZE,
    (UINT64_C(1) << 31) - 1,
    UINT64_C(1) << 31,
    (UINT64_C(1) << 32) - 256,
    (UINT64_C(1) << 32) - 1,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 63) - 1,
    UINT64_C(1) << 63,
    UINT64_MAX - 255,
    UINT64_MAX - 127,
    UINT64_MAX,
};

struct limits {
    struct findings *findings;
    struct fixture *fixture;
    struct file_copy data, index;
    struct mail mails[MAILS];
    struct syncq_key key;
    uint64_t offset, marks_offset, void_offset; /* in the data file */
};

static void limits_init(struct limits *limits, struct findings *findings)
{
    struct fixture *running, *image;
    uint64_t marks_lsn;

    *limits = (struct limits){.findings = findings};
    running = small_queue_new(SMALL_SEGMENT_SIZE, SEGMENTS);
    fixture_start(running);
    fixture_open(running);
    for (unsigned i = 0; i < MAILS; i++) {
        mail_init(&limits->mails[i], i + 1, 3, 2, 1000);
        mail_store(running->writer, &limits->mails[i]);
    }
    mail_mark(running->writer, limits->mails, 1, SYNCQ_STATUS_DEFERRED,
              &marks_lsn);
    mail_store_simple(running->writer, &(struct mail){0}, 9, 10);
    limits->key = running->writer->key;
    limits->offset = fixture_offset(running->writer, limits->mails[VICTIM].lsn);
    limits->marks_offset = fixture_offset(running->writer, marks_lsn);
    limits->void_offset =
        limits->marks_offset +
        syncq_record_size(0, 2 * sizeof(struct syncq_mark_image));
    image = fixture_image(running);
    fixture_free(running);
    limits->fixture = image;
    file_copy_take(&limits->data, image, SYNCQ_DATA_FILE);
    file_copy_take(&limits->index, image, SYNCQ_INDEX_FILE);
}

static void limits_clear(struct limits *limits)
{
    fixture_free(limits->fixture);
    file_copy_clear(&limits->data);
    file_copy_clear(&limits->index);
    syncq_key_clear(&limits->key);
}

/* What is read of the mail that was changed is what is there, or nothing. */
static void judge_record(struct limits *limits, struct syncq_queue *queue,
                         const char *text, int is_free)
{
    const struct mail *mail = &limits->mails[VICTIM];
    struct syncq_record record;
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (syncq_record_read(queue, mail->lsn, 0, &record) != 0)
        return;
    if (!is_free && mail_difference(mail, &record) != NULL)
        findings_add(limits->findings, FINDING_ALTERED, text,
                     "its %s is believed", mail_difference(mail, &record));
    /* The envelope has one form only. */
    if (syncq_envelope_encode(&record.envelope, &bytes, &size) != 0 ||
        size != record.header.envelope_size ||
        memcmp(bytes, record.memory, size) != 0)
        findings_add(limits->findings, FINDING_ALTERED, text,
                     "an envelope is not what was decoded of it");
    free(bytes);
    syncq_record_clear(&record);
}

/* The others must be there whatever is wrong with the one. */
static void judge_others(struct limits *limits, struct syncq_queue *queue,
                         const char *text)
{
    for (unsigned i = 0; i < MAILS; i++) {
        struct syncq_record record;
        int result;

        if (i == VICTIM)
            continue;
        result = syncq_record_read(queue, limits->mails[i].lsn,
                                   limits->mails[i].sequence, &record);
        if (result != 0) {
            findings_add(limits->findings, FINDING_LOST, text,
                         "another mail: %s", syncq_strerror(result));
            continue;
        }
        if (mail_difference(&limits->mails[i], &record) != NULL)
            findings_add(limits->findings, FINDING_ALTERED, text,
                         "another mail");
        syncq_record_clear(&record);
    }
}

void limits_judge(struct limits *limits, const char *text,
                  enum limits_change change)
{
    static const struct syncq_check_visitor silent = {.damage = NULL};
    struct fixture *fixture = limits->fixture;
    struct syncq_check_report report;
    struct syncq_queue *queue;

    guard_begin(limits->findings, text);
    (void)syncq_check(fixture->queue, fixture->run, &silent, &report);
    for (int lost = 0; lost < 2; lost++) {
        if (lost)
            (void)unlink(fixture_path(fixture, SYNCQ_INDEX_FILE));
        if (fixture_recover(fixture, NULL, NULL) != 0) {
            if (change != LIMITS_FILE)
                findings_add(limits->findings, FINDING_STUCK, text,
                             "recovery fails");
            continue;
        }
        if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_READ,
                             &queue) != 0)
            continue;
        judge_record(limits, queue, text, change == LIMITS_ENVELOPE);
        judge_others(limits, queue, text);
        syncq_queue_close(queue);
    }
    guard_end();
    findings_count(limits->findings, TRIAL_DAMAGE, 1);
    file_copy_put(&limits->data, fixture, SYNCQ_DATA_FILE);
    file_copy_put(&limits->index, fixture, SYNCQ_INDEX_FILE);
}

/* ---- records ---- */

struct field {
    const char *name;
    size_t offset, size;
};

static void set_field(uint8_t *bytes, const struct field *field, uint64_t value)
{
    memcpy(bytes + field->offset, &value, field->size);
}

static void try_header(struct limits *limits, const char *what, uint64_t offset,
                       const struct field *field, uint64_t value)
{
    struct syncq_record_header header;
    char text[128];

    (void)snprintf(text, sizeof text, "%s %s=%" PRIu64, what, field->name,
                   value);
    if (!case_is_chosen(limits->findings, text))
        return;
    memcpy(&header, limits->data.bytes + offset, sizeof header);
    set_field((uint8_t *)&header, field, value);
    syncq_record_header_seal(&header, &limits->key);
    fixture_overwrite(limits->fixture, SYNCQ_DATA_FILE, offset, &header,
                      sizeof header);
    limits_judge(limits, text, LIMITS_RECORD);
}

#define FIELD(structure, member)                                               \
    {                                                                          \
#member, offsetof(struct structure, member),                           \
            sizeof(((struct structure *)0)->member)                            \
    }

static void try_headers(struct limits *limits)
{
    static const struct field fields[] = {
        FIELD(syncq_record_header, size),
        FIELD(syncq_record_header, envelope_size),
        FIELD(syncq_record_header, content_size),
        FIELD(syncq_record_header, recipient_count),
        FIELD(syncq_record_header, part_count),
        FIELD(syncq_record_header, lsn),
    };
    const struct {
        const char *name;
        uint64_t offset;
    } records[] = {{"message", limits->offset},
                   {"marks", limits->marks_offset},
                   {"void", limits->void_offset}};

    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof fields / sizeof fields[0]; j++)
            for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
                try_header(limits, records[i].name, records[i].offset,
                           &fields[j], values[k]);
}

/* Each four bytes of the envelope, most of which are no length. */
static void try_envelope(struct limits *limits, size_t at, uint32_t value)
{
    struct syncq_record_header header;
    uint8_t body[4096];
    uint64_t size;
    char text[128];

    (void)snprintf(text, sizeof text, "envelope+%zu=%" PRIu32, at, value);
    if (!case_is_chosen(limits->findings, text))
        return;
    memcpy(&header, limits->data.bytes + limits->offset, sizeof header);
    size = header.envelope_size + header.content_size;
    assert_true(size <= sizeof body);
    memcpy(body, limits->data.bytes + limits->offset + sizeof header, size);
    memcpy(body + at, &value, sizeof value);
    syncq_record_checksum(body, size, header.checksum);
    syncq_record_header_seal(&header, &limits->key);
    fixture_overwrite(limits->fixture, SYNCQ_DATA_FILE, limits->offset, &header,
                      sizeof header);
    fixture_overwrite(limits->fixture, SYNCQ_DATA_FILE,
                      limits->offset + sizeof header, body, size);
    limits_judge(limits, text, LIMITS_ENVELOPE);
}

static void try_envelopes(struct limits *limits)
{
    struct syncq_record_header header;

    memcpy(&header, limits->data.bytes + limits->offset, sizeof header);
    for (size_t at = 0; at + 4 <= header.envelope_size; at++)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
            if (values[i] <= UINT32_MAX)
                try_envelope(limits, at, (uint32_t)values[i]);
}

/* ---- pages and files ---- */

static void try_segment_pages(struct limits *limits)
{
    static const struct field fields[] = {
        FIELD(syncq_segment_page, number), FIELD(syncq_segment_page, base_lsn),
        FIELD(syncq_segment_page, state), FIELD(syncq_segment_page, end_lsn),
        FIELD(syncq_segment_page, part_count)};
    /* Of a segment that is free, so that no mail hangs on it. */
    uint64_t offset =
        SYNCQ_DATA_OFFSET + (SEGMENTS - 1) * (uint64_t)SMALL_SEGMENT_SIZE;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            struct syncq_segment_page page;
            char text[128];

            (void)snprintf(text, sizeof text, "segment page %s=%" PRIu64,
                           fields[i].name, values[j]);
            if (!case_is_chosen(limits->findings, text))
                continue;
            memcpy(&page, limits->data.bytes + offset, sizeof page);
            page.change += 10;
            page.state = SYNCQ_SEGMENT_CLOSED;
            page.base_lsn = 100 * SMALL_SEGMENT_SIZE;
            set_field((uint8_t *)&page, &fields[i], values[j]);
            syncq_segment_page_seal(&page, &limits->key);
            fixture_overwrite(limits->fixture, SYNCQ_DATA_FILE, offset, &page,
                              sizeof page);
            limits_judge(limits, text, LIMITS_FILE);
        }
}

static void try_superblocks(struct limits *limits)
{
    static const struct field fields[] = {
        FIELD(syncq_superblock, file_size),
        FIELD(syncq_superblock, segment_size),
        FIELD(syncq_superblock, segment_count),
        FIELD(syncq_superblock, entry_count),
        FIELD(syncq_superblock, lsn_limit),
        FIELD(syncq_superblock, checkpoint),
        FIELD(syncq_superblock, epoch)};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            struct syncq_superblock superblock;
            char text[128];

            (void)snprintf(text, sizeof text, "superblock %s=%" PRIu64,
                           fields[i].name, values[j]);
            if (!case_is_chosen(limits->findings, text))
                continue;
            memcpy(&superblock, limits->data.bytes, sizeof superblock);
            superblock.generation += 1000;
            set_field((uint8_t *)&superblock, &fields[i], values[j]);
            syncq_superblock_seal(&superblock, &limits->key);
            for (unsigned copy = 0; copy < 2; copy++)
                fixture_overwrite(limits->fixture, SYNCQ_DATA_FILE,
                                  copy * SYNCQ_PAGE_SIZE, &superblock,
                                  sizeof superblock);
            limits_judge(limits, text, LIMITS_FILE);
        }
}

static void try_index_headers(struct limits *limits)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct syncq_index_header header;
        char text[128];

        (void)snprintf(text, sizeof text, "index entry_count=%" PRIu64,
                       values[i]);
        if (values[i] > UINT32_MAX || !case_is_chosen(limits->findings, text))
            continue;
        memcpy(&header, limits->index.bytes, sizeof header);
        header.entry_count = (uint32_t)values[i];
        header.checksum =
            XXH3_64bits(&header, offsetof(struct syncq_index_header, checksum));
        fixture_overwrite(limits->fixture, SYNCQ_INDEX_FILE, 0, &header,
                          sizeof header);
        limits_judge(limits, text, LIMITS_RECORD);
    }
}

int main(int argc, char **argv)
{
    struct findings findings;
    struct limits limits;

    findings_begin(&findings, "limits", argc, argv);
    small_queue_begin();
    limits_init(&limits, &findings);
    try_headers(&limits);
    try_envelopes(&limits);
    try_segment_pages(&limits);
    try_superblocks(&limits);
    try_index_headers(&limits);
    limits_clear(&limits);
    limits_ends(&findings);
    small_queue_end();
    return findings_end(&findings);
}
