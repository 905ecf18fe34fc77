/* SPDX-License-Identifier: MIT */
#include "module/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/envelope_memory.h"
#include "module/error.h"
#include "module/limits.h"

/* A recipient while it is sorted. */
struct place {
    const char *domain; /* as in its address */
    uint32_t index;     /* where it was; makes the sort stable */
};

static int compare_domains(const char *a, const char *b)
{
    while (*a && ascii_lower(*a) == ascii_lower(*b)) {
        a++;
        b++;
    }
    return ascii_lower(*a) - ascii_lower(*b);
}

static int compare_places(const void *first, const void *second)
{
    const struct place *a = first, *b = second;
    int order = compare_domains(a->domain, b->domain);

    if (order)
        return order;
    return a->index < b->index ? -1 : 1;
}

static struct place *sorted_places(const struct syncq_envelope *envelope)
{
    size_t count = envelope->recipient_count;
    struct place *places = calloc(count, sizeof(*places));
    uint32_t i;

    if (!places)
        return NULL;
    for (i = 0; i < count; i++) {
        const char *address = envelope->recipients[i].address;

        places[i] = (struct place){syncq_address_domain(address), i};
    }
    if (count > 1)
        qsort(places, count, sizeof(*places), compare_places);
    return places;
}

/* Does a part begin here, when the last one began at first? */
static int begins_part(const struct place *places, uint32_t first, uint32_t i)
{
    return i == 0 || i - first == SYNCQ_PART_RECIPIENTS_MAX ||
           compare_domains(places[i - 1].domain, places[i].domain) != 0;
}

static uint32_t count_parts(const struct place *places, uint32_t count)
{
    uint32_t i, first = 0, parts = 0;

    for (i = 0; i < count; i++)
        if (begins_part(places, first, i)) {
            first = i;
            parts++;
        }
    return parts;
}

/* Most domains are in lower case already and then need no memory. */
static int lower_domain(struct syncq_envelope *envelope, const char *domain,
                        const char **lower)
{
    size_t i, size = 0;
    char *text = NULL;
    int result;

    while (domain[size] && ascii_lower(domain[size]) == (uint8_t)domain[size])
        size++;
    if (!domain[size]) {
        *lower = domain;
        return 0;
    }
    size += strlen(domain + size);
    result = syncq_envelope_memory_take(envelope->memory, size, &text);
    if (result)
        return result;
    for (i = 0; i < size; i++)
        text[i] = (char)ascii_lower(domain[i]);
    *lower = text;
    return 0;
}

static int make_parts(struct syncq_envelope *envelope,
                      const struct place *places, struct syncq_part *parts)
{
    uint32_t i, first = 0;
    struct syncq_part *part = NULL;
    int result = 0;

    for (i = 0; i < envelope->recipient_count && !result; i++) {
        if (begins_part(places, first, i)) {
            const char *before = part ? part->domain : NULL;

            part = part ? part + 1 : parts;
            *part = (struct syncq_part){.domain = before, .first_recipient = i};
            if (!before || compare_domains(before, places[i].domain))
                result =
                    lower_domain(envelope, places[i].domain, &part->domain);
            first = i;
        }
        part->recipient_count++;
    }
    return result;
}

int syncq_envelope_group(struct syncq_envelope *envelope)
{
    uint32_t count = envelope->recipient_count, part_count, i;
    struct syncq_recipient *recipients = NULL;
    struct syncq_part *parts = NULL;
    struct place *places = NULL;
    int result = ENOMEM;

    if (count == 0)
        return SYNCQ_ERR_RANGE;
    places = sorted_places(envelope);
    recipients = calloc(count, sizeof(*recipients));
    if (!places || !recipients)
        goto out;
    part_count = count_parts(places, count);
    if (part_count > SYNCQ_PARTS_MAX) {
        result = SYNCQ_ERR_RANGE;
        goto out;
    }
    parts = calloc(part_count, sizeof(*parts));
    if (!parts)
        goto out;
    result = make_parts(envelope, places, parts);
    if (result)
        goto out;
    for (i = 0; i < count; i++)
        recipients[i] = envelope->recipients[places[i].index];
    free(envelope->recipients);
    free(envelope->parts);
    envelope->recipients = recipients;
    envelope->parts = parts;
    envelope->part_count = part_count;
    envelope->memory->recipients_max = count;
    envelope->memory->parts_max = part_count;
    recipients = NULL;
    parts = NULL;
out:
    free(parts);
    free(recipients);
    free(places);
    return result;
}
