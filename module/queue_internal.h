/* SPDX-License-Identifier: MIT */
/*
 * queue_internal.h - what is behind struct syncq_queue; module and helper only
 */
#ifndef SYNCQ_QUEUE_INTERNAL_H
#define SYNCQ_QUEUE_INTERNAL_H

#include "module/channel.h"
#include "module/data.h"
#include "module/index.h"
#include "module/queue.h"

struct syncq_read_ahead;

struct syncq_queue {
    enum syncq_open_mode mode;
    char *run_directory;
    int directory_fd;
    struct syncq_key key;
    struct syncq_data data;
    struct syncq_index index;
    struct syncq_channel_handle handle;
    struct syncq_read_ahead *read_ahead; /* writers only */
    int arrivals_fd;                 /* writing end; opened when first needed */
};

/* Open directory, key, data and index, without any channel. */
int syncq_queue_open_files(const char *directory, const char *run_directory,
                           int writable, struct syncq_queue **queue);

/*
 * Use what the queue has grown by since.  Cheap when it has not; any thread.
 * SYNCQ_ERR_TRUNCATED: the files are shorter than channel or header say; errno.
 */
int syncq_queue_follow(struct syncq_queue *queue);

/* Base LSN of a segment, from the channel when there is one, else from its
 * page.  SYNCQ_ERR_BAD_RECORD: free or unreadable. */
int syncq_segment_base(struct syncq_queue *queue, uint32_t segment,
                       uint64_t *base_lsn);

/* Which segment holds this LSN now?  SYNCQ_ERR_BAD_RECORD: none. */
int syncq_segment_find(struct syncq_queue *queue, uint64_t lsn,
                       uint32_t *segment, uint64_t *base_lsn);

/* Largest record of one segment, bytes. */
uint64_t syncq_record_size_max(const struct syncq_queue *queue);

/* The latch: a file made in advance, written O_DSYNC. */
int syncq_latch_create(int directory_fd);
int syncq_latch_set(int directory_fd, uint64_t durable_lsn);
/* Only the index failed: the next start has to replay everything. */
int syncq_latch_set_index(int directory_fd);
int syncq_latch_clear(int directory_fd);
/* 0: not set; SYNCQ_ERR_INDEX: set for the index only; SYNCQ_ERR_LATCHED: set,
 * or not readable. */
int syncq_latch_read(int directory_fd, uint64_t *durable_lsn);

#endif
