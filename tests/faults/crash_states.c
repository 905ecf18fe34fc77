/* SPDX-License-Identifier: MIT */
#include "tests/faults/crash_states.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    EXHAUSTIVE_MAX = 4096, /* 12 units of two versions */
    RANDOM_COUNT = 64,
    SMALL_SET = 64,   /* always tried whole */
    SOME_COUNT = 40,  /* tried of a larger one */
    WHOLE_EVERY = 64, /* points between two that try it whole */
    LOST_INDEX_EVERY = 10,
    FEW_UNITS = 16,
};

/* How many combinations there are; 0: more than EXHAUSTIVE_MAX. */
static uint64_t combinations(const struct crash_states *states)
{
    uint64_t product = 1;

    for (size_t i = 0; i < states->unit_count; i++) {
        product *= states->units[i].version_count;
        if (product > EXHAUSTIVE_MAX)
            return 0;
    }
    return product;
}

/* Few points have little more than a name that is not durable. */
static int is_about_names(const struct crash_states *states)
{
    size_t n = states->unit_count;

    return n > 0 && n <= FEW_UNITS && !states->exhaustive &&
           states->units[n - 1].file == MEDIUM_FOLDER;
}

void crash_states_init(struct crash_states *states, uint64_t seed,
                       uint64_t point)
{
    static const enum medium_mode modes[] = {MEDIUM_BY_SECTOR, MEDIUM_BY_SECTOR,
                                             MEDIUM_BY_WORD, MEDIUM_BY_PAGE};
    struct chance chance;
    uint64_t n;

    chance_init(&chance, seed, point);
    *states = (struct crash_states){.seed = chance_next(&chance)};
    states->units = medium_units(
        modes[chance_below(&chance, sizeof modes / sizeof modes[0])],
        &states->unit_count);
    n = states->unit_count;
    states->choices = calloc(n + 1, sizeof *states->choices);
    if (states->choices == NULL) {
        perror("crash states");
        exit(1);
    }
    states->set_size = combinations(states);
    states->exhaustive = states->set_size != 0;
    if (!states->exhaustive)
        states->set_size = 2 + 4 * n + RANDOM_COUNT;
    states->count = states->set_size;
    if (states->count > SMALL_SET && !is_about_names(states) &&
        chance_below(&chance, WHOLE_EVERY) != 0)
        states->count = SOME_COUNT;
}

void crash_states_clear(struct crash_states *states)
{
    medium_units_free(states->units, states->unit_count);
    free(states->choices);
}

/* From first on, count units are written as they are now, the others not. */
static void make_range(struct crash_states *states, uint64_t first,
                       uint64_t count, int written)
{
    for (size_t i = 0; i < states->unit_count; i++) {
        int inside = i >= first && i - first < count;

        states->choices[i] =
            inside == written ? states->units[i].version_count - 1 : 0;
    }
}

/* Any version; few written, half, or most. */
static void make_random(struct crash_states *states, uint64_t number)
{
    struct chance chance;

    chance_init(&chance, states->seed, number);
    for (size_t i = 0; i < states->unit_count; i++) {
        uint64_t count = states->units[i].version_count;
        uint64_t dice = chance_below(&chance, 16);
        uint64_t limit = number % 3 == 0 ? 1 : number % 3 == 1 ? 8 : 15;

        states->choices[i] =
            dice < limit ? (uint32_t)chance_below(&chance, count) : 0;
    }
}

static void make_member(struct crash_states *states, uint64_t member)
{
    uint64_t n = states->unit_count;

    if (states->exhaustive) {
        for (size_t i = 0; i < n; i++) {
            uint32_t count = states->units[i].version_count;

            states->choices[i] = (uint32_t)(member % count);
            member /= count;
        }
        return;
    }
    if (member < 2)
        make_range(states, 0, n, (int)member);
    else if (member < 2 + n)
        make_range(states, member - 2, 1, 0);
    else if (member < 2 + 2 * n)
        make_range(states, member - 2 - n, 1, 1);
    else if (member < 2 + 3 * n)
        make_range(states, 0, member - 2 - 2 * n, 1);
    else if (member < 2 + 4 * n)
        make_range(states, member - 2 - 3 * n, n, 1);
    else
        make_random(states, member);
}

void crash_states_make(struct crash_states *states, uint64_t i)
{
    struct chance chance;

    chance_init(&chance, states->seed, ~i << 20);
    states->loses_index = chance_below(&chance, LOST_INDEX_EVERY) == 0;
    if (states->count == states->set_size) {
        make_member(states, i);
        return;
    }
    /* None and all first, then some of the others; as many at random. */
    chance_init(&chance, states->seed, UINT64_MAX - i);
    if (i < 2)
        make_member(states,
                    states->exhaustive && i == 1 ? states->set_size - 1 : i);
    else if (i % 2 == 0)
        make_member(states, chance_below(&chance, states->set_size));
    else
        make_random(states, i);
}
