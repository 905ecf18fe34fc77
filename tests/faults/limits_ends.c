/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/guard.h"
#include "tests/faults/limits.h"
#include "tests/faults/small_queue.h"

enum { SEGMENTS = 6, LARGEST = SMALL_SEGMENT_SIZE - 2 * SYNCQ_PAGE_SIZE };

/* Content that makes the whole record this long. */
static size_t content_for(uint64_t record_size)
{
    struct mail empty;

    for (size_t size = record_size - sizeof(struct syncq_record_header);;
         size--) {
        mail_init(&empty, 1, 1, 1, size);
        if (mail_record_size(&empty) <= record_size)
            return size;
    }
}

/* First a mail of this size, so that the next one begins behind it, and a
 * last one: all are there without the index, and nothing is left blank. */
static void try_size(const struct fixture *base, struct findings *findings,
                     uint64_t record_size, int less)
{
    struct fixture *fixture, *image;
    struct syncq_recovery_report report;
    struct syncq_queue *queue;
    struct mail mails[3];
    char text[128];

    (void)snprintf(text, sizeof text, "record of %" PRIu64 " bytes%s",
                   record_size, less ? " less one" : "");
    if (!case_is_chosen(findings, text))
        return;
    guard_begin(findings, text);
    fixture = fixture_image(base);
    fixture_start(fixture);
    fixture_open(fixture);
    for (unsigned i = 0; i < 3; i++) {
        size_t size = i == 1 ? 10 : content_for(record_size) - (size_t)less;

        mail_store_simple(fixture->writer, &mails[i], 1, size);
    }
    image = fixture_image(fixture);
    assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
    assert_result(fixture_recover(image, &report, NULL), 0);
    if (report.messages != 3 || report.damage_count != 0)
        findings_add(findings, FINDING_LOST, text,
                     "%" PRIu64 " mails, %" PRIu32 " damaged places",
                     report.messages, report.damage_count);
    queue = fixture_reader(image);
    for (unsigned i = 0; i < 3; i++)
        mail_check(queue, &mails[i]);
    (void)log_check(queue, UINT64_MAX);
    syncq_queue_close(queue);
    fixture_free(image);
    fixture_free(fixture);
    guard_end();
    findings_count(findings, TRIAL_STATE, 1);
}

static void try_too_large(const struct fixture *base, struct findings *findings)
{
    static const char text[] = "record larger than a segment";
    struct fixture *fixture;
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    if (!case_is_chosen(findings, text))
        return;
    guard_begin(findings, text);
    fixture = fixture_image(base);
    fixture_start(fixture);
    fixture_open(fixture);
    mail_init(&mail, 1, 1, 1, content_for(LARGEST) + 1);
    result = mail_append(fixture->writer, &mail, &ticket);
    if (result != SYNCQ_ERR_TOO_LARGE)
        findings_add(findings, FINDING_STUCK, text, "%s",
                     syncq_strerror(result));
    fixture_free(fixture);
    guard_end();
    findings_count(findings, TRIAL_STATE, 1);
}

void limits_ends(struct findings *findings)
{
    struct fixture *base = small_queue_new(SMALL_SEGMENT_SIZE, SEGMENTS);

    for (uint64_t pages = 1; pages * SYNCQ_PAGE_SIZE <= LARGEST; pages++)
        for (int steps = -1; steps <= 1; steps++) {
            uint64_t size = pages * SYNCQ_PAGE_SIZE +
                            (uint64_t)(steps * (int64_t)SYNCQ_RECORD_STEP);

            if (size > LARGEST)
                continue;
            try_size(base, findings, size, 0);
            try_size(base, findings, size, 1);
        }
    try_too_large(base, findings);
    fixture_free(base);
}
