/* SPDX-License-Identifier: MIT */
/*
 * envelope.h - who sent a message, to whom, and what else must be kept of it
 *
 * The envelope is the same for every record type and knows no MTA: what an MTA
 * needs beyond sender and recipients is a named attribute.  All texts are C
 * strings; attribute values may hold any byte.  On disk everything is binary
 * and length-prefixed, so text from outside is never read back as structure:
 *
 *   u32 version (1), u32 recipient_count, u32 part_count, u32 attribute_count,
 *   text sender, text instructions,
 *   attribute_count x { text name, u32 size, size bytes, NUL },
 *   part_count x { u32 first_recipient, u32 recipient_count, text domain },
 *   recipient_count x { u32 notify, text address, text original,
 *                       text dsn_original }
 *   text = u32 size, size bytes without NUL, NUL; integers little-endian
 *
 * Not thread-safe; an envelope belongs to one thread at a time.
 */
#ifndef SYNCQ_ENVELOPE_H
#define SYNCQ_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

struct syncq_recipient {
    const char *address;      /* where to deliver */
    const char *original;     /* before aliasing; "" when not known */
    const char *dsn_original; /* DSN ORCPT, "type;address"; "" when not given */
    uint32_t notify;          /* DSN NOTIFY bits; 0 when not given */
};

struct syncq_part {
    const char *domain; /* lower case, of all its recipients; may be "" */
    uint32_t first_recipient, recipient_count;
};

struct syncq_attribute {
    const char *name, *value; /* value[value_size] is always NUL */
    uint32_t value_size;
};

struct syncq_envelope {
    const char *sender;       /* "" is the null sender */
    const char *instructions; /* "transport:nexthop"; "" when there are none */
    struct syncq_recipient *recipients;
    struct syncq_part *parts; /* NULL until grouped */
    struct syncq_attribute *attributes;
    uint32_t recipient_count, part_count, attribute_count;
    struct syncq_envelope_memory *memory; /* owns all of the above */
};

/* An empty envelope: null sender, no recipients.  ENOMEM. */
int syncq_envelope_init(struct syncq_envelope *envelope);

/* Free everything; the envelope may be initialised again.  Zeroed is fine. */
void syncq_envelope_clear(struct syncq_envelope *envelope);

/* These copy what they are given.  ENOMEM, SYNCQ_ERR_RANGE: over a limit. */
int syncq_envelope_set_sender(struct syncq_envelope *envelope,
                              const char *sender);
int syncq_envelope_set_instructions(struct syncq_envelope *envelope,
                                    const char *instructions);
int syncq_envelope_add_recipient(struct syncq_envelope *envelope,
                                 const struct syncq_recipient *recipient);
/* Replaces a value of the same name. */
int syncq_envelope_set_attribute(struct syncq_envelope *envelope,
                                 const char *name, const void *value,
                                 size_t value_size);
int syncq_envelope_set_attribute_text(struct syncq_envelope *envelope,
                                      const char *name, const char *value);

/* The attribute's value, or NULL when there is none of that name. */
const struct syncq_attribute *
syncq_envelope_attribute(const struct syncq_envelope *envelope,
                         const char *name);
/* The same as text; fallback when there is none. */
const char *syncq_envelope_attribute_text(const struct syncq_envelope *envelope,
                                          const char *name,
                                          const char *fallback);

/*
 * Sort the recipients by domain, keeping their order within one, and cut them
 * into parts of one domain and at most SYNCQ_PART_RECIPIENTS_MAX recipients.
 * SYNCQ_ERR_RANGE: no recipient, or more than SYNCQ_PARTS_MAX parts.
 */
int syncq_envelope_group(struct syncq_envelope *envelope);

/* The domain of an address: what follows the last '@', or "". */
const char *syncq_address_domain(const char *address);

/*
 * The envelope as bytes for a record; it must be grouped.  The caller frees
 * *bytes.  ENOMEM, SYNCQ_ERR_RANGE.
 */
int syncq_envelope_encode(const struct syncq_envelope *envelope,
                          uint8_t **bytes, size_t *size);

/*
 * Read an envelope from bytes that stay unchanged for its whole life; the
 * texts point into them.  SYNCQ_ERR_BAD_ENVELOPE: lengths, counts or part
 * table contradict; nothing of it was believed.
 */
int syncq_envelope_decode(const uint8_t *bytes, size_t size,
                          struct syncq_envelope *envelope);

#endif
