/* SPDX-License-Identifier: MIT */
#include "tests/faults/sample.h"

#include <stdlib.h>
#include <string.h>

#include "module/log_scan.h"
#include "tests/cmocka_all.h"

static struct sample_mail *store(struct sample *sample, uint32_t recipients,
                                 uint32_t domains, size_t size)
{
    struct sample_mail *made = &sample->mails[sample->mail_count++];

    assert_true(sample->mail_count <= SAMPLE_MAILS_MAX);
    made->status = SYNCQ_STATUS_SYNCED;
    mail_init(&made->mail, 1000 + sample->mail_count, recipients, domains,
              size);
    mail_store(sample->fixture->writer, &made->mail);
    return made;
}

/* The n-th mails of a stage get these words. */
static void mark(struct sample *sample, unsigned first, unsigned count,
                 unsigned status)
{
    for (unsigned i = first; i < first + count; i++) {
        struct sample_mail *made = &sample->mails[i];

        mail_mark(sample->fixture->writer, &made->mail, 1, status,
                  &made->marks_lsn);
        made->status = status;
    }
}

/* All processes die, and the helper starts again. */
static void crash(struct sample *sample)
{
    struct fixture *image = fixture_image(sample->fixture);

    fixture_free(sample->fixture);
    sample->fixture = image;
    fixture_start(image);
    fixture_open(image);
}

static void fill_stage(struct sample *sample)
{
    static const size_t sizes[] = {0, 100, 3000, 77, 6000, 1, 255, 512};
    unsigned first = sample->mail_count;

    for (unsigned i = 0; i < 8; i++)
        (void)store(sample, 1 + i % 5, 1 + i % 5 % 3, sizes[i]);
    mark(sample, first, 2, SYNCQ_STATUS_DONE);
    mark(sample, first + 2, 1, SYNCQ_STATUS_DEFERRED);
    mark(sample, first + 3, 1, SYNCQ_STATUS_HELD);
    mark(sample, first + 4, 1, SYNCQ_STATUS_CANCELLED);
    mark(sample, first + 5, 1, SYNCQ_STATUS_READY);
}

/* Confirmed, and its writer died before it said so to the index. */
static void store_unfinished(struct sample *sample)
{
    struct sample_mail *made = &sample->mails[sample->mail_count++];
    struct syncq_ticket ticket;

    made->status = SYNCQ_STATUS_SYNCED;
    mail_init(&made->mail, 999, 3, 2, 700);
    assert_result(mail_append(sample->fixture->writer, &made->mail, &ticket),
                  0);
    assert_result(
        syncq_ticket_wait(sample->fixture->writer, &ticket, FIXTURE_WAIT_MS),
        0);
    free(ticket.slots);
}

static int see_record(const struct syncq_record_header *header,
                      const uint8_t *body, void *context)
{
    struct sample *sample = context;
    struct sample_record *record = &sample->records[sample->record_count++];

    (void)body;
    assert_true(sample->record_count <= SAMPLE_RECORDS_MAX);
    record->header = *header;
    record->used =
        sizeof *header + header->envelope_size + header->content_size;
    return 0;
}

static int see_gap(const struct syncq_gap *gap, void *context)
{
    (void)gap;
    (void)context;
    return 0;
}

static void find_records(struct sample *sample)
{
    const struct syncq_log_visitor visitor = {see_record, see_gap, sample};
    struct syncq_queue *queue = fixture_reader(sample->fixture);

    sample->segment_size = queue->data.segment_size;
    for (uint32_t i = 0; i < queue->data.segment_count; i++) {
        unsigned first = sample->record_count;
        uint64_t base;

        if (syncq_segment_base(queue, i, &base) != 0)
            continue;
        assert_result(syncq_log_scan(queue, i, base, SYNCQ_PAGE_SIZE, &visitor),
                      0);
        for (unsigned j = first; j < sample->record_count; j++)
            sample->records[j].offset =
                syncq_data_segment_offset(&queue->data, i) +
                (sample->records[j].header.lsn - base);
    }
    syncq_queue_close(queue);
}

void sample_init(struct sample *sample, int clean)
{
    memset(sample, 0, sizeof *sample);
    sample->submitted = oracle_new();
    sample->fixture = small_queue_new(SMALL_SEGMENT_SIZE, SAMPLE_SEGMENTS);
    fixture_start(sample->fixture);
    fixture_open(sample->fixture);
    fill_stage(sample);
    crash(sample);
    file_copy_take(&sample->index_old, sample->fixture, SYNCQ_INDEX_FILE);
    fill_stage(sample);
    mark(sample, 2, 1, SYNCQ_STATUS_DONE);
    crash(sample);
    fill_stage(sample);
    assert_result(checkpoint_write(&sample->fixture->helper, 0), 0);
    file_copy_take(&sample->index_checkpoint, sample->fixture,
                   SYNCQ_INDEX_FILE);
    fill_stage(sample);
    mark(sample, 5, 1, SYNCQ_STATUS_DONE);
    mark(sample, 10, 1, SYNCQ_STATUS_DONE);
    if (clean) {
        fixture_stop(sample->fixture);
    } else {
        struct fixture *image;

        store_unfinished(sample);
        (void)store(sample, 1, 1, 10);
        image = fixture_image(sample->fixture);
        fixture_free(sample->fixture);
        sample->fixture = image;
    }
    file_copy_take(&sample->data, sample->fixture, SYNCQ_DATA_FILE);
    file_copy_take(&sample->index, sample->fixture, SYNCQ_INDEX_FILE);
    find_records(sample);
    for (unsigned i = 0; i < sample->mail_count; i++)
        oracle_say(sample->submitted, &sample->mails[i].mail, ORACLE_SUBMITTED);
}

void sample_clear(struct sample *sample)
{
    fixture_free(sample->fixture);
    oracle_free(sample->submitted);
    file_copy_clear(&sample->data);
    file_copy_clear(&sample->index);
    file_copy_clear(&sample->index_checkpoint);
    file_copy_clear(&sample->index_old);
    file_copy_clear(&sample->scratch);
}

void sample_restore(struct sample *sample)
{
    file_copy_put(&sample->data, sample->fixture, SYNCQ_DATA_FILE);
    file_copy_put(&sample->index, sample->fixture, SYNCQ_INDEX_FILE);
}
