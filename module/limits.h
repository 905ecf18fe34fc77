/* SPDX-License-Identifier: MIT */
/*
 * limits.h - every limit of a queue, with its unit
 */
#ifndef SYNCQ_LIMITS_H
#define SYNCQ_LIMITS_H

#include <stdint.h>

#define SYNCQ_PAGE_SIZE   UINT64_C(4096)      /* bytes: sync and seal unit */
#define SYNCQ_RECORD_STEP UINT64_C(256)       /* bytes: records start here */
#define SYNCQ_DATA_OFFSET (UINT64_C(1) << 20) /* bytes: first segment */

#ifndef SYNCQ_SEGMENT_SIZE_MIN /* less where tests recover it often */
#define SYNCQ_SEGMENT_SIZE_MIN (UINT64_C(8) << 20) /* bytes */
#endif
#define SYNCQ_SEGMENT_SIZE_DEFAULT (UINT64_C(64) << 20) /* bytes */
#define SYNCQ_SEGMENT_SIZE_MAX     (UINT64_C(4) << 30)  /* bytes */
#define SYNCQ_SEGMENT_COUNT_MIN    4
#define SYNCQ_SEGMENT_COUNT_MAX    4096

#define SYNCQ_ENTRY_COUNT_MIN      1024
#define SYNCQ_ENTRY_COUNT_MAX      (UINT32_C(1) << 28)
#define SYNCQ_MESSAGE_SIZE_TYPICAL 4096 /* bytes: for the default count */

#define SYNCQ_PART_RECIPIENTS_MAX 64 /* one bit each in an entry's mask */
#define SYNCQ_PARTS_MAX           65535
#define SYNCQ_RECIPIENTS_MAX      1000000
#define SYNCQ_ENVELOPE_SIZE_MAX   (UINT64_C(256) << 20) /* bytes */
#define SYNCQ_TEXT_SIZE_MAX       UINT32_C(65535)       /* bytes: an address */
#define SYNCQ_ATTRIBUTE_SIZE_MAX  (UINT32_C(16) << 20)  /* bytes: a value */
#define SYNCQ_ATTRIBUTES_MAX      256

#define SYNCQ_REQUESTS_MAX 1024 /* appends in flight over all writers */
/* Bytes of appends in flight; one is always let through. */
#define SYNCQ_IN_FLIGHT_SIZE_MAX (UINT64_C(256) << 20)
#define SYNCQ_PROCESSES_MAX      64   /* attached to one channel */
#define SYNCQ_MARKS_MAX          4096 /* in one marks record */
#define SYNCQ_GATE_TEXT_SIZE     128  /* bytes, with the closing NUL */

#define SYNCQ_FILES_MAX 64 /* queue files of one instance */

#define SYNCQ_STRAGGLER_TIME_MS 20 /* a closed batch waits for its copies */

#endif
