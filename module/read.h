/* SPDX-License-Identifier: MIT */
/*
 * read.h - read a record of the log by its LSN
 *
 * Readers copy first and check the copy: a bad sector is then an error on one
 * record, and what another process writes meanwhile cannot slip in between.
 */
#ifndef SYNCQ_READ_H
#define SYNCQ_READ_H

#include <stddef.h>
#include <stdint.h>

#include "module/envelope.h"
#include "module/queue.h"
#include "module/record_format.h"

struct syncq_record {
    struct syncq_record_header header;
    struct syncq_envelope envelope; /* points into memory; empty for marks */
    const uint8_t *content;
    size_t content_size;
    const uint8_t *states; /* header.state_count, for syncq_mark_decode */
    uint8_t *memory;       /* envelope, content and states */
};

/*
 * Read and check a message or marks record.  sequence 0 accepts any, else the
 * record must be of this message.  On success the caller clears *record.
 * SYNCQ_ERR_BAD_RECORD: nothing genuine there; SYNCQ_ERR_BAD_ENVELOPE; EIO;
 * ENOMEM.
 */
int syncq_record_read(struct syncq_queue *queue, uint64_t lsn,
                      uint64_t sequence, struct syncq_record *record);

/* Is there a genuine void record at this place? */
int syncq_record_is_void(struct syncq_queue *queue, uint64_t lsn);

/* The header alone, checked; one small read. */
int syncq_record_read_header(struct syncq_queue *queue, uint64_t lsn,
                             struct syncq_record_header *header);

void syncq_record_clear(struct syncq_record *record);

#endif
