/* SPDX-License-Identifier: MIT */
/*
 * medium.h - what a crash may leave of the files in one folder
 *
 * Between begin and end it follows every file in the folder.  Of each 512-byte
 * sector it keeps the bytes that the last successful sync made durable and all
 * that the sector has held at a step since: the kernel may write any of them
 * at any time.  Of the folder itself it keeps which name leads to which file:
 * names change in order, and are durable when the folder was synced.
 *
 * A step is each call of msync, fsync, fdatasync, pwrite, pwritev, renameat,
 * unlinkat, and of medium_point: then what has changed is looked at, and if
 * anything has, `point` is called: a crash point.  It runs with all tasks
 * stopped (schedule.h), and nothing that it does is followed.
 *
 * Linked with --wrap for each function that is wrapped in medium_wrap.c.
 */
#ifndef SYNCQ_FAULTS_MEDIUM_H
#define SYNCQ_FAULTS_MEDIUM_H

#include <stddef.h>
#include <stdint.h>

enum {
    MEDIUM_SECTOR = 512,
    MEDIUM_WORD = 8,
    MEDIUM_FILES_MAX = 32,
    MEDIUM_NAMES_MAX = 12,
};

struct medium_name {
    char name[32];
    int file; /* number of the file */
};

/* One state of the folder. */
struct medium_listing {
    int count;
    struct medium_name names[MEDIUM_NAMES_MAX];
};

/* Bytes that may have any of these versions; [0] is the durable one. */
struct medium_unit {
    int file; /* MEDIUM_FOLDER: versions are listings, in order */
    uint64_t offset;
    uint32_t size, version_count;
    const uint8_t **versions; /* of the unit's size; NULL for the folder */
    uint8_t *memory;          /* of pages */
};
#define MEDIUM_FOLDER (-1)

void medium_begin(const char *directory, void (*point)(void *context),
                  void *context);
void medium_end(void);

/* A step; also a crash point where only the driver's knowledge has changed. */
void medium_point(void);

/* ---- at a crash point ---- */

/* The durable bytes of a file; size: in whole pages. */
const uint8_t *medium_base(int file, uint64_t *size);
/* Its size. */
uint64_t medium_file_size(int file);
/* A state of the folder: 0 is the durable one. */
const struct medium_listing *medium_listing(uint32_t number);

/* What a write that a power cut interrupts does to what is being written. */
enum medium_mode {
    MEDIUM_BY_SECTOR, /* each 512 bytes old or new */
    MEDIUM_BY_WORD,   /* the index: each 8 bytes old or new */
    MEDIUM_BY_PAGE,   /* each 4096 bytes old or new, or lost altogether, with
                         what was durable in them before */
};

/* All units with more than one version; medium_units_free frees them. */
struct medium_unit *medium_units(enum medium_mode mode, size_t *count);
void medium_units_free(struct medium_unit *units, size_t count);

/* ---- for medium_wrap.c ---- */

/* Note what has changed; the number of this step. */
uint64_t medium_note(void);
/* Which file of the folder is this descriptor?  MEDIUM_FOLDER: the folder
 * itself; MEDIUM_NONE: none of them. */
#define MEDIUM_NONE (-2)
int medium_find(int fd);
/* What these bytes were at that step is durable now. */
void medium_synced(int file, uint64_t offset, uint64_t size, uint64_t step);
/* Call the crash point if anything has changed since the last one. */
void medium_offer_point(void);
/* Is there anything to follow right now, in this thread? */
int medium_follows(void);

#endif
