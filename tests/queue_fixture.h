/* SPDX-License-Identifier: MIT */
/*
 * queue_fixture.h - a small queue in a folder of its own, with a sync helper
 * in a thread of the test
 *
 * A queue takes a moment to fill, so it is made once for each test program and
 * copied for each test.  Everything asserts by itself.
 */
#ifndef SYNCQ_TESTS_QUEUE_FIXTURE_H
#define SYNCQ_TESTS_QUEUE_FIXTURE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "module/append.h"
#include "module/marks.h"
#include "module/queue_internal.h"
#include "module/read.h"
#include "module/recovery.h"
#include "program/config.h"
#include "sync-helper/helper.h"

#define FIXTURE_SEGMENT_SIZE  SYNCQ_SEGMENT_SIZE_MIN
#define FIXTURE_SEGMENT_COUNT SYNCQ_SEGMENT_COUNT_MIN
#define FIXTURE_ENTRY_COUNT   4096
#define FIXTURE_WAIT_MS       30000 /* what must happen has happened by then */

struct fixture {
    char *directory;
    char queue[512], run[512];
    struct config config;
    struct helper helper;
    pthread_t thread;
    int helper_runs;
    struct syncq_queue *writer;
};

/* For cmocka_run_group_tests. */
int fixture_group_setup(void **state);
int fixture_group_teardown(void **state);

/* *state becomes a struct fixture with a new, empty queue; running: with a
 * helper and an open writer, too. */
int fixture_setup(void **state);
int fixture_setup_running(void **state);
int fixture_teardown(void **state);

/* The same without a test's state. */
struct fixture *fixture_new(void);
/* Folders without a queue in them. */
struct fixture *fixture_bare(void);
void fixture_free(struct fixture *fixture);

/* Helper and writer.  stop ends both, clean when nothing is open. */
void fixture_start(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
void fixture_stop(struct fixture *fixture);
/* Start the helper only; what helper_open returned. */
int fixture_try_start(struct fixture *fixture);
/* What helper_open returns when it is to fail. */
int fixture_start_fails(struct fixture *fixture);

/* What a crash of all processes leaves at this moment, as a queue of its own:
 * the files as any process sees them, and no channel. */
struct fixture *fixture_image(const struct fixture *fixture);

/* Recover without a helper; 0 or the error. */
int fixture_recover(struct fixture *fixture,
                    struct syncq_recovery_report *report,
                    struct syncq_recovered *recovered);

/* Path of one of the queue's files, valid until the next call. */
const char *fixture_path(const struct fixture *fixture, const char *name);

/* Overwrite size bytes of a file of the queue at offset. */
void fixture_overwrite(const struct fixture *fixture, const char *name,
                       uint64_t offset, const void *bytes, size_t size);
/* Change each of these bytes. */
void fixture_damage(const struct fixture *fixture, const char *name,
                    uint64_t offset, size_t size);
/* Copy a file, by path or from another queue, over one of this queue. */
void fixture_copy_path(const char *from, const struct fixture *to,
                       const char *name);
void fixture_copy_file(const struct fixture *from, const struct fixture *to,
                       const char *name);

/* Where a record lies in the data file, by its LSN. */
uint64_t fixture_offset(struct syncq_queue *queue, uint64_t lsn);

/* Open for reading. */
struct syncq_queue *fixture_reader(const struct fixture *fixture);

/* Wake the keeper until done() says so, FIXTURE_WAIT_MS at most. */
void fixture_until(struct fixture *fixture,
                   int (*done)(struct fixture *fixture, void *context),
                   void *context);

/* Wait until all that was sent is durable, and the channel says so. */
void fixture_until_durable(struct fixture *fixture);

/* Bytes of pages that this process made dirty so far; 0: nobody counts them. */
uint64_t fixture_dirtied_bytes(void);
/* Let the kernel call all pages of the data file clean, and drop those that
 * nobody has mapped, so that none lies in a large one that counts at once. */
void fixture_clean_cache(const struct fixture *fixture);

/* ---- mails ---- */

enum { MAIL_PARTS_MAX = 16 };

struct mail {
    uint64_t sequence, lsn;
    uint32_t recipient_count, part_count;
    uint32_t slots[MAIL_PARTS_MAX];
    unsigned seed; /* decides the content */
    size_t size;   /* of the content */
};

/* Describe a mail: recipients spread over domains, content of size bytes. */
void mail_init(struct mail *mail, unsigned seed, uint32_t recipient_count,
               uint32_t domain_count, size_t size);

/* Append it: the result of syncq_append.  On success *mail is filled in. */
int mail_append(struct syncq_queue *queue, struct mail *mail,
                struct syncq_ticket *ticket);

/* Append, wait for the confirm, finish as synced. */
void mail_store(struct syncq_queue *queue, struct mail *mail);
/* One recipient. */
void mail_store_simple(struct syncq_queue *queue, struct mail *mail,
                       unsigned seed, size_t size);

/* Read it back and compare every byte of envelope and content. */
void mail_check(struct syncq_queue *queue, const struct mail *mail);

/* What of a record is not as in this mail; NULL: it is the same, byte for
 * byte. */
const char *mail_difference(const struct mail *mail,
                            const struct syncq_record *record);
/* Seed of the mail that a record says it is; 0: it is none of these mails. */
int mail_seed(const struct syncq_record *record, unsigned *seed);

/* Bytes of its record in the log. */
uint64_t mail_record_size(const struct mail *mail);

/* Status of a part by the index: searched by sequence and part, not by slot;
 * SYNCQ_STATUS_FREE: there is none.  More than one entry fails the test. */
unsigned mail_status(struct syncq_queue *queue, const struct mail *mail,
                     uint32_t part);

/* Set the status of all parts, in the index and by a marks record, as the
 * queue manager does. */
void mail_mark(struct syncq_queue *queue, const struct mail *mails,
               uint32_t count, unsigned status, uint64_t *marks_lsn);

/* How many parts the index holds with this status. */
uint32_t count_status(struct syncq_queue *queue, unsigned status);
/* How many slots are in use. */
uint32_t count_used(struct syncq_queue *queue);

/* What the index says, slot numbers and counters left out. */
struct part_state {
    uint64_t sequence, lsn, mask;
    uint32_t part, status;
};
struct part_states {
    size_t count;
    struct part_state parts[FIXTURE_ENTRY_COUNT];
};
/* All parts in order of sequence and part; the caller frees it. */
struct part_states *states_read(const struct fixture *fixture);
void states_check_equal(const struct part_states *have,
                        const struct part_states *want);

/*
 * Walk the whole log: each 256-byte step below durable_lsn lies in exactly one
 * valid record, and LSNs rise.  Returns the number of message records.
 */
uint32_t log_check(struct syncq_queue *queue, uint64_t durable_lsn);

/* Walk the lists: each slot is in exactly one, and the counts are right. */
void lists_check(struct syncq_queue *queue);

#endif
