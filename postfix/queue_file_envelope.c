/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "postfix/queue_file_envelope.h"

#define TRACE_FLAGS_MASK 0x2700 /* verify and the sendmail -v, -bv reports */
#define NOTIFY_NEVER     1      /* excludes the others */
#define NOTIFY_MAX       15
#define RET_MAX          2 /* 1 full, 2 headers */

/* Which of several records with one name counts. */
enum rule {
    RULE_FIRST,
    RULE_LAST,
    RULE_LOG,    /* the last; its presence shuts RULE_LEGACY off */
    RULE_LEGACY, /* the first, in files older than the log_ names */
    RULE_CREATE_TIME,
    RULE_TRACE_FLAGS,
    RULE_RET,
    RULE_NOTIFY, /* these two belong to the next recipient */
    RULE_DSN_ORIGINAL,
};

/* clang-format off */
static const struct {
    const char *name; /* in the file */
    enum rule rule;
    const char *attribute; /* in the envelope */
} named[] = {
    {"create_time", RULE_CREATE_TIME, "create_time"},
    {"encoding", RULE_LAST, "encoding"},
    {"envelope_id", RULE_LAST, "envelope_id"},
    {"ret_flags", RULE_RET, "ret_flags"},
    {"notify_flags", RULE_NOTIFY, NULL},
    {"dsn_orig_rcpt", RULE_DSN_ORIGINAL, NULL},
    {"log_client_name", RULE_LOG, "log_client_name"},
    {"log_client_address", RULE_LOG, "log_client_address"},
    {"log_client_port", RULE_LOG, "log_client_port"},
    {"log_helo_name", RULE_LOG, "log_helo_name"},
    {"log_protocol_name", RULE_LOG, "log_protocol_name"},
    {"client_name", RULE_LEGACY, "log_client_name"},
    {"client_address", RULE_LEGACY, "log_client_address"},
    {"client_port", RULE_LEGACY, "log_client_port"},
    {"helo_name", RULE_LEGACY, "log_helo_name"},
    {"protocol_name", RULE_LEGACY, "log_protocol_name"},
    {"log_ident", RULE_FIRST, "log_ident"},
    {"rewrite_context", RULE_FIRST, "rewrite_context"},
    {"sasl_method", RULE_FIRST, "sasl_method"},
    {"sasl_username", RULE_FIRST, "sasl_username"},
    {"sasl_sender", RULE_FIRST, "sasl_sender"},
    {"trace_flags", RULE_TRACE_FLAGS, "trace_flags"},
    {"message_id", RULE_FIRST, "message_id"},
};
/* clang-format on */

int queue_file_error_from_module(int error)
{
    return error == SYNCQ_ERR_RANGE ? QUEUE_FILE_ERR_LIMIT : error;
}

/* A text for the envelope: a C string within the limit. */
static int copy_text(char *text, const uint8_t *data, size_t size)
{
    if (size > SYNCQ_TEXT_SIZE_MAX)
        return QUEUE_FILE_ERR_LIMIT;
    if (memchr(data, 0, size))
        return QUEUE_FILE_ERR_VALUE;
    memcpy(text, data, size);
    text[size] = 0;
    return 0;
}

/* The only number in a record, within a limit. */
static int read_number(const uint8_t *data, size_t size, uint64_t max,
                       uint64_t *number)
{
    uint64_t value;

    if (record_number(&data, &size, &value) || size || value > max)
        return QUEUE_FILE_ERR_VALUE;
    *number = value;
    return 0;
}

static int set_text(struct queue_file_envelope *envelope, const char *name,
                    const char *value)
{
    return queue_file_error_from_module(syncq_envelope_set_attribute_text(
        &envelope->file->envelope, name, value));
}

static int has_attribute(const struct queue_file_envelope *envelope,
                         const char *name)
{
    return syncq_envelope_attribute(&envelope->file->envelope, name) != NULL;
}

int queue_file_envelope_set_number(struct queue_file_envelope *envelope,
                                   const char *name, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return set_text(envelope, name, text);
}

static int add_time(struct queue_file_envelope *envelope,
                    const struct record *record)
{
    const uint8_t *data = record->data;
    size_t size = record->size;
    uint64_t seconds, microseconds = 0;
    char text[48];

    if (record_number(&data, &size, &seconds) || seconds > INT64_MAX)
        return QUEUE_FILE_ERR_VALUE;
    /* Old files have whole seconds. */
    if (size && read_number(data, size, 999999, &microseconds))
        return QUEUE_FILE_ERR_VALUE;
    if (envelope->has_time)
        return 0;
    envelope->has_time = 1;
    snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, seconds, microseconds);
    return set_text(envelope, "arrival", text);
}

static int add_first_number(struct queue_file_envelope *envelope,
                            const char *name, const uint8_t *data, size_t size)
{
    uint64_t number;

    if (read_number(data, size, INT64_MAX, &number))
        return QUEUE_FILE_ERR_VALUE;
    if (has_attribute(envelope, name))
        return 0;
    return queue_file_envelope_set_number(envelope, name, number);
}

static int add_warn(struct queue_file_envelope *envelope,
                    const struct record *record)
{
    const uint8_t *data = record->data;
    size_t size = record->size;

    while (size && *data == ' ') {
        data++;
        size--;
    }
    if (size != 2 || memcmp(data, "-1", 2))
        return add_first_number(envelope, "warn_time", data, size);
    if (has_attribute(envelope, "warn_time"))
        return 0;
    return set_text(envelope, "warn_time", "-1");
}

static int add_ret(struct queue_file_envelope *envelope, const uint8_t *data,
                   size_t size)
{
    uint64_t ret;

    if (read_number(data, size, RET_MAX, &ret) || !ret)
        return QUEUE_FILE_ERR_VALUE;
    return queue_file_envelope_set_number(envelope, "ret_flags", ret);
}

static int add_trace_flags(struct queue_file_envelope *envelope,
                           const uint8_t *data, size_t size)
{
    uint64_t flags;

    if (read_number(data, size, INT32_MAX, &flags))
        return QUEUE_FILE_ERR_VALUE;
    flags &= TRACE_FLAGS_MASK;
    if (!flags || has_attribute(envelope, "trace_flags"))
        return 0;
    return queue_file_envelope_set_number(envelope, "trace_flags", flags);
}

static int set_notify(struct queue_file_envelope *envelope, const uint8_t *data,
                      size_t size)
{
    uint64_t notify;

    if (read_number(data, size, NOTIFY_MAX, &notify) || !notify)
        return QUEUE_FILE_ERR_VALUE;
    if ((notify & NOTIFY_NEVER) && notify != NOTIFY_NEVER)
        return QUEUE_FILE_ERR_VALUE;
    envelope->notify = (uint32_t)notify;
    return 0;
}

static int set_value(struct queue_file_envelope *envelope,
                     const char *attribute, const uint8_t *data, size_t size)
{
    if (memchr(data, 0, size))
        return QUEUE_FILE_ERR_VALUE;
    return queue_file_error_from_module(syncq_envelope_set_attribute(
        &envelope->file->envelope, attribute, data, size));
}

static int add_named(struct queue_file_envelope *envelope, size_t which,
                     const uint8_t *data, size_t size)
{
    const char *attribute = named[which].attribute;

    switch (named[which].rule) {
    case RULE_FIRST:
        if (has_attribute(envelope, attribute))
            return 0;
        break;
    case RULE_LAST:
        break;
    case RULE_LOG:
        envelope->has_log_attribute = 1;
        break;
    case RULE_LEGACY:
        if (envelope->has_log_attribute || has_attribute(envelope, attribute))
            return 0;
        break;
    case RULE_CREATE_TIME:
        return add_first_number(envelope, attribute, data, size);
    case RULE_TRACE_FLAGS:
        return add_trace_flags(envelope, data, size);
    case RULE_RET:
        return add_ret(envelope, data, size);
    case RULE_NOTIFY:
        return set_notify(envelope, data, size);
    case RULE_DSN_ORIGINAL:
        return copy_text(envelope->dsn_original, data, size);
    }
    return set_value(envelope, attribute, data, size);
}

static int add_attribute(struct queue_file_envelope *envelope,
                         const struct record *record)
{
    const uint8_t *equals = memchr(record->data, '=', record->size);
    size_t i, name_size;

    if (!equals || equals == record->data)
        return QUEUE_FILE_ERR_VALUE;
    name_size = (size_t)(equals - record->data);
    for (i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (strlen(named[i].name) == name_size &&
            !memcmp(named[i].name, record->data, name_size))
            return add_named(envelope, i, equals + 1,
                             record->size - name_size - 1);
    return 0;
}

static int add_sender(struct queue_file_envelope *envelope,
                      const struct record *record)
{
    int error = copy_text(envelope->text, record->data, record->size);

    if (error || envelope->has_sender)
        return error;
    envelope->has_sender = 1;
    return queue_file_error_from_module(
        syncq_envelope_set_sender(&envelope->file->envelope, envelope->text));
}

/* VERP delimiters; Postfix ignores them for the null sender. */
static int add_verp(struct queue_file_envelope *envelope,
                    const struct record *record)
{
    if (record->size != 2)
        return QUEUE_FILE_ERR_VALUE;
    if (!*envelope->file->envelope.sender || has_attribute(envelope, "verp"))
        return 0;
    return set_value(envelope, "verp", record->data, record->size);
}

static int add_filter(struct queue_file_envelope *envelope,
                      const struct record *record)
{
    int error = copy_text(envelope->text, record->data, record->size);

    if (error)
        return error;
    return queue_file_error_from_module(syncq_envelope_set_instructions(
        &envelope->file->envelope, envelope->text));
}

static void forget_recipient(struct queue_file_envelope *envelope)
{
    envelope->original[0] = 0;
    envelope->dsn_original[0] = 0;
    envelope->notify = 0;
}

static int add_offset(struct queue_file_envelope *envelope, uint64_t offset)
{
    struct queue_file *file = envelope->file;
    uint32_t count = file->envelope.recipient_count;
    size_t capacity;
    uint64_t *offsets;

    if (count == SYNCQ_RECIPIENTS_MAX)
        return QUEUE_FILE_ERR_LIMIT;
    if (count == envelope->offset_capacity) {
        capacity = count ? 2 * (size_t)count : 16;
        offsets = reallocarray(file->offsets, capacity, sizeof(*offsets));
        if (!offsets)
            return ENOMEM;
        file->offsets = offsets;
        envelope->offset_capacity = capacity;
    }
    file->offsets[count] = offset;
    return 0;
}

static int add_recipient(struct queue_file_envelope *envelope,
                         const struct record *record)
{
    const struct syncq_recipient recipient = {
        .address = envelope->text,
        .original = envelope->original,
        .dsn_original = envelope->dsn_original,
        .notify = envelope->notify,
    };
    int error;

    envelope->dsn_seen |= envelope->notify;
    error = copy_text(envelope->text, record->data, record->size);
    if (!error)
        error = add_offset(envelope, record->offset);
    if (!error)
        error = queue_file_error_from_module(syncq_envelope_add_recipient(
            &envelope->file->envelope, &recipient));
    forget_recipient(envelope);
    return error;
}

static void skip_recipient(struct queue_file_envelope *envelope)
{
    envelope->dsn_seen |= envelope->notify;
    envelope->file->done_count++;
    forget_recipient(envelope);
}

int queue_file_envelope_add(struct queue_file_envelope *envelope,
                            const struct record *record)
{
    int error;

    switch (record->type) {
    case RECORD_TIME:
        return add_time(envelope, record);
    case RECORD_CREATE_TIME:
        return add_first_number(envelope, "create_time", record->data,
                                record->size);
    case RECORD_SENDER:
        return add_sender(envelope, record);
    case RECORD_ATTRIBUTE:
        return add_attribute(envelope, record);
    case RECORD_NOTIFY:
        return set_notify(envelope, record->data, record->size);
    case RECORD_DSN_ORIGINAL:
        return copy_text(envelope->dsn_original, record->data, record->size);
    case RECORD_ENVELOPE_ID:
        return set_value(envelope, "envelope_id", record->data, record->size);
    case RECORD_RET:
        return add_ret(envelope, record->data, record->size);
    case RECORD_ORIGINAL:
        return copy_text(envelope->original, record->data, record->size);
    case RECORD_RECIPIENT:
        return add_recipient(envelope, record);
    case RECORD_DONE:
    case RECORD_CANCELLED:
        skip_recipient(envelope);
        return 0;
    case RECORD_WARN:
        return add_warn(envelope, record);
    case RECORD_VERP:
        return add_verp(envelope, record);
    case RECORD_FILTER:
        return add_filter(envelope, record);
    case RECORD_REDIRECT:
        error = copy_text(envelope->text, record->data, record->size);
        return error ? error : set_text(envelope, "redirect", envelope->text);
    default:
        return 0;
    }
}
