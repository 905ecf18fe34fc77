/* SPDX-License-Identifier: MIT */
#include "module/salvage_states.h"

#include <errno.h>
#include <stdlib.h>

#include "module/marks.h"

void syncq_salvage_states_clear(struct syncq_salvage_states *states)
{
    free(states->parts);
    *states = (struct syncq_salvage_states){0};
}

static struct syncq_salvage_part *
probe(const struct syncq_salvage_states *states, uint64_t sequence,
      uint32_t part)
{
    uint64_t at = (sequence + part) * UINT64_C(0x9e3779b97f4a7c15);

    for (at ^= at >> 29;; at++) {
        struct syncq_salvage_part *place =
            &states->parts[at & (states->size - 1)];

        if (place->sequence == 0 ||
            (place->sequence == sequence && place->part == part))
            return place;
    }
}

static int grow(struct syncq_salvage_states *states)
{
    struct syncq_salvage_states larger = {
        .count = states->count, .size = states->size ? states->size * 2 : 1024};

    if (states->count * 2 < states->size)
        return 0;
    larger.parts = calloc(larger.size, sizeof *larger.parts);
    if (larger.parts == NULL)
        return ENOMEM;
    for (size_t i = 0; i < states->size; i++)
        if (states->parts[i].sequence != 0)
            *probe(&larger, states->parts[i].sequence, states->parts[i].part) =
                states->parts[i];
    free(states->parts);
    *states = larger;
    return 0;
}

int syncq_salvage_states_get(struct syncq_salvage_states *states,
                             uint64_t sequence, uint32_t part,
                             struct syncq_salvage_part **found, int *is_new)
{
    int result = grow(states);

    if (result != 0)
        return result;
    *found = probe(states, sequence, part);
    if (is_new != NULL)
        *is_new = (*found)->sequence == 0;
    if ((*found)->sequence == 0) {
        (*found)->sequence = sequence;
        (*found)->part = part;
        states->count++;
    }
    return 0;
}

const struct syncq_salvage_part *
syncq_salvage_states_find(const struct syncq_salvage_states *states,
                          uint64_t sequence, uint32_t part)
{
    const struct syncq_salvage_part *found =
        states->size == 0 ? NULL : probe(states, sequence, part);

    return found == NULL || found->sequence == 0 ? NULL : found;
}

int syncq_salvage_states_add_index(struct syncq_salvage_states *states,
                                   const struct syncq_index *index)
{
    int result = 0;

    for (uint32_t slot = 0; slot < index->entry_count && result == 0; slot++) {
        struct syncq_salvage_part *part;
        struct syncq_entry_view view;

        if (syncq_index_read(index, slot, &view) != 0 || view.sequence == 0)
            continue;
        result = syncq_salvage_states_get(states, view.sequence, view.part,
                                          &part, NULL);
        if (result == 0)
            part->state = view.state;
    }
    return result;
}

static int add_mark(struct syncq_salvage_states *states, uint64_t lsn,
                    const struct syncq_mark *mark)
{
    struct syncq_salvage_part *part;
    uint64_t mask;
    int result;

    if (mark->sequence == 0)
        return 0;
    result = syncq_salvage_states_get(states, mark->sequence, mark->part, &part,
                                      NULL);
    if (result != 0)
        return result;
    mask = part->state.mask | mark->state.mask;
    /* Segments come in any order; the index may know more than the log. */
    if (lsn > part->word_lsn && part->state.status != SYNCQ_STATUS_DONE) {
        part->state = mark->state;
        part->word_lsn = lsn;
    }
    part->state.mask = mask;
    return 0;
}

int syncq_salvage_states_add_marks(struct syncq_salvage_states *states,
                                   uint64_t lsn, const uint8_t *content,
                                   size_t size)
{
    int result = 0;

    for (size_t i = 0;
         i < size / sizeof(struct syncq_mark_image) && result == 0; i++) {
        struct syncq_mark mark;

        syncq_mark_decode(content, i, &mark);
        result = add_mark(states, lsn, &mark);
    }
    return result;
}
