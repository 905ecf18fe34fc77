/* SPDX-License-Identifier: MIT */
/*
 * sample_judge.c - what has to be there after a damaged queue was recovered
 *
 *   a record that the damage did not touch   its mail is there, byte for byte,
 *                                            in its state, or on hold where a
 *                                            lost record may have been a mark
 *   one that it touched                      reported with a range that covers
 *                                            it; whole or not there
 *   the same at the very end of the log      looks like a torn tail, which it
 *                                            may be: no report is asked for
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "module/check.h"
#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/guard.h"
#include "tests/faults/sample.h"

enum { RANGES_MAX = 2 * SYNCQ_DAMAGE_MAX };

struct verdict {
    struct sample *sample;
    struct findings *findings;
    const char *text;
    struct syncq_recovery_report report;
    struct syncq_damage ranges[RANGES_MAX];
    unsigned range_count;
    unsigned touched;     /* records */
    unsigned pages_lost;  /* segments without either page */
    int superblocks_lost; /* both */
    uint64_t durable_lsn; /* as far as anything intact tells */
};

#define SAY(verdict, finding, ...)                                             \
    findings_add((verdict)->findings, finding, (verdict)->text, __VA_ARGS__)

static int differs(const struct sample *sample, uint64_t offset, size_t size)
{
    return offset + size > sample->scratch.size ||
           memcmp(sample->data.bytes + offset, sample->scratch.bytes + offset,
                  size) != 0;
}

/* Before recovery: what did the damage touch? */
static void find_touched(struct verdict *verdict)
{
    struct sample *sample = verdict->sample;

    file_copy_take(&sample->scratch, sample->fixture, SYNCQ_DATA_FILE);
    verdict->superblocks_lost =
        differs(sample, 0, sizeof(struct syncq_superblock)) &&
        differs(sample, SYNCQ_PAGE_SIZE, sizeof(struct syncq_superblock));
    for (unsigned i = 0; i < SAMPLE_SEGMENTS; i++) {
        uint64_t start = SYNCQ_DATA_OFFSET + i * sample->segment_size;

        verdict->pages_lost +=
            differs(sample, start, sizeof(struct syncq_segment_page)) &&
            differs(sample, start + sample->segment_size - SYNCQ_PAGE_SIZE,
                    sizeof(struct syncq_segment_page));
    }
    for (unsigned i = 0; i < sample->record_count; i++) {
        struct sample_record *record = &sample->records[i];

        record->touched = differs(sample, record->offset, record->used);
        verdict->touched += (unsigned)record->touched;
        if (!record->touched &&
            record->header.durable_lsn > verdict->durable_lsn)
            verdict->durable_lsn = record->header.durable_lsn;
    }
}

static void add_range(const struct syncq_damage *damage, void *context)
{
    struct verdict *verdict = context;

    if (verdict->range_count < RANGES_MAX)
        verdict->ranges[verdict->range_count++] = *damage;
}

static void check_queue(struct verdict *verdict)
{
    const struct fixture *fixture = verdict->sample->fixture;
    const struct syncq_check_visitor visitor = {.damage = add_range,
                                                .context = verdict};
    struct syncq_check_report report;
    int result = syncq_check(fixture->queue, fixture->run, &visitor, &report);

    if (result != 0)
        SAY(verdict, FINDING_STUCK, "check fails: %s", syncq_strerror(result));
    for (uint32_t i = 0;
         i < verdict->report.damage_count && i < SYNCQ_DAMAGE_MAX; i++)
        add_range(&verdict->report.damages[i], verdict);
    if (result == 0 && verdict->touched == 0 && report.damage_count > 0)
        SAY(verdict, FINDING_STUCK, "damage reported where there is none");
}

static int is_reported(const struct verdict *verdict,
                       const struct sample_record *record)
{
    for (unsigned i = 0; i < verdict->range_count; i++)
        if (verdict->ranges[i].offset <= record->offset &&
            verdict->ranges[i].offset + verdict->ranges[i].size >=
                record->offset + record->used)
            return 1;
    return 0;
}

/* Behind the last record of a closed segment there was never anything. */
static int is_tail(const struct sample *sample,
                   const struct sample_record *record)
{
    uint64_t end = record->offset - SYNCQ_DATA_OFFSET + record->header.size +
                   SYNCQ_PAGE_SIZE;

    return record->header.type == SYNCQ_RECORD_VOID &&
           end % sample->segment_size == 0;
}

static void check_reports(struct verdict *verdict)
{
    for (unsigned i = 0; i < verdict->sample->record_count; i++) {
        const struct sample_record *record = &verdict->sample->records[i];

        if (record->touched && record->header.lsn < verdict->durable_lsn &&
            verdict->pages_lost == 0 && !is_tail(verdict->sample, record) &&
            !is_reported(verdict, record))
            SAY(verdict, FINDING_STUCK,
                "damaged record type %u at %" PRIu64 " is not reported",
                record->header.type, record->offset);
    }
}

static int record_touched(const struct verdict *verdict, uint64_t lsn)
{
    for (unsigned i = 0; i < verdict->sample->record_count; i++)
        if (verdict->sample->records[i].header.lsn == lsn)
            return verdict->sample->records[i].touched;
    return 0;
}

/* May a part of this mail have another state than it had? */
static int may_be(const struct verdict *verdict,
                  const struct sample_mail *sample_mail, unsigned status)
{
    if (status == sample_mail->status)
        return 1;
    if (status == SYNCQ_STATUS_HELD &&
        ((verdict->report.marks_missing && verdict->touched > 0) ||
         verdict->pages_lost > 0))
        return 1;
    if (record_touched(verdict, sample_mail->mail.lsn))
        return status == SYNCQ_STATUS_FREE || status == SYNCQ_STATUS_LOST;
    /* Its last word looks like a torn tail. */
    return sample_mail->marks_lsn >= verdict->durable_lsn &&
           record_touched(verdict, sample_mail->marks_lsn);
}

/* mail_status compares the entry's LSN, too. */
static void check_states(struct verdict *verdict, struct syncq_queue *queue)
{
    for (unsigned i = 0; i < verdict->sample->mail_count; i++) {
        const struct sample_mail *want = &verdict->sample->mails[i];

        for (uint32_t part = 0; part < want->mail.part_count; part++) {
            unsigned status = mail_status(queue, &want->mail, part);

            if (may_be(verdict, want, status))
                continue;
            SAY(verdict,
                syncq_status_is_final(want->status) ? FINDING_RESURRECTED
                : status == SYNCQ_STATUS_FREE || status == SYNCQ_STATUS_LOST
                    ? FINDING_LOST
                    : FINDING_STUCK,
                "mail %u part %u is %s, was %s; %s", i, part,
                syncq_status_name(status), syncq_status_name(want->status),
                syncq_replay_reason_text(verdict->report.reason));
        }
    }
}

/* The damaged stretch as one range; both 0 when no record was touched. */
static struct oracle_excuse make_excuse(const struct verdict *verdict)
{
    struct oracle_excuse excuse = {.reported = 1};

    for (unsigned i = 0; i < verdict->sample->record_count; i++) {
        const struct sample_record *record = &verdict->sample->records[i];
        uint64_t end = record->offset + record->used;

        if (!record->touched)
            continue;
        if (excuse.damaged_to == 0 || record->offset < excuse.damaged_from)
            excuse.damaged_from = record->offset;
        if (end > excuse.damaged_to)
            excuse.damaged_to = end;
    }
    return excuse;
}

static void say_words(struct oracle *oracle, const struct verdict *verdict,
                      const struct sample_mail *want)
{
    int final = syncq_status_is_final(want->status);
    int touched = record_touched(verdict, want->mail.lsn) ||
                  record_touched(verdict, want->marks_lsn);

    if (!touched)
        oracle_say(oracle, &want->mail, ORACLE_CONFIRMED);
    if (final)
        oracle_say(oracle, &want->mail,
                   touched ? ORACLE_DONE : ORACLE_DONE_DURABLE);
    if (want->status == SYNCQ_STATUS_HELD)
        oracle_say(oracle, &want->mail, touched ? ORACLE_HOLDING : ORACLE_HELD);
}

/* The excuse may be long when two far places were touched, so each mail in
 * between is looked at here. */
static void check_whole(struct verdict *verdict, struct syncq_queue *queue,
                        const struct sample_mail *want)
{
    struct syncq_record record;
    const char *difference;
    int result =
        syncq_record_read(queue, want->mail.lsn, want->mail.sequence, &record);

    if (result != 0) {
        if (!record_touched(verdict, want->mail.lsn))
            SAY(verdict, FINDING_LOST, "mail at lsn %" PRIx64 ": %s",
                want->mail.lsn, syncq_strerror(result));
        return;
    }
    difference = mail_difference(&want->mail, &record);
    if (difference != NULL)
        SAY(verdict, FINDING_ALTERED, "mail at lsn %" PRIx64 ": its %s",
            want->mail.lsn, difference);
    syncq_record_clear(&record);
}

static void check_mails(struct verdict *verdict, struct syncq_queue *queue)
{
    struct oracle *oracle = oracle_copy(verdict->sample->submitted);
    struct oracle_excuse excuse = make_excuse(verdict);

    for (unsigned i = 0; i < verdict->sample->mail_count; i++) {
        check_whole(verdict, queue, &verdict->sample->mails[i]);
        say_words(oracle, verdict, &verdict->sample->mails[i]);
    }
    if (verdict->pages_lost > 0) /* any part there may be on hold */
        excuse = (struct oracle_excuse){0, verdict->sample->data.size, 1};
    (void)oracle_check(oracle, queue, &excuse, verdict->findings,
                       verdict->text);
    oracle_free(oracle);
}

static void check_again(struct verdict *verdict)
{
    struct part_states *first = states_read(verdict->sample->fixture), *second;
    int result = fixture_recover(verdict->sample->fixture, NULL, NULL);

    if (result != 0)
        SAY(verdict, FINDING_STUCK, "the second recovery fails: %s",
            syncq_strerror(result));
    second = states_read(verdict->sample->fixture);
    if (first->count != second->count ||
        memcmp(first->parts, second->parts,
               first->count * sizeof first->parts[0]) != 0)
        SAY(verdict, FINDING_STUCK, "the second recovery changes something");
    free(first);
    free(second);
}

static void check_working(struct verdict *verdict)
{
    struct fixture *fixture = verdict->sample->fixture;
    struct mail mail;

    fixture_start(fixture);
    fixture_open(fixture);
    mail_store_simple(fixture->writer, &mail, 5, 500);
    mail_check(fixture->writer, &mail);
    fixture_stop(fixture);
}

static void judge(struct verdict *verdict, enum sample_depth depth)
{
    struct fixture *fixture = verdict->sample->fixture;
    struct syncq_queue *queue;
    int result = fixture_recover(fixture, &verdict->report, NULL);

    if (result != 0) {
        if (!verdict->superblocks_lost)
            SAY(verdict, FINDING_STUCK, "recovery fails: %s",
                syncq_strerror(result));
        return;
    }
    check_queue(verdict);
    if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_READ,
                         &queue) != 0) {
        SAY(verdict, FINDING_STUCK, "the queue cannot be read");
        return;
    }
    check_reports(verdict);
    check_states(verdict, queue);
    check_mails(verdict, queue);
    syncq_queue_close(queue);
    if (depth >= SAMPLE_TWICE)
        check_again(verdict);
    if (depth >= SAMPLE_WORKING)
        check_working(verdict);
}

void sample_judge(struct sample *sample, enum sample_depth depth,
                  struct findings *findings, const char *case_text)
{
    struct verdict verdict = {
        .sample = sample, .findings = findings, .text = case_text};

    guard_begin(findings, case_text);
    find_touched(&verdict);
    judge(&verdict, depth);
    guard_end();
    findings_count(findings, TRIAL_DAMAGE, 1);
    sample_restore(sample);
}
