/* SPDX-License-Identifier: MIT */
/*
 * record.h - the records of a Postfix queue file; no other file knows how
 * they are encoded
 *
 *   1 byte type, length in groups of 7 bits (least significant first, bit 7:
 *   more follows), data.  No alignment, no checksum; data holds any byte.
 *
 * A pointer record says where reading goes on, anywhere in the file; offset 0
 * means right behind it.  So the order of records is the order of reading, not
 * that of the bytes.
 */
#ifndef SYNCQ_POSTFIX_RECORD_H
#define SYNCQ_POSTFIX_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_LENGTH_BYTES_MAX   4     /* of the encoded length */
#define RECORD_BACKWARD_JUMPS_MAX 10000 /* while reading one file */
#define RECORD_SIZE_DATA_SIZE     95    /* bytes: six numbers of a C record */
#define RECORD_SIZE_FIELDS        6

enum record_type {
    RECORD_SIZE = 'C',        /* sizes and counts, first in the file */
    RECORD_TIME = 'T',        /* arrival: seconds, microseconds */
    RECORD_CREATE_TIME = 'c', /* old form of A create_time */
    RECORD_FULL_NAME = 'F',   /* of the local submitter */
    RECORD_INSPECT = 'I',     /* inspection transport, historical */
    RECORD_FILTER = 'L',      /* transport:nexthop; the same letter as */
    RECORD_PART = 'L',        /* content that goes on in the next record */
    RECORD_LINE = 'N',        /* content, a line end follows */
    RECORD_SENDER = 'S',
    RECORD_ATTRIBUTE = 'A',    /* name=value */
    RECORD_NOTIFY = 'n',       /* old forms of A notify_flags, */
    RECORD_DSN_ORIGINAL = 'o', /* A dsn_orig_rcpt, */
    RECORD_ENVELOPE_ID = 'i',  /* A envelope_id */
    RECORD_RET = '<',          /* and A ret_flags */
    RECORD_ORIGINAL = 'O',     /* before aliasing, of the next recipient */
    RECORD_RECIPIENT = 'R',    /* to do */
    RECORD_DONE = 'D',         /* a recipient that is done */
    RECORD_CANCELLED = '/',    /* a recipient that a milter removed */
    RECORD_WARN = 'W',         /* time of the delay warning; -1: sent */
    RECORD_VERP = 'V',         /* two delimiters */
    RECORD_REDIRECT = '>',
    RECORD_KILLED = 'K',
    RECORD_RETURN_RECEIPT = 'r',
    RECORD_ERRORS_TO = 'e',
    RECORD_PRIORITY = 'P',
    RECORD_POINTER = 'p',
    RECORD_PADDING = 'w',
    RECORD_MESSAGE = 'M',   /* content follows */
    RECORD_EXTRACTED = 'X', /* content ends */
    RECORD_END = 'E',
};

struct record {
    int type;
    const uint8_t *data; /* size bytes in the file, no NUL behind them */
    size_t size;
    uint64_t offset; /* of the type byte */
};

struct record_reader {
    const uint8_t *bytes;
    size_t size;
    uint64_t offset;    /* where the next record is looked for */
    uint64_t read_size; /* bytes of all records so far */
    unsigned backward_count;
    uint64_t run_start, run_size; /* see record_reader_position() */
};

void record_reader_init(struct record_reader *reader, const uint8_t *bytes,
                        size_t size);

/*
 * The next record in reading order: pointers are followed, padding is skipped.
 * QUEUE_FILE_ERR_INCOMPLETE: the file ends here or within the record;
 * QUEUE_FILE_ERR_RECORD: its length is not encoded as it must be;
 * QUEUE_FILE_ERR_POINTER: points outside, or the reading goes in circles.
 */
int record_next(struct record_reader *reader, struct record *record);

/*
 * Bytes read up to a place right behind the last record read, or at its start
 * when offset is given so: as if the file were one run, without the pointers
 * that led away from a run.
 */
uint64_t record_reader_position(const struct record_reader *reader,
                                uint64_t offset);

/*
 * A decimal number with blanks around it.  0 or QUEUE_FILE_ERR_VALUE.  The
 * data may hold several; *data and *size move behind the one that was read.
 */
int record_number(const uint8_t **data, size_t *size, uint64_t *number);

/* Writes records into a growing buffer. */
struct record_writer {
    uint8_t *bytes; /* the caller frees it */
    size_t size, capacity;
    int failed; /* ENOMEM happened; nothing more is written */
};

void record_write(struct record_writer *writer, int type, const void *data,
                  size_t size);
/* Records that are encoded already. */
void record_write_raw(struct record_writer *writer, const void *bytes,
                      size_t size);
/* Fills in the size record, which is the first one of the file. */
void record_patch_size(struct record_writer *writer,
                       const uint64_t fields[RECORD_SIZE_FIELDS]);

#endif
