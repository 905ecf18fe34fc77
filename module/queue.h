/* SPDX-License-Identifier: MIT */
/*
 * queue.h - make, open and close a queue
 *
 * A queue is a directory with four files, each 0600, in a 0700 directory of
 * the mail owner outside the MTA's reach:
 *
 *   queue.data    superblock and segments: the truth
 *   queue.index   entries and checkpoints: a fast copy of the state
 *   queue.key     secret of the MACs
 *   queue.latch   says whether a sync ever failed
 *
 * and a volatile directory with `channel` (shared memory between the sync
 * helper and the writers), `arrivals` (a FIFO) and `control` (a socket).
 *
 * struct syncq_queue is opaque; one per process and queue.  Functions may be
 * called from several threads at a time unless their header says otherwise;
 * open and close may not.
 */
#ifndef SYNCQ_QUEUE_H
#define SYNCQ_QUEUE_H

#include <stdint.h>

#include "module/limits.h"
#include "module/key.h"

struct syncq_queue;

#define SYNCQ_DATA_FILE     "queue.data"
#define SYNCQ_INDEX_FILE    "queue.index"
#define SYNCQ_KEY_FILE      "queue.key"
#define SYNCQ_LATCH_FILE    "queue.latch"
#define SYNCQ_MANAGER_FILE  "manager.lock"
#define SYNCQ_CHANNEL_FILE  "channel"
#define SYNCQ_ARRIVALS_FILE "arrivals"
#define SYNCQ_CONTROL_FILE  "control"

/* How to make a queue. */
struct syncq_create_options {
    uint64_t size;         /* bytes for segments; rounded down to whole ones */
    uint64_t segment_size; /* bytes; 0: the default, less for a small queue */
    uint32_t entry_count;  /* 0: one for each 4 KiB of size */
    int allow_any_filesystem; /* tests only: skip the file system check */
    /* Called now and then with bytes done and to do; may be NULL. */
    void (*progress)(uint64_t done, uint64_t total, void *context);
    void *context;
};

/*
 * Make a queue in an existing directory that belongs to the caller, mode 0700,
 * and holds no queue.  Every file is filled, synced and closed on return, the
 * superblock last, so an interrupted create leaves no queue behind; what it
 * wrote is removed.  As root, chown the files afterwards is the caller's job.
 * SYNCQ_ERR_EXISTS, SYNCQ_ERR_RANGE (size too small or too large),
 * SYNCQ_ERR_FILESYSTEM, SYNCQ_ERR_MODE, ENOSPC and other errno values.
 */
int syncq_queue_create(const char *directory,
                       const struct syncq_create_options *options);

enum syncq_open_mode {
    SYNCQ_OPEN_READ,  /* look at data and index; needs no helper, no channel */
    SYNCQ_OPEN_WRITE, /* append and change entries; needs an open channel */
};

/*
 * Open a queue.  The process's effective user must own the files, or be root.
 * With SYNCQ_OPEN_READ nothing is ever written, and what another process
 * changes meanwhile is seen.  With SYNCQ_OPEN_WRITE the process is registered
 * in the channel until close; the run directory must be the helper's.
 *
 * SYNCQ_ERR_NO_QUEUE, _OWNER, _MODE, _MAGIC, _VERSION, _KEY, _KEY_FILE,
 * _SUPERBLOCK, _TRUNCATED, _INDEX: see error.h.  For writing also
 * SYNCQ_ERR_NO_HELPER, _RECOVERING (try again later), _LATCHED, _BUSY (no
 * registration is free).
 */
int syncq_queue_open(const char *directory, const char *run_directory,
                     enum syncq_open_mode mode, struct syncq_queue **queue);

/* The UUID of a queue, without its index and its helper.  Errors as above. */
int syncq_queue_uuid(const char *directory, uint8_t uuid[SYNCQ_UUID_SIZE]);

/* Unregister and free.  NULL is fine.  No ticket may be in use any more. */
void syncq_queue_close(struct syncq_queue *queue);

/*
 * Can this writer go on?  0, SYNCQ_ERR_DETACHED (the channel was replaced:
 * close and open again), SYNCQ_ERR_LATCHED.  Cheap enough for each message.
 */
int syncq_queue_usable(struct syncq_queue *queue);

/* Was the sync helper told that this file takes no new mail?  Both modes. */
int syncq_queue_draining(struct syncq_queue *queue);

/* How many parts are not done and not cancelled, by the index. */
uint64_t syncq_queue_live_count(struct syncq_queue *queue);

/* Does a sync helper serve the channel right now?  Both modes. */
int syncq_helper_running(struct syncq_queue *queue);

/* What is known of a queue at this moment. */
struct syncq_queue_status {
    uint8_t uuid[SYNCQ_UUID_SIZE];
    uint64_t file_size, segment_size, epoch;
    uint32_t segment_count, segments_free;
    uint64_t free_size; /* bytes that mail can still be given now */
    uint32_t entry_count, entries_free;
    uint64_t message_size_max; /* bytes of envelope and content together */
    int latched;               /* the latch on disk is set */
    uint64_t latched_lsn;      /* durable_lsn when it was set */
};

/* Works in both modes; entries_free counts the index when no helper runs. */
int syncq_queue_status(struct syncq_queue *queue,
                       struct syncq_queue_status *status);

/*
 * One manager at a time: only the holder changes entries that are synced or
 * later and appends marks.  The lock ends with the process.  *fd is the
 * caller's to close.  SYNCQ_ERR_BUSY: somebody else holds it.
 */
int syncq_manager_lock(const char *directory, int *fd);

/*
 * Why captures are refused although the queue is fine; "" opens the gate
 * again.  Only the manager sets it; text is cut at SYNCQ_GATE_TEXT_SIZE - 1.
 * Needs SYNCQ_OPEN_WRITE.  The gate is closed when a channel is new.
 */
void syncq_gate_set(struct syncq_queue *queue, const char *text);

/* True when the gate is open; else text holds the reason. */
int syncq_gate_get(struct syncq_queue *queue, char text[SYNCQ_GATE_TEXT_SIZE]);

#endif
