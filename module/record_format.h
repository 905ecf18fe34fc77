/* SPDX-License-Identifier: MIT */
/*
 * record_format.h - layout of one record of the log
 *
 *   offset  size  field            meaning (integers are little-endian)
 *        0     4  signature        FC 58 84 85
 *        4     1  version          SYNCQ_RECORD_VERSION
 *        5     1  type             enum syncq_record_type
 *        6     2  reserved         zero
 *        8     8  lsn              position in the log: base of the segment
 *                                  + offset in it
 *       16     8  sequence         epoch << 40 | counter; a relocated copy
 *                                  keeps it; zero for marks and void
 *       24     4  copy             0, then one more with each relocation
 *       28     4  recipient_count
 *       32     8  size             whole record with header and padding,
 *                                  a multiple of SYNCQ_RECORD_STEP
 *       40     8  envelope_size    bytes, right after the header
 *       48     8  content_size     bytes, right after the envelope
 *       56     8  date_us          microseconds since 1970; informs only
 *       64     8  durable_lsn      everything below was durable or void when
 *                                  this was written
 *       72     8  checkpoint       last index checkpoint known then
 *       80     8  previous_marks   marks: LSN of the marks record before, or 0
 *       88     4  part_count
 *       92     4  state_count      copies: parts that were not final; else 0
 *       96    16  checksum         XXH3-128 of envelope, content and states,
 *                                  low half first; zero when there is nothing
 *      112    16  mac              keyed BLAKE2b over bytes 0 to 111 and UUID
 *      128        envelope, content, states, zeros up to size
 *
 * A record starts at a multiple of 256 bytes, so its header lies in one page.
 * It is valid when the signature, the LSN that belongs at this place, the MAC,
 * the lengths and the checksum are all right.  A void record has a header
 * only; what its other bytes hold means nothing.
 *
 * A relocated copy ends with the states that its parts had when it was made,
 * one mark image (marks_format.h) each, by part number: the marks before it
 * may be gone with their segment before it is read.  A part of a copy that is
 * not named there was final, and its slot may be gone.  Any change here raises
 * SYNCQ_RECORD_VERSION and adds a file to tests/golden/.
 */
#ifndef SYNCQ_RECORD_FORMAT_H
#define SYNCQ_RECORD_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "module/key.h"

#define SYNCQ_RECORD_SIGNATURE UINT32_C(0x858458fc)
#define SYNCQ_RECORD_VERSION   1

#define SYNCQ_SEQUENCE_COUNTER_BITS 40
#define SYNCQ_SEQUENCE_EPOCH(sequence)                                         \
    ((sequence) >> SYNCQ_SEQUENCE_COUNTER_BITS)

enum syncq_record_type {
    SYNCQ_RECORD_SMTP = 1, /* RFC 5322 text as received */
    SYNCQ_RECORD_POSTFIX,  /* Postfix content records, pointers resolved */
    SYNCQ_RECORD_SMS,      /* short message, the patent's second format */
    SYNCQ_RECORD_MARKS,    /* changes of state: marks_format.h */
    SYNCQ_RECORD_VOID,     /* nothing; keeps the log without gaps */
};

struct syncq_record_header {
    uint32_t signature;
    uint8_t version, type;
    uint16_t reserved0;
    uint64_t lsn, sequence;
    uint32_t copy, recipient_count;
    uint64_t size, envelope_size, content_size;
    int64_t date_us;
    uint64_t durable_lsn, checkpoint, previous_marks;
    uint32_t part_count, state_count;
    uint8_t checksum[16];
    uint8_t mac[SYNCQ_MAC_SIZE];
};
static_assert(offsetof(struct syncq_record_header, mac) == 112, "on-disk");
static_assert(sizeof(struct syncq_record_header) == 128, "on-disk layout");

/* True for the types that carry mail. */
int syncq_record_type_is_message(uint8_t type);

/*
 * Size in the log of a record with this envelope and content, a multiple of
 * SYNCQ_RECORD_STEP; 0 when the sum does not fit in 64 bits.
 */
uint64_t syncq_record_size(uint64_t envelope_size, uint64_t content_size);

/* Bytes of envelope, content and states together.  SYNCQ_ERR_TOO_LARGE: the
 * sum does not fit in 64 bits. */
int syncq_record_body_size(const struct syncq_record_header *header,
                           uint64_t *size);

/* What a header keeps of its body: size bytes. */
void syncq_record_checksum(const void *body, uint64_t size,
                           uint8_t checksum[16]);

/* Fill in signature, version and MAC; all else is the caller's. */
void syncq_record_header_seal(struct syncq_record_header *header,
                              const struct syncq_key *key);

/*
 * Is this a genuine header at the place lsn, with at most size_max bytes left
 * in its segment?  0 or SYNCQ_ERR_BAD_RECORD.  The checksum is not looked at.
 * key NULL: salvage without a key; the MAC is not looked at either.
 */
int syncq_record_header_check(const struct syncq_record_header *header,
                              const struct syncq_key *key, uint64_t lsn,
                              uint64_t size_max);

/*
 * Does this body belong to the header?  body holds syncq_record_body_size
 * bytes.  0 or SYNCQ_ERR_BAD_RECORD.
 */
int syncq_record_body_check(const struct syncq_record_header *header,
                            const void *body);

#endif
