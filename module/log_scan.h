/* SPDX-License-Identifier: MIT */
/*
 * log_scan.h - walk the records of one segment (inside the module)
 *
 * The walk trusts nothing: a record counts only when its place, MAC, lengths
 * and checksum are right.  Between records it looks at each 256-byte step; a
 * record forged inside a mail has no valid MAC.
 */
#ifndef SYNCQ_LOG_SCAN_H
#define SYNCQ_LOG_SCAN_H

#include <stdint.h>

#include "module/log_reader.h"
#include "module/queue_internal.h"
#include "module/record_format.h"

/* A stretch of a segment that holds no valid record. */
struct syncq_gap {
    uint64_t lsn, size;
    uint64_t offset; /* in the file */
    uint32_t segment;
    int tail;            /* it reaches the end of the segment */
    uint64_t unreadable; /* bytes in it that gave a read error */
    /* Genuine headers in it, whose bodies are wrong: what was there. */
    uint64_t sequence;  /* of the first one */
    uint64_t explained; /* bytes that belong to messages */
    uint8_t type;       /* of the first one; 0: there is none */
};

struct syncq_log_visitor {
    /* A valid record; body is envelope and content, NULL for void.  Non-zero
     * ends the scan with that result. */
    int (*record)(const struct syncq_record_header *header, const uint8_t *body,
                  void *context);
    int (*gap)(const struct syncq_gap *gap, void *context);
    void *context;
};

/* What to scan, and what to take for valid. */
struct syncq_scan_area {
    const struct syncq_key *key; /* NULL: who knows no key, asks for no MAC */
    uint64_t offset, size;       /* in the file; whole record steps */
    uint64_t lsn;                /* of the first byte */
    int any_lsn; /* nobody knows that: a header's own word is taken */
    uint32_t segment;
};

int syncq_log_scan_area(struct syncq_log_reader *reader,
                        const struct syncq_scan_area *area,
                        const struct syncq_log_visitor *visitor);

/*
 * Scan segment, which starts at base_lsn, from offset start (at least one
 * page, a multiple of SYNCQ_RECORD_STEP) to its end.  Unreadable sectors count
 * as gaps.  ENOMEM; what a visitor returned.
 */
int syncq_log_scan(struct syncq_queue *queue, uint32_t segment,
                   uint64_t base_lsn, uint64_t start,
                   const struct syncq_log_visitor *visitor);

/* The same with a reader of the data file that serves several scans. */
int syncq_log_scan_with(struct syncq_log_reader *reader,
                        struct syncq_queue *queue, uint32_t segment,
                        uint64_t base_lsn, uint64_t start,
                        const struct syncq_log_visitor *visitor);

/*
 * Find base_lsn from any genuine record inside, for a segment whose pages are
 * both damaged.  SYNCQ_ERR_BAD_RECORD: there is none; ENOMEM.
 */
int syncq_log_find_base(struct syncq_queue *queue, uint32_t segment,
                        uint64_t *base_lsn);

/* The same where area says where the records of the segment are, one page
 * behind its start; area's LSN is not used. */
int syncq_log_find_base_in(struct syncq_log_reader *reader,
                           const struct syncq_scan_area *area,
                           uint64_t *base_lsn);

#endif
