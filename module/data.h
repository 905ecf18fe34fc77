/* SPDX-License-Identifier: MIT */
/*
 * data.h - the queue data file, opened and mapped (inside the module)
 *
 * Segments are mapped one by one when first needed, each process for itself,
 * with single-page folios: see data_map.c for why.
 */
#ifndef SYNCQ_DATA_H
#define SYNCQ_DATA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "module/key.h"
#include "module/segment_format.h"
#include "module/superblock_format.h"

struct syncq_data {
    int fd;
    int writable;
    dev_t device;
    ino_t inode;
    uint64_t segment_size;
    _Atomic uint64_t file_size;     /* neither shrinks; both grow while the */
    _Atomic uint32_t segment_count; /* file is open: syncq_data_follow */
    struct syncq_superblock superblock; /* as read; the helper keeps it true */
    uint8_t *head_map;         /* the superblock pages; writable files only */
    _Atomic(uint8_t *) *maps;  /* SYNCQ_SEGMENT_COUNT_MAX, NULL until needed */
    pthread_mutex_t sync_lock; /* one msync at a time: see data_map.c */
    pthread_mutex_t follow_lock;
    int sync_error; /* of the first sync that failed; final */
};

/*
 * Open, check owner, mode and size, find the superblock and check it against
 * the key, whose UUID is set.  Errors as syncq_queue_open.
 */
int syncq_data_open(int directory_fd, int writable, struct syncq_key *key,
                    struct syncq_data *data);
void syncq_data_close(struct syncq_data *data);

/* A whole-file lock of this open file: shared for writers, exclusive for
 * recovery.  SYNCQ_ERR_BUSY. */
int syncq_data_lock(struct syncq_data *data, int exclusive);
void syncq_data_unlock(struct syncq_data *data);

/* Read the superblock again: another helper may have changed it before this
 * process got its lock.  Errors as syncq_queue_open. */
int syncq_data_reread_superblock(struct syncq_data *data,
                                 const struct syncq_key *key);

/* Use the first segment_count segments, which somebody has added; fewer than
 * known changes nothing.  Any thread.  SYNCQ_ERR_RANGE, SYNCQ_ERR_TRUNCATED:
 * the file is too short for them; errno. */
int syncq_data_follow(struct syncq_data *data, uint32_t segment_count);

/* The same with what the superblock says; for those without a channel. */
int syncq_data_follow_superblock(struct syncq_data *data,
                                 const struct syncq_key *key);

/* Is it still the file that was opened, in its directory, as long as it was?
 * 0, SYNCQ_ERR_TRUNCATED or an errno (ENOENT: it was removed). */
int syncq_data_unchanged(const struct syncq_data *data);

/* File offset of a segment's first byte. */
uint64_t syncq_data_segment_offset(const struct syncq_data *data,
                                   uint32_t segment);

/* The mapping of one segment, made if needed.  SYNCQ_ERR_RANGE, errno. */
int syncq_data_map(struct syncq_data *data, uint32_t segment, uint8_t **map);

/*
 * Write pieces one after the other at offset in a segment, into the page cache
 * that the mapping shows; nothing is durable yet.  Any thread.
 * SYNCQ_ERR_RANGE, EIO, ENOSPC; what was written before the error stays.
 */
int syncq_data_write(struct syncq_data *data, uint32_t segment, uint64_t offset,
                     const struct iovec *pieces, size_t count);

/*
 * msync size bytes at offset in a segment, rounded out to pages.  The first
 * error is final: every later sync of this open file returns it, too.
 */
int syncq_data_sync(struct syncq_data *data, uint32_t segment, uint64_t offset,
                    uint64_t size);

/* msync a mapping of this file; what all syncs of it go through. */
int syncq_data_sync_map(struct syncq_data *data, uint8_t *map, uint64_t size);

/* Write and sync the superblock in data->superblock, generation + 1. */
int syncq_data_write_superblock(struct syncq_data *data,
                                const struct syncq_key *key);

/* Write and sync both pages of a segment: the last one, then the first. */
int syncq_data_write_segment_page(struct syncq_data *data,
                                  const struct syncq_key *key,
                                  struct syncq_segment_page *page);

/* Read the valid page with the higher change counter.  SYNCQ_ERR_BAD_RECORD
 * when neither is valid. */
int syncq_data_read_segment_page(const struct syncq_data *data,
                                 const struct syncq_key *key, uint32_t segment,
                                 struct syncq_segment_page *page);

#endif
