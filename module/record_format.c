/* SPDX-License-Identifier: MIT */
#include "module/record_format.h"

#include <string.h>
#include <xxhash.h>

#include "module/bytes.h"
#include "module/error.h"
#include "module/limits.h"
#include "module/marks_format.h"

int syncq_record_type_is_message(uint8_t type)
{
    return type >= SYNCQ_RECORD_SMTP && type <= SYNCQ_RECORD_SMS;
}

uint64_t syncq_record_size(uint64_t envelope_size, uint64_t content_size)
{
    uint64_t size;

    if (!checked_add(envelope_size, content_size, &size) ||
        !checked_add(size, sizeof(struct syncq_record_header), &size) ||
        !checked_round_up(size, SYNCQ_RECORD_STEP, &size))
        return 0;
    return size;
}

int syncq_record_body_size(const struct syncq_record_header *header,
                           uint64_t *size)
{
    uint64_t states =
        (uint64_t)header->state_count * sizeof(struct syncq_mark_image);

    return checked_add(header->envelope_size, header->content_size, size) &&
                   checked_add(*size, states, size)
               ? 0
               : SYNCQ_ERR_TOO_LARGE;
}

void syncq_record_checksum(const void *body, uint64_t size,
                           uint8_t checksum[16])
{
    XXH128_hash_t hash = {0, 0};

    if (size)
        hash = XXH3_128bits(body, size);
    memcpy(checksum, &hash.low64, 8);
    memcpy(checksum + 8, &hash.high64, 8);
}

void syncq_record_header_seal(struct syncq_record_header *header,
                              const struct syncq_key *key)
{
    header->signature = SYNCQ_RECORD_SIGNATURE;
    header->version = SYNCQ_RECORD_VERSION;
    syncq_key_mac(key, header, offsetof(struct syncq_record_header, mac),
                  header->mac);
}

static int has_right_size(const struct syncq_record_header *header,
                          uint64_t size_max)
{
    uint64_t body, size;

    if (header->size == 0 || header->size % SYNCQ_RECORD_STEP ||
        header->size > size_max)
        return 0;
    if (header->type == SYNCQ_RECORD_VOID)
        return header->envelope_size == 0 && header->content_size == 0;
    if (syncq_record_body_size(header, &body) != 0)
        return 0;
    size = syncq_record_size(body, 0);
    return header->size == size;
}

/* The MAC comes last: a scan over foreign bytes must not pay for it. */
int syncq_record_header_check(const struct syncq_record_header *header,
                              const struct syncq_key *key, uint64_t lsn,
                              uint64_t size_max)
{
    if (header->signature != SYNCQ_RECORD_SIGNATURE || header->lsn != lsn ||
        header->version != SYNCQ_RECORD_VERSION ||
        header->type < SYNCQ_RECORD_SMTP || header->type > SYNCQ_RECORD_VOID ||
        !has_right_size(header, size_max) ||
        (key != NULL &&
         !syncq_key_verify(key, header,
                           offsetof(struct syncq_record_header, mac),
                           header->mac)))
        return SYNCQ_ERR_BAD_RECORD;
    return 0;
}

int syncq_record_body_check(const struct syncq_record_header *header,
                            const void *body)
{
    uint8_t checksum[sizeof(header->checksum)];
    uint64_t size;

    if (syncq_record_body_size(header, &size) != 0)
        return SYNCQ_ERR_BAD_RECORD;
    syncq_record_checksum(body, size, checksum);
    return memcmp(checksum, header->checksum, sizeof(checksum))
               ? SYNCQ_ERR_BAD_RECORD
               : 0;
}
