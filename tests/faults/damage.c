/* SPDX-License-Identifier: MIT */
/*
 * damage.c - bytes that change on the medium
 *
 * Every bit of what describes the queue, one at a time; index files that are
 * torn, lost or another's; and bits, sectors and pages anywhere.  See
 * sample_judge.c for what has to be there afterwards.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/faults/damage_index.h"
#include "tests/faults/guard.h"
#include "tests/faults/sample.h"

enum {
    COUNT_DEFAULT = 3000,
    RECORDS_OF_A_TYPE = 3,
    PLACES_MAX = 128,
    SECTOR = 512,
};

/* A stretch of a file of which each bit is flipped. */
struct place {
    const char *what, *file;
    uint64_t offset, size;
};

struct places {
    struct place places[PLACES_MAX];
    unsigned count;
    uint64_t bits;
};

static void add_place(struct places *places, const char *what, const char *file,
                      uint64_t offset, uint64_t size)
{
    assert_true(places->count < PLACES_MAX);
    places->places[places->count++] = (struct place){what, file, offset, size};
    places->bits += size * 8;
}

static void add_records(const struct sample *sample, struct places *places)
{
    static const char *const names[] = {
        [SYNCQ_RECORD_SMTP] = "message", [SYNCQ_RECORD_POSTFIX] = "message",
        [SYNCQ_RECORD_SMS] = "message",  [SYNCQ_RECORD_MARKS] = "marks",
        [SYNCQ_RECORD_VOID] = "void",
    };
    unsigned seen[SYNCQ_RECORD_VOID + 1] = {0};

    for (unsigned i = 0; i < sample->record_count; i++) {
        const struct sample_record *record = &sample->records[i];
        uint8_t type = record->header.type;

        if (seen[type]++ < RECORDS_OF_A_TYPE || i + 4 > sample->record_count)
            add_place(places, names[type], SYNCQ_DATA_FILE, record->offset,
                      sizeof record->header);
    }
}

static void find_places(const struct sample *sample, struct places *places)
{
    *places = (struct places){.count = 0};
    for (unsigned i = 0; i < 2; i++)
        add_place(places, "superblock", SYNCQ_DATA_FILE, i * SYNCQ_PAGE_SIZE,
                  sizeof(struct syncq_superblock));
    for (unsigned i = 0; i < SAMPLE_SEGMENTS; i++) {
        uint64_t start = SYNCQ_DATA_OFFSET + i * sample->segment_size;

        add_place(places, "segment page", SYNCQ_DATA_FILE, start,
                  sizeof(struct syncq_segment_page));
        add_place(places, "segment page", SYNCQ_DATA_FILE,
                  start + sample->segment_size - SYNCQ_PAGE_SIZE,
                  sizeof(struct syncq_segment_page));
    }
    add_records(sample, places);
    add_place(places, "index header", SYNCQ_INDEX_FILE, 0,
              sizeof(struct syncq_index_header));
    for (unsigned i = 1; i <= 2; i++)
        add_place(places, "checkpoint", SYNCQ_INDEX_FILE, i * SYNCQ_PAGE_SIZE,
                  sizeof(struct syncq_checkpoint));
    for (unsigned i = 0; i < 8; i++) /* mails of one stage, in every state */
        add_place(places, "entry", SYNCQ_INDEX_FILE,
                  SYNCQ_INDEX_ENTRIES_OFFSET +
                      sample->mails[i].mail.slots[0] * SYNCQ_ENTRY_SIZE,
                  SYNCQ_ENTRY_SIZE);
    add_place(places, "free entry", SYNCQ_INDEX_FILE,
              SYNCQ_INDEX_ENTRIES_OFFSET +
                  (SMALL_ENTRY_COUNT - 1) * SYNCQ_ENTRY_SIZE,
              SYNCQ_ENTRY_SIZE);
}

static const struct file_copy *copy_of(const struct sample *sample,
                                       const char *file)
{
    return strcmp(file, SYNCQ_DATA_FILE) == 0 ? &sample->data : &sample->index;
}

static void flip(struct sample *sample, const char *file, uint64_t offset,
                 unsigned bit)
{
    uint8_t byte =
        copy_of(sample, file)->bytes[offset] ^ (uint8_t)(1u << bit % 8);

    fixture_overwrite(sample->fixture, file, offset, &byte, 1);
}

/* Now and then look closer. */
static enum sample_depth depth_of(uint64_t number)
{
    return number % 64 == 0  ? SAMPLE_WORKING
           : number % 8 == 0 ? SAMPLE_TWICE
                             : SAMPLE_ONCE;
}

/* Every step-th bit; the seed decides with which to begin. */
static void flip_each(struct sample *sample, struct findings *findings,
                      const char *stop, uint64_t count)
{
    struct places places;
    uint64_t number = 0, step;

    find_places(sample, &places);
    step = (places.bits + count - 1) / count;
    for (unsigned i = 0; i < places.count; i++) {
        const struct place *place = &places.places[i];

        for (uint64_t bit = 0; bit < place->size * 8; bit++, number++) {
            char text[128];

            if (findings->only == NULL && (number + findings->seed) % step != 0)
                continue;
            (void)snprintf(text, sizeof text,
                           "%s flip %s %s+%" PRIu64 " bit %" PRIu64, stop,
                           place->what, place->file, place->offset + bit / 8,
                           bit % 8);
            if (!case_is_chosen(findings, text))
                continue;
            flip(sample, place->file, place->offset + bit / 8,
                 (unsigned)(bit % 8));
            sample_judge(sample, depth_of(number / step), findings, text);
        }
    }
}

/* What a page or a sector holds after a write that went wrong. */
static void change_bytes(struct sample *sample, const char *file,
                         struct chance *chance, unsigned kind)
{
    const struct file_copy *copy = copy_of(sample, file);
    uint64_t size = kind == 1 ? SECTOR : SYNCQ_PAGE_SIZE;
    uint64_t first = chance_below(chance, copy->size / size) * size;
    uint64_t second = chance_below(chance, copy->size / size) * size;
    uint8_t bytes[SYNCQ_PAGE_SIZE] = {0};

    if (kind == 1)
        for (size_t i = 0; i < SECTOR; i++)
            bytes[i] = (uint8_t)chance_next(chance);
    if (kind < 3) {
        fixture_overwrite(sample->fixture, file, first, bytes, size);
        return;
    }
    fixture_overwrite(sample->fixture, file, first, copy->bytes + second, size);
    if (kind == 3) /* swapped; else one write was misdirected, one is stale */
        fixture_overwrite(sample->fixture, file, second, copy->bytes + first,
                          size);
}

/* The space before the first segment holds nothing: choose again. */
static uint64_t used_offset(const struct sample *sample, const char *file,
                            struct chance *chance)
{
    const struct file_copy *copy = copy_of(sample, file);

    for (;;) {
        uint64_t offset = chance_below(chance, copy->size);

        if (copy == &sample->index || offset >= SYNCQ_DATA_OFFSET ||
            offset < 2 * SYNCQ_PAGE_SIZE)
            return offset;
    }
}

static void change_anything(struct sample *sample, struct findings *findings,
                            const char *stop, uint64_t number)
{
    static const char *const kinds[] = {"bits", "sector", "zeros", "swap",
                                        "misdirected"};
    struct chance chance;
    const char *file;
    unsigned kind;
    char text[128];

    chance_init(&chance, findings->seed, number);
    kind = (unsigned)chance_below(&chance, 5);
    file = chance_below(&chance, 4) == 0 ? SYNCQ_INDEX_FILE : SYNCQ_DATA_FILE;
    (void)snprintf(text, sizeof text, "%s %s %s %" PRIu64, stop, kinds[kind],
                   file, number);
    if (!case_is_chosen(findings, text))
        return;
    if (kind == 0)
        for (uint64_t i = 1 + chance_below(&chance, 3); i > 0; i--)
            flip(sample, file, used_offset(sample, file, &chance),
                 (unsigned)chance_below(&chance, 8));
    else
        change_bytes(sample, file, &chance, kind);
    sample_judge(sample, depth_of(number), findings, text);
}

static void run(struct findings *findings, int clean, uint64_t count)
{
    const char *stop = clean ? "clean" : "crash";
    struct sample sample;

    sample_init(&sample, clean);
    flip_each(&sample, findings, stop, count / 2);
    damage_index(&sample, findings, stop);
    for (uint64_t i = 0; i < count / 2; i++)
        change_anything(&sample, findings, stop, i);
    sample_clear(&sample);
}

int main(int argc, char **argv)
{
    struct findings findings;
    uint64_t count;

    findings_begin(&findings, "damage", argc, argv);
    count = findings.count == 0 ? COUNT_DEFAULT : findings.count;
    small_queue_begin();
    run(&findings, 0, (count + 1) / 2);
    run(&findings, 1, (count + 1) / 2);
    small_queue_end();
    return findings_end(&findings);
}
