/* SPDX-License-Identifier: MIT */
/*
 * crash_image.h - what a power cut may have left on a disk, from its write log
 *
 * Of the entries up to the cut, all before the last flush that succeeded are on
 * the medium.  Of what came later each unit of the disk holds any version since
 * then: the units are chosen one by one, so writes may be missing, torn, or
 * have overtaken each other.
 */
#ifndef SYNCQ_TESTS_DISK_CRASH_IMAGE_H
#define SYNCQ_TESTS_DISK_CRASH_IMAGE_H

#include <stdint.h>

#include "tests/disk/write_log.h"

#define CRASH_IMAGE_UNIT 512 /* bytes that a disk writes whole */

enum crash_choice {
    CRASH_ALL,    /* everything up to the cut has got there */
    CRASH_NONE,   /* nothing after the flush has */
    CRASH_RANDOM, /* each unit of each write with probability 1/2, by the seed
                   */
    CRASH_FEW,    /* the same with 1/8 */
    CRASH_MOST    /* and with 7/8 */
};

struct crash_cut {
    uint64_t number; /* of the last entry before the power went; 0: none */
    enum crash_choice choice;
    uint64_t seed;
    uint32_t unit; /* bytes: CRASH_IMAGE_UNIT or 4096 */
};

struct crash_report {
    uint64_t flush;  /* number of the flush that counted; 0: none */
    uint64_t chosen; /* units written after it that are in the image */
    uint64_t left;   /* and that are not */
};

/*
 * Build the image in a file of the disk's size that holds only zeros so far,
 * such as a new sparse one.  0, an errno, or EBADMSG: the log is damaged.
 * The same log and cut make the same image.
 */
int crash_image_build(const struct write_log *log, const struct crash_cut *cut,
                      int fd, struct crash_report *report);

/*
 * For many cuts of one log, in rising order: what is durable is kept, and goes
 * on from flush to flush.
 */
struct crash_base {
    int fd;          /* the caller's; as for crash_image_build, then kept */
    size_t position; /* in the log; 0: nothing is applied yet */
    uint64_t flush;  /* number of the flush that counted; 0: none */
};

/* Go on to the last flush up to this entry.  Errors as above; ENOTSUP: a write
 * before it was answered with an error, and may be there or not. */
int crash_base_advance(const struct write_log *log, uint64_t number,
                       struct crash_base *base);

/* Build the image in a file that holds the same as the base, which was
 * advanced to this very cut. */
int crash_base_build(const struct write_log *log, const struct crash_base *base,
                     const struct crash_cut *cut, int fd,
                     struct crash_report *report);

#endif
