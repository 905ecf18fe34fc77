/* SPDX-License-Identifier: MIT */
/*
 * queue_file.h - read and write Postfix queue files
 *
 * Reading is strict: a file is understood as a whole or refused.  Pointer
 * records are followed everywhere, with a limit on backward jumps; content is
 * copied flat (N and L records only, without p and w).  Nothing is written by
 * the reader.
 *
 * What an envelope keeps beyond sender and recipients, as named attributes
 * (absent when the file does not say it):
 *
 *   queue_id               given by the caller
 *   arrival                "SEC USEC" of the T record
 *   create_time            seconds, decimal
 *   size                   bytes of content as Postfix counts and logs them
 *   sendopts               decimal bits (SMTPUTF8, TLS-Required, REQUIRETLS)
 *   dsn_seen               decimal, NOTIFY bits that any recipient has
 *   encoding, envelope_id, ret_flags, log_client_name, log_client_address,
 *   log_client_port, log_helo_name, log_protocol_name, log_ident,
 *   rewrite_context, sasl_method, sasl_username, sasl_sender, trace_flags,
 *   message_id             as in the file's A records
 *   warn_time              W record, decimal; -1: sent
 *   verp                   the two delimiters
 *   redirect               address of the last > record
 *   trace_log              bytes of trace/ID, set by the capturer
 *
 * FILTER becomes the envelope's instructions ("transport:nexthop").
 */
#ifndef SYNCQ_POSTFIX_QUEUE_FILE_H
#define SYNCQ_POSTFIX_QUEUE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "module/envelope.h"

enum queue_file_error {
    QUEUE_FILE_ERR_INCOMPLETE = -2000, /* ends before its E record */
    QUEUE_FILE_ERR_RECORD,             /* unknown type or bad length */
    QUEUE_FILE_ERR_POINTER,            /* points outside, or loops */
    QUEUE_FILE_ERR_ORDER, /* a record outside its segment, or missing */
    QUEUE_FILE_ERR_VALUE, /* a number or attribute that cannot be read */
    QUEUE_FILE_ERR_NO_SENDER,
    QUEUE_FILE_ERR_LIMIT, /* over a limit of module/limits.h */
};
/* Text for these, for module errors and for errno values. */
const char *queue_file_strerror(int error);

struct queue_file {
    struct syncq_envelope envelope; /* not grouped, to-do recipients only */
    uint64_t *offsets;   /* file offset of each recipient's R byte, in the
                            envelope's (ungrouped) order */
    uint32_t done_count; /* recipients that were done or cancelled */
    uint8_t *content;    /* N and L records, ready for a delivery file */
    size_t content_size;
    uint64_t data_offset; /* of the first content record */
    int finished;         /* the size record is filled in */
};

/*
 * Read a whole queue file from memory.  On success the caller clears *file.
 * 0, a queue_file_error, a module error, ENOMEM, or EINVAL: not a queue id.
 */
int queue_file_parse(const uint8_t *bytes, size_t size, const char *queue_id,
                     struct queue_file *file);
void queue_file_clear(struct queue_file *file);

/*
 * The file that delivery agents and bounce(8) read: C, T, A, S, O/R, M,
 * content, X, [A message_id], E.  recipients selects which recipients of the
 * envelope to write, in this order; offsets receives the offset of each R
 * byte, *data_offset that of the first content record.  *bytes is the
 * caller's to free.  ENOMEM.
 */
int queue_file_build(const struct syncq_envelope *envelope,
                     const uint32_t *recipients, uint32_t recipient_count,
                     const uint8_t *content, size_t content_size,
                     uint64_t *offsets, uint64_t *data_offset, uint8_t **bytes,
                     size_t *size);

/* True for texts that can be a queue id: letters, digits, 6 to 100 bytes. */
int queue_id_valid(const char *queue_id);

/*
 * Path of a queue file or log below the queue directory: "incoming/ID",
 * "defer/A/ID" when hash_queue_names lists it.  hash_names is the value of
 * hash_queue_names.  ENAMETOOLONG, EINVAL: not a queue id.
 */
int queue_file_path(const char *queue_name, const char *queue_id,
                    const char *hash_names, unsigned hash_depth, char *path,
                    size_t path_size);

#endif
