/* SPDX-License-Identifier: MIT */
#include "tests/faults/block_story.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct story *story;
    size_t capacity;
    int complete;
};

static int add_event(struct reading *reading, uint64_t number, const char *text)
{
    struct story *story = reading->story;
    struct story_event event = {.number = number};
    int word;

    if (sscanf(text,
               "say %d %u %" SCNu32 " %" SCNu32 " %zu %" SCNx64 " %" SCNx64,
               &word, &event.mail.seed, &event.mail.recipient_count,
               &event.mail.part_count, &event.mail.size, &event.mail.sequence,
               &event.mail.lsn) != 7)
        return EBADMSG;
    event.word = (enum oracle_word)word;
    if (story->event_count == reading->capacity) {
        size_t capacity = reading->capacity == 0 ? 1024 : reading->capacity * 2;
        struct story_event *events =
            reallocarray(story->events, capacity, sizeof *events);

        if (events == NULL)
            return ENOMEM;
        story->events = events;
        reading->capacity = capacity;
    }
    story->events[story->event_count++] = event;
    return 0;
}

static int begin_phase(struct reading *reading, uint64_t number,
                       const char *name)
{
    struct story *story = reading->story;
    struct story_phase *phase = &story->phases[story->phase_count];

    if (story->phase_count > 0)
        phase[-1].last = number - 1;
    reading->complete = strcmp(name, "end") == 0;
    if (reading->complete)
        return 0;
    if (story->phase_count == STORY_PHASES_MAX)
        return EBADMSG;
    (void)snprintf(phase->name, sizeof phase->name, "%.31s", name);
    phase->first = number;
    story->phase_count++;
    return 0;
}

static int read_mark(struct reading *reading,
                     const struct write_log_entry *entry)
{
    char text[256];

    if (entry->length >= sizeof text)
        return EBADMSG;
    memcpy(text, entry->data, (size_t)entry->length);
    text[entry->length] = '\0';
    if (strncmp(text, "phase ", 6) == 0)
        return begin_phase(reading, entry->number, text + 6);
    if (strcmp(text, "created") == 0) {
        reading->story->created = entry->number;
        return 0;
    }
    return add_event(reading, entry->number, text);
}

int story_read(const struct write_log *log, struct story *story)
{
    struct reading reading = {.story = story};
    size_t position = write_log_first(log);
    struct write_log_entry entry;
    int result;

    *story = (struct story){0};
    while ((result = write_log_next(log, &position, &entry)) == 0) {
        if (entry.type == WRITE_LOG_MARK)
            result = read_mark(&reading, &entry);
        else if (entry.type == WRITE_LOG_FLUSH && story->phase_count > 0 &&
                 !reading.complete)
            story->flushes++;
        if (result != 0)
            break;
    }
    if (result == ENODATA)
        result = reading.complete && story->created != 0 ? 0 : EBADMSG;
    if (result != 0)
        story_clear(story);
    return result;
}

void story_clear(struct story *story)
{
    free(story->events);
    story->events = NULL;
}

void story_tell(const struct story *story, size_t *next, uint64_t number,
                struct oracle *oracle)
{
    for (; *next < story->event_count && story->events[*next].number <= number;
         (*next)++)
        oracle_say(oracle, &story->events[*next].mail,
                   story->events[*next].word);
}
