/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "admin/json.h"
#include "admin/list.h"
#include "module/error.h"

static void add_recipients(json_t **object,
                           const struct syncq_entry_view *entry,
                           const struct syncq_record *record)
{
    const struct syncq_recipient *recipient;
    json_t *recipients = json_array();
    uint32_t n;

    for (n = 0; n < entry->recipient_count; n++) {
        recipient = syncq_entry_recipient_left(entry, &record->envelope, n);
        if (recipient)
            json_append(&recipients, json_text(recipient->address));
    }
    json_add(object, "recipients", recipients);
}

static json_t *part_object(const struct syncq_entry_view *entry,
                           const struct syncq_record *record)
{
    const struct syncq_state *state = &entry->state;
    json_t *object = json_object();

    json_add(&object, "part", json_integer(entry->part));
    if (record && entry->part < record->envelope.part_count)
        json_add(&object, "domain",
                 json_text(record->envelope.parts[entry->part].domain));
    json_add(&object, "status", json_string(syncq_status_name(state->status)));
    json_add(&object, "attempts", json_integer(state->attempts));
    if (state->last_attempt_s)
        json_add(&object, "last_attempt", json_integer(state->last_attempt_s));
    if (state->status == SYNCQ_STATUS_DEFERRED)
        json_add(&object, "next_attempt", json_integer(state->next_attempt_s));
    if (state->dsn_class)
        json_add(&object, "dsn",
                 json_sprintf("%u.%u.%u", state->dsn_class, state->dsn_subject,
                              state->dsn_detail));
    json_add(&object, "recipients_left",
             json_integer(syncq_entry_left_count(entry)));
    if (record)
        add_recipients(&object, entry, record);
    return object;
}

static void add_statuses(json_t **object, uint32_t statuses)
{
    json_t *array = json_array();
    unsigned i;

    for (i = 0; i < 32; i++)
        if (statuses & SYNCQ_STATUS_BIT(i))
            json_append(&array, json_string(syncq_status_name(i)));
    json_add(object, "status", array);
}

static void add_record(json_t **object, const struct syncq_listed *message,
                       const struct syncq_record *record)
{
    const char *id =
        syncq_envelope_attribute_text(&record->envelope, "queue_id", NULL);
    struct syncq_listed_name name;

    syncq_listed_name(message, record, &name);
    json_add(object, "queue_id", id ? json_text(id) : json_null());
    json_add(object, "arrival_time", json_integer(name.arrival_s));
    json_add(object, "message_size", json_integer((json_int_t)name.size));
    json_add(object, "sender", json_text(record->envelope.sender));
}

int list_print_json(const char *directory, const struct syncq_listed *message,
                    const struct syncq_record *record, int read_error)
{
    json_t *object = json_object(), *parts = json_array();
    char sequence[32];
    uint32_t i, next_s = list_next_attempt(message);

    if (record)
        add_record(&object, message, record);
    else
        json_add(&object, "error", json_text(syncq_strerror(read_error)));
    if (directory)
        json_add(&object, "queue_directory", json_text(directory));
    /* Text: the number has 64 bits, which many readers of JSON have not. */
    syncq_sequence_text(message->sequence, sequence);
    json_add(&object, "sequence", json_string(sequence));
    add_statuses(&object, message->statuses);
    json_add(&object, "recipients_left",
             json_integer(list_left_count(message)));
    json_add(&object, "next_attempt",
             next_s ? json_integer(next_s) : json_null());
    for (i = 0; i < message->entry_count; i++)
        json_append(&parts, part_object(&message->entries[i], record));
    json_add(&object, "parts", parts);
    return json_print(object);
}
