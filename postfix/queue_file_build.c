/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postfix/queue_file.h"
#include "postfix/record.h"

/* Attributes that are written under the name that they have. */
static const char *const attribute_names[] = {
    "create_time",     "log_ident",          "rewrite_context",
    "sasl_method",     "sasl_username",      "sasl_sender",
    "envelope_id",     "ret_flags",          "encoding",
    "log_client_name", "log_client_address", "log_client_port",
    "log_helo_name",   "log_protocol_name",  "trace_flags",
};

static void write_text(struct record_writer *writer, int type, const char *text)
{
    record_write(writer, type, text, strlen(text));
}

/* name=value in one record. */
static int write_attribute(struct record_writer *writer, const char *name,
                           const char *value)
{
    char *text = NULL;
    int size = asprintf(&text, "%s=%s", name, value);

    if (size < 0)
        return ENOMEM;
    record_write(writer, RECORD_ATTRIBUTE, text, (size_t)size);
    free(text);
    return 0;
}

static int write_envelope_attribute(struct record_writer *writer,
                                    const struct syncq_envelope *envelope,
                                    const char *name)
{
    const char *value = syncq_envelope_attribute_text(envelope, name, NULL);

    return value ? write_attribute(writer, name, value) : 0;
}

static int write_head(struct record_writer *writer,
                      const struct syncq_envelope *envelope)
{
    const char blank[RECORD_SIZE_DATA_SIZE] = {0};
    size_t i;
    int error;

    record_write(writer, RECORD_SIZE, blank, sizeof(blank));
    write_text(writer, RECORD_TIME,
               syncq_envelope_attribute_text(envelope, "arrival", "0 0"));
    for (i = 0; i < sizeof(attribute_names) / sizeof(attribute_names[0]); i++) {
        error = write_envelope_attribute(writer, envelope, attribute_names[i]);
        if (error)
            return error;
    }
    write_text(writer, RECORD_SENDER, envelope->sender);
    return 0;
}

static int write_recipient(struct record_writer *writer,
                           const struct syncq_recipient *recipient,
                           uint64_t *offset)
{
    char number[16];
    int error = 0;

    if (*recipient->dsn_original)
        error =
            write_attribute(writer, "dsn_orig_rcpt", recipient->dsn_original);
    if (!error && recipient->notify) {
        snprintf(number, sizeof(number), "%u", recipient->notify);
        error = write_attribute(writer, "notify_flags", number);
    }
    if (*recipient->original)
        write_text(writer, RECORD_ORIGINAL, recipient->original);
    *offset = writer->size;
    write_text(writer, RECORD_RECIPIENT, recipient->address);
    return error;
}

static uint64_t number_of(const struct syncq_envelope *envelope,
                          const char *name, uint64_t max)
{
    const char *text = syncq_envelope_attribute_text(envelope, name, "0");
    unsigned long long number = strtoull(text, NULL, 10);

    return number <= max ? number : 0;
}

int queue_file_build(const struct syncq_envelope *envelope,
                     const uint32_t *recipients, uint32_t recipient_count,
                     const uint8_t *content, size_t content_size,
                     uint64_t *offsets, uint64_t *data_offset, uint8_t **bytes,
                     size_t *size)
{
    struct record_writer writer = {0};
    uint64_t fields[RECORD_SIZE_FIELDS];
    uint64_t content_offset;
    uint32_t i;
    int error;

    error = write_head(&writer, envelope);
    for (i = 0; !error && i < recipient_count; i++) {
        assert(recipients[i] < envelope->recipient_count);
        error = write_recipient(&writer, &envelope->recipients[recipients[i]],
                                &offsets[i]);
    }
    if (error)
        goto out;
    write_text(&writer, RECORD_MESSAGE, "");
    content_offset = writer.size;
    record_write_raw(&writer, content, content_size);
    write_text(&writer, RECORD_EXTRACTED, "");
    error = write_envelope_attribute(&writer, envelope, "message_id");
    if (error)
        goto out;
    write_text(&writer, RECORD_END, "");

    fields[0] = content_size;
    fields[1] = content_offset;
    fields[2] = recipient_count;
    fields[3] = number_of(envelope, "dsn_seen", 15) << 1;
    fields[4] = number_of(envelope, "size", UINT64_C(999999999999999));
    fields[5] = number_of(envelope, "sendopts", 63);
    record_patch_size(&writer, fields);
    if (writer.failed) {
        error = ENOMEM;
        goto out;
    }
    *data_offset = content_offset;
    *bytes = writer.bytes;
    *size = writer.size;
    writer.bytes = NULL;
out:
    free(writer.bytes);
    return error;
}
