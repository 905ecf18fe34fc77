/* SPDX-License-Identifier: MIT */
/*
 * queue_file_envelope.h - from records outside the content to an envelope
 *
 * Part of the reader in queue_file.c.  Postfix's rules for what is said twice
 * are kept: some things are taken from the first record, others from the last.
 */
#ifndef SYNCQ_POSTFIX_QUEUE_FILE_ENVELOPE_H
#define SYNCQ_POSTFIX_QUEUE_FILE_ENVELOPE_H

#include "module/envelope.h"
#include "module/limits.h"
#include "postfix/queue_file.h"
#include "postfix/record.h"

/* What is known of a file while it is read; too large for the stack. */
struct queue_file_envelope {
    struct queue_file *file; /* envelope and recipients go here */
    size_t offset_capacity;
    uint32_t dsn_seen; /* NOTIFY bits of any recipient, done ones too */
    int has_time, has_sender, has_log_attribute;

    /* Before a recipient stands what is known of it. */
    char original[SYNCQ_TEXT_SIZE_MAX + 1];
    char dsn_original[SYNCQ_TEXT_SIZE_MAX + 1];
    uint32_t notify;

    char text[SYNCQ_TEXT_SIZE_MAX + 1]; /* of the record at hand */
};

/*
 * Take in one record of the envelope or the extracted segment, other than C,
 * M, X and E.  QUEUE_FILE_ERR_VALUE, QUEUE_FILE_ERR_LIMIT, ENOMEM.
 */
int queue_file_envelope_add(struct queue_file_envelope *envelope,
                            const struct record *record);

/* Set an attribute of the envelope to a decimal number. */
int queue_file_envelope_set_number(struct queue_file_envelope *envelope,
                                   const char *name, uint64_t number);

/* A module's result as one of ours. */
int queue_file_error_from_module(int error);

#endif
