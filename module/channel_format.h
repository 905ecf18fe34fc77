/* SPDX-License-Identifier: MIT */
/*
 * channel_format.h - the shared memory between the sync helper and the writers
 *
 * A file in the run directory, made anew by the helper after recovery and
 * mapped by every process that writes.  It is volatile: a channel of another
 * boot, another queue or another layout is not used.
 *
 * Each append holds one request slot.  Its state goes through the four
 * messages of the sync protocol, in this order; every step has one owner:
 *
 *   free --writer, under the reserve lock--> reserved
 *   reserved --writer, record copied--> request
 *   request --helper--> receipt        the helper has it
 *   receipt --helper--> confirm        an msync that covered it returned 0
 *           --helper--> failed         it never will be durable
 *           --writer--> abandoned      the writer gave up
 *   confirm, failed --writer--> confconf   seen; the slot may be used again
 *   abandoned --writer, parts cancelled--> left --helper, synced--> free
 *             --helper, synced--> failed
 *   reserved --helper, writer dead--> withdrawn --helper, void synced--> free
 *
 * One compare-and-swap decides between confirm and abandoned.  Everything here
 * is hostile input to everyone: copy a field, then check it.
 *
 * Registration: process n holds a write lock (open file description lock) on
 * byte n of the channel file; byte 0 is the helper's.  The kernel drops it
 * when the process ends, so no pid is ever asked whether it lives.
 */
#ifndef SYNCQ_CHANNEL_FORMAT_H
#define SYNCQ_CHANNEL_FORMAT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "module/key.h"
#include "module/limits.h"
#include "module/statistics.h"

#define SYNCQ_CHANNEL_MAGIC  "SYNCQCH\n"
#define SYNCQ_CHANNEL_LAYOUT 3
#define SYNCQ_SEGMENT_NONE   UINT32_C(0xffffffff)

enum syncq_channel_state {
    SYNCQ_CHANNEL_STARTING = 1, /* recovery runs; nothing is reserved */
    SYNCQ_CHANNEL_OPEN,
    SYNCQ_CHANNEL_FAILED, /* a sync failed: final */
    SYNCQ_CHANNEL_CLOSED, /* the helper stopped cleanly; detach */
};

enum syncq_request_state {
    SYNCQ_REQUEST_FREE = 0,
    SYNCQ_REQUEST_RESERVED,
    SYNCQ_REQUEST_SENT,     /* requestfifo */
    SYNCQ_REQUEST_RECEIPT,  /* receiptfifo */
    SYNCQ_REQUEST_CONFIRM,  /* confirmfifo, durable */
    SYNCQ_REQUEST_FAILED,   /* confirmfifo, not durable */
    SYNCQ_REQUEST_CONFCONF, /* confconffifo */
    SYNCQ_REQUEST_ABANDONED,
    SYNCQ_REQUEST_LEFT,
    SYNCQ_REQUEST_WITHDRAWN,
};

/*
 * One process at a time, which holds the queue directory's lock, asks the
 * helper to use what it has appended to the files:
 *
 *   idle --asker--> asked --helper--> taken --helper--> answered --asker-->
 * idle asked --asker, given up--> idle
 */
enum syncq_grow_state {
    SYNCQ_GROW_IDLE = 0,
    SYNCQ_GROW_ASKED,
    SYNCQ_GROW_TAKEN,
    SYNCQ_GROW_ANSWERED,
};

struct syncq_request {
    uint64_t lsn, size; /* what is reserved */
    uint64_t sequence;  /* 0: marks or void */
    uint64_t sent_us;   /* monotonic; for the histogram */
    uint32_t owner;     /* incarnation << 8 | registration; 0: the helper */
    uint32_t segment;
    uint32_t slot_count; /* its entries have lock = request number + 1 */
    _Atomic uint32_t entries_written; /* the index knows this record */
};

enum syncq_segment_ask {
    SYNCQ_ASK_NOTHING = 0,
    SYNCQ_ASK_RETIRE, /* free it, nothing in it is live */
    SYNCQ_ASK_EMPTY,  /* let its page say `emptying` */
};

struct syncq_channel_segment {
    _Atomic uint64_t base_lsn;
    _Atomic uint32_t state; /* enum syncq_segment_state */
    _Atomic uint32_t ask;   /* enum syncq_segment_ask: manager to helper */
};

#define SYNCQ_REFUSALS_SIZE 8

/* What the manager has found out; only it writes. */
struct syncq_channel_space {
    _Atomic uint64_t live_size, bytes_full_in_s, entries_full_in_s;
    _Atomic uint32_t bytes_percent, entries_percent;
    _Atomic uint32_t bytes_alarm, entries_alarm;
    _Atomic uint32_t reported;
};

struct syncq_channel {
    uint8_t magic[8];
    uint32_t layout, size; /* bytes of this file */
    uint8_t boot_id[16], uuid[SYNCQ_UUID_SIZE];
    uint64_t epoch;
    _Atomic uint32_t segment_count; /* grows while the channel is in use */
    uint32_t hold_lock_for_receipt;
    _Atomic uint32_t state;        /* enum syncq_channel_state; futex */
    _Atomic uint32_t bell;         /* futex: something for the helper to do */
    _Atomic uint32_t sleeping;     /* the helper waits on the bell */
    _Atomic uint32_t segment_bell; /* futex: a segment was prepared, or not */
    _Atomic uint32_t segments_exhausted; /* none is left to prepare */
    _Atomic uint32_t grow;               /* enum syncq_grow_state; futex */
    _Atomic uint32_t grow_segment_count, grow_entry_count; /* in all */
    _Atomic int32_t grow_result;                           /* with ANSWERED */
    _Atomic uint32_t asks; /* how often the manager has asked for something */
    _Atomic uint32_t incarnations[SYNCQ_PROCESSES_MAX];

    pthread_mutex_t receipt; /* only with hold_lock_for_receipt */
    pthread_mutex_t reserve; /* robust; guards what follows, and the lists */
    uint64_t head_lsn;       /* where the next record goes */
    uint64_t sequence_counter;
    uint32_t head_segment, next_segment; /* next: prepared, or NONE */
    uint32_t next_is_last; /* open to marks and the cleaner only */
    uint32_t request_cursor;

    _Atomic uint64_t durable_lsn, synced_lsn, checkpoint, marks_lsn;
    _Atomic uint64_t arrivals;
    /* Of the data file's syncs: mean time, and monotonic times of the one that
     * runs (0: none does) and of the end of the last. */
    _Atomic uint64_t sync_average_us, sync_started_us, sync_ended_us;
    _Atomic uint32_t draining; /* the helper was told: no new mail */
    _Atomic uint32_t gate_closed, gate_change;
    char gate_text[SYNCQ_GATE_TEXT_SIZE];
    struct syncq_statistics statistics; /* the helper's */
    _Atomic uint64_t captures[8];
    _Atomic uint64_t refusals[SYNCQ_REFUSALS_SIZE]; /* by enum syncq_limit */
    struct syncq_channel_space space;
    _Atomic uint64_t copies, copied_size; /* relocated, bytes in the log */

    struct syncq_channel_segment segments[SYNCQ_SEGMENT_COUNT_MAX];
    _Atomic uint32_t states[SYNCQ_REQUESTS_MAX]; /* futexes */
    struct syncq_request requests[SYNCQ_REQUESTS_MAX];
};

#endif
