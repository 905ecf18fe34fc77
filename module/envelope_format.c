/* SPDX-License-Identifier: MIT */
#include "module/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/bytes.h"
#include "module/envelope_memory.h"
#include "module/error.h"
#include "module/limits.h"

#define ENVELOPE_VERSION 1
#define HEAD_SIZE        16 /* version and the three counts */

/* Bytes of each when all its texts are empty. */
#define EMPTY_TEXT_SIZE      5
#define EMPTY_ATTRIBUTE_SIZE (2 * EMPTY_TEXT_SIZE)
#define EMPTY_PART_SIZE      (8 + EMPTY_TEXT_SIZE)
#define EMPTY_RECIPIENT_SIZE (4 + 3 * EMPTY_TEXT_SIZE)

/* Sums cannot wrap: all counts and texts are within their limits. */
static uint64_t text_size(const char *text)
{
    return EMPTY_TEXT_SIZE + strlen(text);
}

static uint64_t encoded_size(const struct syncq_envelope *envelope)
{
    uint64_t size = HEAD_SIZE + text_size(envelope->sender) +
                    text_size(envelope->instructions);
    uint32_t i;

    for (i = 0; i < envelope->attribute_count; i++)
        size += text_size(envelope->attributes[i].name) + EMPTY_TEXT_SIZE +
                envelope->attributes[i].value_size;
    for (i = 0; i < envelope->part_count; i++)
        size += 8 + text_size(envelope->parts[i].domain);
    for (i = 0; i < envelope->recipient_count; i++)
        size += 4 + text_size(envelope->recipients[i].address) +
                text_size(envelope->recipients[i].original) +
                text_size(envelope->recipients[i].dsn_original);
    return size;
}

static uint8_t *write_bytes(uint8_t *to, const char *bytes, uint32_t size)
{
    to = write_u32(to, size);
    if (size)
        memcpy(to, bytes, size);
    to[size] = 0;
    return to + size + 1;
}

static uint8_t *write_text(uint8_t *to, const char *text)
{
    return write_bytes(to, text, (uint32_t)strlen(text));
}

static void write_envelope(const struct syncq_envelope *envelope, uint8_t *to)
{
    uint32_t i;

    to = write_u32(to, ENVELOPE_VERSION);
    to = write_u32(to, envelope->recipient_count);
    to = write_u32(to, envelope->part_count);
    to = write_u32(to, envelope->attribute_count);
    to = write_text(to, envelope->sender);
    to = write_text(to, envelope->instructions);
    for (i = 0; i < envelope->attribute_count; i++) {
        const struct syncq_attribute *attribute = &envelope->attributes[i];

        to = write_text(to, attribute->name);
        to = write_bytes(to, attribute->value, attribute->value_size);
    }
    for (i = 0; i < envelope->part_count; i++) {
        to = write_u32(to, envelope->parts[i].first_recipient);
        to = write_u32(to, envelope->parts[i].recipient_count);
        to = write_text(to, envelope->parts[i].domain);
    }
    for (i = 0; i < envelope->recipient_count; i++) {
        const struct syncq_recipient *recipient = &envelope->recipients[i];

        to = write_u32(to, recipient->notify);
        to = write_text(to, recipient->address);
        to = write_text(to, recipient->original);
        to = write_text(to, recipient->dsn_original);
    }
}

int syncq_envelope_encode(const struct syncq_envelope *envelope,
                          uint8_t **bytes, size_t *size)
{
    uint64_t total;
    uint8_t *made;

    if (envelope->part_count == 0)
        return SYNCQ_ERR_RANGE;
    total = encoded_size(envelope);
    if (total > SYNCQ_ENVELOPE_SIZE_MAX)
        return SYNCQ_ERR_RANGE;
    made = malloc(total);
    if (!made)
        return ENOMEM;
    write_envelope(envelope, made);
    *bytes = made;
    *size = total;
    return 0;
}

/* What is still to be read.  Every read returns false when it is too short. */
struct input {
    const uint8_t *at;
    size_t left;
};

static int take_u32(struct input *input, uint32_t *value)
{
    if (input->left < sizeof(*value))
        return 0;
    *value = read_u32(input->at);
    input->at += sizeof(*value);
    input->left -= sizeof(*value);
    return 1;
}

static int take_bytes(struct input *input, uint32_t size_max,
                      const char **bytes, uint32_t *size)
{
    if (!take_u32(input, size) || *size > size_max || *size >= input->left ||
        input->at[*size] != 0)
        return 0;
    *bytes = (const char *)input->at;
    input->at += *size + 1;
    input->left -= *size + 1;
    return 1;
}

static int take_text(struct input *input, const char **text)
{
    uint32_t size;

    return take_bytes(input, SYNCQ_TEXT_SIZE_MAX, text, &size) &&
           !memchr(*text, 0, size);
}

/* The counts, believed only as far as the bytes left can hold them. */
static int take_head(struct input *input, struct syncq_envelope *envelope)
{
    uint32_t version, recipients, parts, attributes;
    uint64_t least;

    if (!take_u32(input, &version) || version != ENVELOPE_VERSION ||
        !take_u32(input, &recipients) || !take_u32(input, &parts) ||
        !take_u32(input, &attributes) || recipients == 0 ||
        recipients > SYNCQ_RECIPIENTS_MAX || parts == 0 ||
        parts > SYNCQ_PARTS_MAX || parts > recipients ||
        attributes > SYNCQ_ATTRIBUTES_MAX)
        return 0;
    least = (uint64_t)attributes * EMPTY_ATTRIBUTE_SIZE +
            (uint64_t)parts * EMPTY_PART_SIZE +
            (uint64_t)recipients * EMPTY_RECIPIENT_SIZE;
    if (least > input->left)
        return 0;
    envelope->recipient_count = recipients;
    envelope->part_count = parts;
    envelope->attribute_count = attributes;
    return 1;
}

static int take_attributes(struct input *input, struct syncq_envelope *envelope)
{
    uint32_t i;

    for (i = 0; i < envelope->attribute_count; i++) {
        struct syncq_attribute *attribute = &envelope->attributes[i];

        if (!take_text(input, &attribute->name) ||
            !take_bytes(input, SYNCQ_ATTRIBUTE_SIZE_MAX, &attribute->value,
                        &attribute->value_size))
            return 0;
    }
    return 1;
}

/* Each recipient must lie in exactly one part, in order. */
static int take_parts(struct input *input, struct syncq_envelope *envelope)
{
    uint32_t i, next = 0;

    for (i = 0; i < envelope->part_count; i++) {
        struct syncq_part *part = &envelope->parts[i];

        if (!take_u32(input, &part->first_recipient) ||
            !take_u32(input, &part->recipient_count) ||
            !take_text(input, &part->domain) || part->first_recipient != next ||
            part->recipient_count == 0 ||
            part->recipient_count > SYNCQ_PART_RECIPIENTS_MAX)
            return 0;
        next += part->recipient_count;
    }
    return next == envelope->recipient_count;
}

static int take_recipients(struct input *input, struct syncq_envelope *envelope)
{
    uint32_t i;

    for (i = 0; i < envelope->recipient_count; i++) {
        struct syncq_recipient *recipient = &envelope->recipients[i];

        if (!take_u32(input, &recipient->notify) ||
            !take_text(input, &recipient->address) ||
            !take_text(input, &recipient->original) ||
            !take_text(input, &recipient->dsn_original))
            return 0;
    }
    return 1;
}

static int is_domain_of(const char *domain, const char *address)
{
    const char *own = syncq_address_domain(address);

    while (*own && ascii_lower(*own) == (unsigned char)*domain) {
        own++;
        domain++;
    }
    return !*own && !*domain;
}

/* The index is made from the parts, so they must not lie about a domain. */
static int parts_fit_recipients(const struct syncq_envelope *envelope)
{
    uint32_t i, j;

    for (i = 0; i < envelope->part_count; i++) {
        const struct syncq_part *part = &envelope->parts[i];

        for (j = 0; j < part->recipient_count; j++) {
            uint32_t recipient = part->first_recipient + j;

            if (!is_domain_of(part->domain,
                              envelope->recipients[recipient].address))
                return 0;
        }
    }
    return 1;
}

static int make_room(struct syncq_envelope *envelope)
{
    int result =
        syncq_envelope_reserve_recipients(envelope, envelope->recipient_count);

    if (!result)
        result = syncq_envelope_reserve_parts(envelope, envelope->part_count);
    if (!result)
        result = syncq_envelope_reserve_attributes(envelope,
                                                   envelope->attribute_count);
    return result;
}

int syncq_envelope_decode(const uint8_t *bytes, size_t size,
                          struct syncq_envelope *envelope)
{
    struct input input = {bytes, size};
    struct syncq_envelope read = {0};
    int result;

    if (size > SYNCQ_ENVELOPE_SIZE_MAX)
        return SYNCQ_ERR_BAD_ENVELOPE;
    result = syncq_envelope_init(&read);
    if (result)
        goto out;
    result = SYNCQ_ERR_BAD_ENVELOPE;
    if (!take_head(&input, &read) || !take_text(&input, &read.sender) ||
        !take_text(&input, &read.instructions))
        goto out;
    result = make_room(&read);
    if (result)
        goto out;
    result = SYNCQ_ERR_BAD_ENVELOPE;
    if (!take_attributes(&input, &read) || !take_parts(&input, &read) ||
        !take_recipients(&input, &read) || input.left != 0 ||
        !parts_fit_recipients(&read))
        goto out;
    *envelope = read;
    return 0;
out:
    syncq_envelope_clear(&read);
    return result;
}
