/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "admin/json.h"
#include "admin/release.h"
#include "module/error.h"
#include "module/listing.h"
#include "module/marks.h"

struct work {
    struct syncq_queue *queue;
    const struct release *release;
    struct release_result *result;
    struct syncq_mark *marks; /* SYNCQ_MARKS_MAX of them */
    uint32_t mark_count;
    char *ids_seen; /* one flag for each id */
};

json_t *release_request(const struct release *release)
{
    json_t *request = json_object(), *ids;
    int i;

    json_add(&request, "verb", json_string("release"));
    if (release->directory)
        json_add(&request, "queue_directory", json_text(release->directory));
    if (release->all) {
        json_add(&request, "all", json_true());
        return request;
    }
    ids = json_array();
    for (i = 0; i < release->id_count; i++)
        json_append(&ids, json_text(release->ids[i]));
    json_add(&request, "ids", ids);
    return request;
}

/* Put the collected marks into the log and wait until they are durable. */
static int write_marks(struct work *work)
{
    struct syncq_ticket ticket;
    uint64_t timeout_ms = work->release->timeout_ms;
    int result;

    if (!work->mark_count)
        return 0;
    result =
        syncq_marks_append(work->queue, work->marks, work->mark_count, &ticket);
    if (result)
        return result;
    result = syncq_ticket_wait(
        work->queue, &ticket, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
    if (result == SYNCQ_ERR_TIMEOUT &&
        syncq_ticket_abandon(work->queue, &ticket) == SYNCQ_ERR_EXISTS)
        result = 0;
    syncq_ticket_finish(work->queue, &ticket, SYNCQ_STATUS_CANCELLED);
    work->mark_count = 0;
    return result;
}

/* The entry first, then its mark. */
static int release_part(struct work *work, struct syncq_entry_view entry)
{
    struct syncq_state state = entry.state;
    int result;

    state.status = SYNCQ_STATUS_READY;
    state.next_attempt_s = 0;
    result = syncq_entry_update(work->queue, &entry, &state);
    /* Its slot was given to another message: there is nothing to release. */
    if (result == SYNCQ_ERR_BAD_ENTRY)
        return 0;
    if (result)
        return result;
    work->marks[work->mark_count++] = (struct syncq_mark){
        .sequence = entry.sequence, .part = entry.part, .state = state};
    work->result->released++;
    return work->mark_count == SYNCQ_MARKS_MAX ? write_marks(work) : 0;
}

/* Is one of the ids meant?  Then all that name this message are seen. */
static int is_selected(struct work *work, const struct syncq_listed *message)
{
    struct syncq_record record;
    int i, error, selected = 0;

    if (work->release->all)
        return 1;
    error = syncq_listed_read(work->queue, message, &record);
    for (i = 0; i < work->release->id_count; i++) {
        if (!syncq_listed_is(message, error ? NULL : &record,
                             work->release->ids[i]))
            continue;
        work->ids_seen[i] = 1;
        selected = 1;
    }
    if (error)
        work->result->unreadable++;
    else
        syncq_record_clear(&record);
    return selected;
}

static int release_message(struct work *work,
                           const struct syncq_listed *message)
{
    uint32_t i;
    int result = 0;

    if (!is_selected(work, message))
        return 0;
    for (i = 0; !result && i < message->entry_count; i++)
        if (message->entries[i].state.status == SYNCQ_STATUS_HELD)
            result = release_part(work, message->entries[i]);
    return result;
}

static int walk_held(struct work *work)
{
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    int result;

    result = syncq_listing_new(work->queue, SYNCQ_STATUS_BIT(SYNCQ_STATUS_HELD),
                               0, &listing);
    while (!result) {
        result = syncq_listing_next(listing, &message);
        if (!result)
            result = release_message(work, &message);
    }
    syncq_listing_free(listing);
    return result == SYNCQ_ERR_RANGE ? 0 : result;
}

int release_held(struct syncq_queue *queue, const struct release *release,
                 struct release_result *result)
{
    struct work work = {.queue = queue, .release = release, .result = result};
    int error, i;

    work.marks = calloc(SYNCQ_MARKS_MAX, sizeof(*work.marks));
    work.ids_seen = calloc((size_t)release->id_count + 1, 1);
    error = work.marks && work.ids_seen ? walk_held(&work) : ENOMEM;
    if (!error)
        error = write_marks(&work);
    for (i = release->id_count - 1; !error && i >= 0; i--)
        if (!work.ids_seen[i])
            result->id_missing = release->ids[i];
    free(work.marks);
    free(work.ids_seen);
    return error;
}
