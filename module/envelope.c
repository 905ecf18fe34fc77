/* SPDX-License-Identifier: MIT */
#include "module/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/envelope_memory.h"
#include "module/error.h"
#include "module/limits.h"

static int copy_text(struct syncq_envelope *envelope, const char *text,
                     const char **copy)
{
    size_t size = strlen(text);

    if (size > SYNCQ_TEXT_SIZE_MAX)
        return SYNCQ_ERR_RANGE;
    return syncq_envelope_memory_copy(envelope->memory, text, size, copy);
}

int syncq_envelope_set_sender(struct syncq_envelope *envelope,
                              const char *sender)
{
    return copy_text(envelope, sender, &envelope->sender);
}

int syncq_envelope_set_instructions(struct syncq_envelope *envelope,
                                    const char *instructions)
{
    return copy_text(envelope, instructions, &envelope->instructions);
}

/* What was grouped is so no longer. */
static void ungroup(struct syncq_envelope *envelope)
{
    free(envelope->parts);
    envelope->parts = NULL;
    envelope->part_count = 0;
    envelope->memory->parts_max = 0;
}

int syncq_envelope_add_recipient(struct syncq_envelope *envelope,
                                 const struct syncq_recipient *recipient)
{
    struct syncq_recipient added = {.notify = recipient->notify};
    int result;

    if (envelope->recipient_count >= SYNCQ_RECIPIENTS_MAX)
        return SYNCQ_ERR_RANGE;
    result = syncq_envelope_reserve_recipients(
        envelope, (size_t)envelope->recipient_count + 1);
    if (!result)
        result = copy_text(envelope, recipient->address, &added.address);
    if (!result)
        result = copy_text(envelope, recipient->original, &added.original);
    if (!result)
        result =
            copy_text(envelope, recipient->dsn_original, &added.dsn_original);
    if (result)
        return result;
    ungroup(envelope);
    envelope->recipients[envelope->recipient_count++] = added;
    return 0;
}

static struct syncq_attribute *
find_attribute(const struct syncq_envelope *envelope, const char *name)
{
    uint32_t i;

    for (i = 0; i < envelope->attribute_count; i++)
        if (!strcmp(envelope->attributes[i].name, name))
            return &envelope->attributes[i];
    return NULL;
}

int syncq_envelope_set_attribute(struct syncq_envelope *envelope,
                                 const char *name, const void *value,
                                 size_t value_size)
{
    struct syncq_attribute *old = find_attribute(envelope, name);
    struct syncq_attribute added = {.value_size = (uint32_t)value_size};
    int result;

    if (value_size > SYNCQ_ATTRIBUTE_SIZE_MAX ||
        (!old && envelope->attribute_count >= SYNCQ_ATTRIBUTES_MAX))
        return SYNCQ_ERR_RANGE;
    result = syncq_envelope_memory_copy(envelope->memory, value, value_size,
                                        &added.value);
    if (result)
        return result;
    if (old) {
        added.name = old->name;
        *old = added;
        return 0;
    }
    result = copy_text(envelope, name, &added.name);
    if (!result)
        result = syncq_envelope_reserve_attributes(
            envelope, (size_t)envelope->attribute_count + 1);
    if (!result)
        envelope->attributes[envelope->attribute_count++] = added;
    return result;
}

int syncq_envelope_set_attribute_text(struct syncq_envelope *envelope,
                                      const char *name, const char *value)
{
    return syncq_envelope_set_attribute(envelope, name, value, strlen(value));
}

const struct syncq_attribute *
syncq_envelope_attribute(const struct syncq_envelope *envelope,
                         const char *name)
{
    return find_attribute(envelope, name);
}

const char *syncq_envelope_attribute_text(const struct syncq_envelope *envelope,
                                          const char *name,
                                          const char *fallback)
{
    const struct syncq_attribute *attribute = find_attribute(envelope, name);

    return attribute ? attribute->value : fallback;
}

const char *syncq_address_domain(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
}
