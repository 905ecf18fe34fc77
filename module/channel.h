/* SPDX-License-Identifier: MIT */
/*
 * channel.h - attach to the shared memory (inside the module and the helper)
 */
#ifndef SYNCQ_CHANNEL_H
#define SYNCQ_CHANNEL_H

#include <stdint.h>

#include "module/channel_format.h"
#include "module/queue.h"

struct syncq_channel_handle {
    int fd;
    struct syncq_channel *channel; /* NULL when not attached */
    uint32_t owner;                /* what this process puts in requests */
};

/*
 * Make a new channel in state STARTING: under a temporary name, then renamed.
 * The caller holds the data file exclusively.
 */
int syncq_channel_create(const char *run_directory,
                         const uint8_t uuid[SYNCQ_UUID_SIZE],
                         struct syncq_channel_handle *handle);

/* Map the existing one.  SYNCQ_ERR_NO_HELPER: none, of another boot, or of
 * another queue; SYNCQ_ERR_OWNER, _MODE. */
int syncq_channel_attach(const char *run_directory, int writable,
                         const uint8_t uuid[SYNCQ_UUID_SIZE],
                         struct syncq_channel_handle *handle);
void syncq_channel_detach(struct syncq_channel_handle *handle);

/* Register as a writer, or (helper) take byte 0.  SYNCQ_ERR_BUSY. */
int syncq_channel_register(struct syncq_channel_handle *handle);
int syncq_channel_register_helper(struct syncq_channel_handle *handle);

/* Does a helper serve this channel right now? */
int syncq_channel_helper_alive(const struct syncq_channel_handle *handle);

/* Does the process behind this owner value still live? */
int syncq_channel_owner_alive(const struct syncq_channel_handle *handle,
                              uint32_t owner);

/* 0, SYNCQ_ERR_DETACHED, SYNCQ_ERR_LATCHED, SYNCQ_ERR_RECOVERING. */
int syncq_channel_usable(const struct syncq_channel_handle *handle);

/* Ring the helper's bell. */
void syncq_channel_ring(struct syncq_channel *channel);

/* futex(2) on shared memory; timeout_us < 0 waits for ever. */
int syncq_futex_wait(_Atomic uint32_t *word, uint32_t value,
                     int64_t timeout_us);
void syncq_futex_wake(_Atomic uint32_t *word);

/* Monotonic and wall clock, microseconds. */
uint64_t syncq_clock_us(void);
int64_t syncq_date_us(void);

#endif
