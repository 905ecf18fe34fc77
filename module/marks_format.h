/* SPDX-License-Identifier: MIT */
/*
 * marks_format.h - the content of a marks record: changes of state
 *
 * The content is an array of marks, oldest first; the record's header counts
 * nothing, content_size / 64 does.  Applying a mark twice is harmless.
 *
 *   offset  size  field (integers are little-endian)
 *        0     8  sequence        of the message
 *        8     8  mask            finished recipients of the part
 *       16     4  part
 *       20     4  last_attempt_s  seconds since 1970
 *       24     4  next_attempt_s
 *       28     2  attempts
 *       30     2  reason
 *       32     2  dsn_detail
 *       34     1  dsn_class
 *       35     1  dsn_subject
 *       36     1  status          enum syncq_status
 *       37    27  reserved        zero
 */
#ifndef SYNCQ_MARKS_FORMAT_H
#define SYNCQ_MARKS_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct syncq_mark_image {
    uint64_t sequence, mask;
    uint32_t part, last_attempt_s, next_attempt_s;
    uint16_t attempts, reason, dsn_detail;
    uint8_t dsn_class, dsn_subject, status;
    uint8_t reserved[27];
};
static_assert(offsetof(struct syncq_mark_image, status) == 36, "on-disk");
static_assert(sizeof(struct syncq_mark_image) == 64, "on-disk layout");

#endif
