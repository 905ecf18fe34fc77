/* SPDX-License-Identifier: MIT */
#include "admin/salvage_envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/json.h"
#include "module/listing.h"

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static const char *type_name(uint8_t type)
{
    switch (type) {
    case SYNCQ_RECORD_SMTP:
        return "smtp";
    case SYNCQ_RECORD_POSTFIX:
        return "postfix";
    case SYNCQ_RECORD_SMS:
        return "sms";
    default:
        return "unknown";
    }
}

static json_t *date_text(int64_t date_us)
{
    time_t seconds = (time_t)(date_us / 1000000);
    char text[64];
    struct tm utc;

    if (!gmtime_r(&seconds, &utc) ||
        !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc))
        return json_null();
    return json_string(text);
}

static json_t *recipient_object(const struct syncq_recipient *recipient,
                                const struct syncq_state *state, uint32_t bit)
{
    json_t *object = json_object();
    int is_finished = state->mask >> bit & 1;

    json_add(&object, "address", json_text(recipient->address));
    json_add(&object, "original", json_text(recipient->original));
    json_add(&object, "dsn_original", json_text(recipient->dsn_original));
    json_add(&object, "notify", number(recipient->notify));
    /* Not known is not the same as not delivered. */
    json_add(&object, "finished",
             state->status == SYNCQ_STATUS_FREE ? json_null()
                                                : json_boolean(is_finished));
    return object;
}

static json_t *part_object(const struct syncq_envelope *envelope,
                           uint32_t number_of_part,
                           const struct syncq_state *state)
{
    const struct syncq_part *part = &envelope->parts[number_of_part];
    json_t *object = json_object(), *recipients = json_array();

    json_add(&object, "domain", json_text(part->domain));
    json_add(&object, "status",
             state->status == SYNCQ_STATUS_FREE
                 ? json_null()
                 : json_string(syncq_status_name(state->status)));
    json_add(&object, "attempts", number(state->attempts));
    for (uint32_t i = 0; i < part->recipient_count; i++)
        json_append(
            &recipients,
            recipient_object(&envelope->recipients[part->first_recipient + i],
                             state, i));
    json_add(&object, "recipients", recipients);
    return object;
}

static json_t *attributes_object(const struct syncq_envelope *envelope)
{
    json_t *object = json_object();

    for (uint32_t i = 0; i < envelope->attribute_count; i++)
        json_add(&object, envelope->attributes[i].name,
                 json_text(envelope->attributes[i].value));
    return object;
}

static json_t *message_object(const struct syncq_salvaged *message)
{
    const struct syncq_record_header *header = message->header;
    const struct syncq_envelope *envelope = message->envelope;
    json_t *object = json_object(), *parts = json_array();
    char sequence[32];

    syncq_sequence_text(header->sequence, sequence);
    json_add(&object, "authenticated", json_boolean(message->is_genuine));
    json_add(
        &object, "queue_id",
        json_text(syncq_envelope_attribute_text(envelope, "queue_id", "")));
    json_add(&object, "sequence", json_string(sequence));
    json_add(&object, "lsn", number(header->lsn));
    json_add(&object, "copy", number(header->copy));
    json_add(&object, "offset", number(message->offset));
    json_add(&object, "type", json_string(type_name(header->type)));
    json_add(&object, "date", date_text(header->date_us));
    json_add(&object, "size", number(message->content_size));
    json_add(&object, "sender", json_text(envelope->sender));
    json_add(&object, "instructions", json_text(envelope->instructions));
    json_add(&object, "attributes", attributes_object(envelope));
    for (uint32_t i = 0; i < envelope->part_count; i++)
        json_append(&parts, part_object(envelope, i, &message->states[i]));
    json_add(&object, "parts", parts);
    return object;
}

int salvage_envelope_write(FILE *stream, const struct syncq_salvaged *message)
{
    json_t *object = message_object(message);
    int result;

    if (!object)
        return ENOMEM;
    result = json_dumpf(object, stream, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(object);
    putc('\n', stream);
    return result ? EIO : 0;
}
