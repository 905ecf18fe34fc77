/* SPDX-License-Identifier: MIT */
/*
 * forgery.c - mails made by somebody who knows everything but the key
 *
 * forgery_mail.c makes them: whole records, segment pages, superblocks, marks
 * and void records, genuine ones from elsewhere, for the very place where they
 * will lie.  They are appended like any mail, then scanned after their own
 * header was damaged, their middle overwritten, the power has failed, the
 * index was lost, or a segment was used again.  Nothing of them may count:
 * no message, no mark, no segment, no superblock.  The control has the key,
 * and must be believed, or else this test sees nothing.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "tests/cmocka_all.h"
#include "tests/faults/forgery_mail.h"
#include "tests/faults/guard.h"
#include "tests/faults/small_queue.h"

enum {
    COUNT_DEFAULT = 1500,
    SEGMENTS = 8,
    SEGMENT_PAGES = 64,
    CARRIERS = 8, /* adversarial mails in one queue */
    HONEST = 4,
};

struct attack {
    struct findings *findings;
    const char *text;
    struct chance chance;
    struct fixture *fixture;
    struct mail honest[HONEST];
    uint64_t carriers[CARRIERS], lsns[CARRIERS]; /* sequences, places */
    int key_known;
    int next_lap; /* made for the time when the segment is used again */
};

static void store_honest(struct attack *attack, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        mail_store_simple(attack->fixture->writer, &attack->honest[i], i + 1,
                          300 * i);
}

/* One of them is delivered: a replayed old word must not bring it back, and
 * a forged one must not finish the others. */
static void deliver_first(struct attack *attack)
{
    mail_mark(attack->fixture->writer, &attack->honest[0], 1, SYNCQ_STATUS_DONE,
              NULL);
}

static void append_carriers(struct attack *attack)
{
    struct forger forger;

    forger_init(&forger, attack->fixture, &attack->chance, attack->key_known);
    forger_see(&forger, attack->honest, HONEST / 2);
    if (attack->next_lap)
        forger_aim_at_next_lap(&forger);
    for (unsigned i = 0; i < CARRIERS; i++)
        assert_int_equal(
            forger_append(&forger, &attack->carriers[i], &attack->lsns[i]), 0);
    forger_clear(&forger);
}

/* All of it was delivered, the segment retired and opened again: its old bytes
 * are there, and nothing tells them from new ones but LSN and MAC. */
static void open_again(const struct attack *attack, struct fixture *image)
{
    struct syncq_segment_page page;
    struct syncq_queue *queue;
    uint64_t base;
    uint32_t segment;

    assert_int_equal(
        syncq_queue_open_files(image->queue, image->run, 1, &queue), 0);
    assert_int_equal(
        syncq_segment_find(queue, attack->lsns[0], &segment, &base), 0);
    assert_int_equal(
        syncq_data_read_segment_page(&queue->data, &queue->key, segment, &page),
        0);
    page.base_lsn = queue->data.superblock.lsn_limit;
    page.generation++;
    page.state = SYNCQ_SEGMENT_OPEN;
    queue->data.superblock.lsn_limit += queue->data.segment_size;
    assert_int_equal(syncq_data_write_superblock(&queue->data, &queue->key), 0);
    assert_int_equal(
        syncq_data_write_segment_page(&queue->data, &queue->key, &page), 0);
    syncq_queue_close(queue);
}

/* Make recovery look into the bodies. */
static void damage_headers(struct attack *attack, struct fixture *image,
                           uint64_t how)
{
    struct syncq_queue *queue = fixture_reader(image);

    for (unsigned i = 0; i < CARRIERS; i++) {
        uint64_t offset = fixture_offset(queue, attack->lsns[i]);

        if (attack->key_known || how == 0 || chance_below(&attack->chance, 2))
            fixture_damage(image, SYNCQ_DATA_FILE,
                           offset + chance_below(&attack->chance, 112), 1);
        if (how == 1) /* a later record was torn in the middle of it */
            fixture_damage(image, SYNCQ_DATA_FILE, offset + SYNCQ_RECORD_STEP,
                           SYNCQ_RECORD_STEP);
    }
    syncq_queue_close(queue);
}

static void expose(struct attack *attack, struct fixture *image)
{
    uint64_t how = chance_below(&attack->chance, 3);

    if (attack->next_lap)
        open_again(attack, image);
    else
        damage_headers(attack, image, how);
    if (attack->key_known || how != 2)
        assert_int_equal(unlink(fixture_path(image, SYNCQ_INDEX_FILE)), 0);
}

static int is_known(const struct attack *attack, uint64_t sequence)
{
    for (unsigned i = 0; i < HONEST; i++)
        if (attack->honest[i].sequence == sequence)
            return 1;
    for (unsigned i = 0; i < CARRIERS; i++)
        if (attack->carriers[i] == sequence)
            return 1;
    return 0;
}

/* Entries that nobody of ours has made, and honest mail with another state. */
static unsigned count_believed(const struct attack *attack,
                               struct fixture *image,
                               const struct syncq_recovery_report *report)
{
    struct syncq_queue *queue = fixture_reader(image);
    unsigned believed = 0;

    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        believed += syncq_entry_read(queue, slot, &view) == 0 &&
                    !is_known(attack, view.sequence);
    }
    for (unsigned i = 0; i < HONEST && !attack->next_lap; i++) {
        unsigned status = mail_status(queue, &attack->honest[i], 0);
        unsigned want = i == 0 ? SYNCQ_STATUS_DONE : SYNCQ_STATUS_SYNCED;

        believed += status != want &&
                    !(status == SYNCQ_STATUS_HELD && report->marks_missing);
    }
    syncq_queue_close(queue);
    return believed;
}

/* How many forgeries were believed. */
static unsigned recover_exposed(struct attack *attack)
{
    struct fixture *image = fixture_image(attack->fixture);
    struct syncq_recovery_report report;
    unsigned believed = 0;
    int result;

    expose(attack, image);
    result = fixture_recover(image, &report, NULL);
    if (result != 0)
        findings_add(attack->findings, FINDING_STUCK, attack->text,
                     "recovery fails: %s", syncq_strerror(result));
    else
        believed = count_believed(attack, image, &report);
    fixture_free(image);
    return believed;
}

static unsigned run_attack(const struct fixture *base,
                           struct findings *findings, const char *text,
                           uint64_t number, int key_known)
{
    struct attack attack = {.findings = findings,
                            .text = text,
                            .key_known = key_known,
                            .next_lap = number % 4 == 3};
    unsigned believed;

    chance_init(&attack.chance, findings->seed, number);
    guard_begin(findings, text);
    attack.fixture = fixture_image(base);
    fixture_start(attack.fixture);
    fixture_open(attack.fixture);
    store_honest(&attack, 0, HONEST / 2);
    deliver_first(&attack);
    append_carriers(&attack);
    store_honest(&attack, HONEST / 2, HONEST / 2);
    believed = recover_exposed(&attack);
    fixture_free(attack.fixture);
    guard_end();
    return believed;
}

/* With the right key each queue's forgeries would be believed. */
static void control(const struct fixture *base, struct findings *findings,
                    const char *text, uint64_t number)
{
    if (case_is_chosen(findings, text) &&
        run_attack(base, findings, text, number, 1) == 0)
        findings_add(findings, FINDING_STUCK, text,
                     "not even with the key is a forgery believed: this test "
                     "is blind");
}

int main(int argc, char **argv)
{
    struct findings findings;
    struct fixture *base;
    uint64_t count;

    findings_begin(&findings, "forgery", argc, argv);
    count = findings.count == 0 ? COUNT_DEFAULT : findings.count;
    small_queue_begin();
    base = small_queue_new(SEGMENT_PAGES * SYNCQ_PAGE_SIZE, SEGMENTS);
    for (uint64_t i = 0; i * CARRIERS < count; i++) {
        char text[64];
        unsigned believed;

        (void)snprintf(text, sizeof text, "queue %" PRIu64, i);
        if (!case_is_chosen(&findings, text))
            continue;
        believed = run_attack(base, &findings, text, i, 0);
        if (believed > 0)
            findings_add(&findings, FINDING_FORGED, text,
                         "%u forgeries were believed", believed);
        findings_count(&findings, TRIAL_FORGERY, CARRIERS);
    }
    control(base, &findings, "control", 0);
    control(base, &findings, "control of the next lap", 3);
    fixture_free(base);
    small_queue_end();
    return findings_end(&findings);
}
