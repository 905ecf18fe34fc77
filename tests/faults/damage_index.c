/* SPDX-License-Identifier: MIT */
#include "tests/faults/damage_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/faults/guard.h"

/* Write bytes over the index, which then is size bytes long. */
static void replace(struct sample *sample, const void *bytes, size_t size)
{
    const struct file_copy copy = {(uint8_t *)(uintptr_t)bytes, size};

    file_copy_put(&copy, sample->fixture, SYNCQ_INDEX_FILE);
}

static void put_deleted(struct sample *sample)
{
    assert_int_equal(unlink(fixture_path(sample->fixture, SYNCQ_INDEX_FILE)),
                     0);
}

static void put_empty(struct sample *sample)
{
    replace(sample, "", 0);
}

static void put_half(struct sample *sample)
{
    replace(sample, sample->index.bytes, sample->index.size / 2);
}

static void put_header_only(struct sample *sample)
{
    replace(sample, sample->index.bytes, 100);
}

static void put_filled(struct sample *sample, int byte)
{
    uint8_t *bytes = malloc(sample->index.size);

    assert_non_null(bytes);
    memset(bytes, byte, sample->index.size);
    replace(sample, bytes, sample->index.size);
    free(bytes);
}

static void put_ones(struct sample *sample)
{
    put_filled(sample, 0xff);
}

static void put_zeros(struct sample *sample)
{
    put_filled(sample, 0);
}

/* Of the last checkpoint; nothing was lost, the log goes on from there. */
static void put_checkpoint(struct sample *sample)
{
    replace(sample, sample->index_checkpoint.bytes,
            sample->index_checkpoint.size);
}

/* Of an older epoch. */
static void put_old(struct sample *sample)
{
    replace(sample, sample->index_old.bytes, sample->index_old.size);
}

/* Its own, and still as it was when the queue was new. */
static void put_fresh(struct sample *sample)
{
    struct syncq_queue *queue = fixture_reader(sample->fixture);

    put_deleted(sample);
    assert_int_equal(syncq_index_create(queue->directory_fd, SYNCQ_INDEX_FILE,
                                        queue->key.uuid, SMALL_ENTRY_COUNT),
                     0);
    syncq_queue_close(queue);
}

/* Its own, from before the queue grew. */
static void put_other_count(struct sample *sample)
{
    struct syncq_queue *queue = fixture_reader(sample->fixture);

    put_deleted(sample);
    assert_int_equal(syncq_index_create(queue->directory_fd, SYNCQ_INDEX_FILE,
                                        queue->key.uuid, SMALL_ENTRY_COUNT * 2),
                     0);
    syncq_queue_close(queue);
}

static void put_of_another_queue(struct sample *sample)
{
    struct sample *other = calloc(1, sizeof *other);

    assert_non_null(other);
    small_queue_end(); /* what is made from now on has another UUID and key */
    small_queue_begin();
    sample_init(other, 1);
    replace(sample, other->index.bytes, other->index.size);
    sample_clear(other);
    free(other);
}

static void judge_whole(struct sample *sample, struct findings *findings,
                        const char *stop)
{
    static const struct {
        const char *name;
        void (*put)(struct sample *sample);
    } kinds[] = {
        {"deleted", put_deleted},
        {"empty", put_empty},
        {"half", put_half},
        {"header only", put_header_only},
        {"all ones", put_ones},
        {"all zeros", put_zeros},
        {"checkpoint", put_checkpoint},
        {"older epoch", put_old},
        {"fresh", put_fresh},
        {"before a grow", put_other_count},
        {"another queue's", put_of_another_queue},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char text[128];

        (void)snprintf(text, sizeof text, "%s index %s", stop, kinds[i].name);
        if (!case_is_chosen(findings, text))
            continue;
        kinds[i].put(sample);
        sample_judge(sample, SAMPLE_WORKING, findings, text);
    }
}

static void judge_pages(struct sample *sample, struct findings *findings,
                        const char *stop)
{
    static const uint8_t zeros[SYNCQ_PAGE_SIZE];

    for (size_t page = 0; page < sample->index.size / SYNCQ_PAGE_SIZE; page++) {
        char text[128];

        (void)snprintf(text, sizeof text, "%s index page %zu zeroed", stop,
                       page);
        if (!case_is_chosen(findings, text))
            continue;
        fixture_overwrite(sample->fixture, SYNCQ_INDEX_FILE,
                          page * SYNCQ_PAGE_SIZE, zeros, sizeof zeros);
        sample_judge(sample, SAMPLE_TWICE, findings, text);
    }
}

/*
 * A stretch of the index was torn while it was written: its first bytes as they
 * are now, the rest as at the checkpoint, or the other way round.  What comes
 * later on disk, the checkpoint after the entries, is still as it was.
 */
static void judge_cut(struct sample *sample, struct findings *findings,
                      const char *stop, uint64_t offset, uint64_t size)
{
    const struct file_copy *then = &sample->index_checkpoint;
    int is_entry = offset >= SYNCQ_INDEX_ENTRIES_OFFSET;

    for (uint64_t cut = 8; cut < size; cut += 8) {
        for (int newer_first = 0; newer_first < 2; newer_first++) {
            uint64_t from = newer_first == is_entry ? 0 : cut;
            uint64_t to = newer_first == is_entry ? cut : size;
            const struct file_copy *torn = is_entry ? &sample->index : then;
            char text[128];

            (void)snprintf(text, sizeof text,
                           "%s index+%" PRIu64 " torn at %" PRIu64
                           ", %s bytes first",
                           stop, offset, cut, newer_first ? "newer" : "older");
            if (!case_is_chosen(findings, text))
                continue;
            if (is_entry)
                file_copy_put(then, sample->fixture, SYNCQ_INDEX_FILE);
            fixture_overwrite(sample->fixture, SYNCQ_INDEX_FILE, offset + from,
                              torn->bytes + offset + from, to - from);
            sample_judge(sample, SAMPLE_ONCE, findings, text);
        }
    }
}

/* Each entry that has changed since the checkpoint, and the checkpoints. */
static void judge_torn(struct sample *sample, struct findings *findings,
                       const char *stop)
{
    for (uint64_t at = SYNCQ_INDEX_ENTRIES_OFFSET; at < sample->index.size;
         at += SYNCQ_ENTRY_SIZE)
        if (memcmp(sample->index.bytes + at,
                   sample->index_checkpoint.bytes + at, SYNCQ_ENTRY_SIZE) != 0)
            judge_cut(sample, findings, stop, at, SYNCQ_ENTRY_SIZE);
    for (uint64_t page = 1; page <= 2; page++)
        judge_cut(sample, findings, stop, page * SYNCQ_PAGE_SIZE,
                  sizeof(struct syncq_checkpoint));
}

void damage_index(struct sample *sample, struct findings *findings,
                  const char *stop)
{
    judge_whole(sample, findings, stop);
    judge_pages(sample, findings, stop);
    judge_torn(sample, findings, stop);
}
