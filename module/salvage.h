/* SPDX-License-Identifier: MIT */
/*
 * salvage.h - find every readable message in a damaged or foreign data file
 *
 * With the key only genuine records count.  Where superblocks and segment pages
 * are whole, a record must stand where it belongs, so what an earlier lap has
 * left is passed over; where they are gone, the file is searched in steps of
 * 256 bytes.  Without the key whatever has a signature and the right checksum
 * is taken: a mail may hold such records, and they are found where no whole
 * record covers them, so nothing found like that is proven.
 *
 * Nothing is written.  One thread.
 */
#ifndef SYNCQ_SALVAGE_H
#define SYNCQ_SALVAGE_H

#include <stddef.h>
#include <stdint.h>

#include "module/envelope.h"
#include "module/record_format.h"
#include "module/state.h"

struct syncq_salvage;

/*
 * directory holds the file, and its key and index if there are any; file is
 * its name there.  The caller's own rights decide what can be opened; nothing
 * is opened later.  without_key: do not even look for one.
 * SYNCQ_ERR_NO_QUEUE: no such file; SYNCQ_ERR_KEY_FILE: no key; SYNCQ_ERR_KEY:
 * not its key; SYNCQ_ERR_SUPERBLOCK: nothing tells the queue's UUID, without
 * which no key helps; ENOMEM, errno.
 */
int syncq_salvage_open(const char *directory, const char *file, int without_key,
                       struct syncq_salvage **salvage);
void syncq_salvage_close(struct syncq_salvage *salvage);

/* One message, valid during the call. */
struct syncq_salvaged {
    const struct syncq_record_header *header;
    const struct syncq_envelope *envelope;
    const uint8_t *content;
    size_t content_size;
    uint64_t offset; /* in the file */
    int is_genuine;  /* the key says so */
    /* By part, as index and marks tell; status FREE: nothing is known. */
    const struct syncq_state *states;
};

struct syncq_salvage_visitor {
    /* Not 0 ends the search with that result. */
    int (*message)(const struct syncq_salvaged *message, void *context);
    void (*progress)(uint64_t done, uint64_t total,
                     void *context); /* or NULL */
    void *context;
};

struct syncq_salvage_report {
    uint64_t messages;
    uint64_t copies;     /* of messages that were found already */
    uint64_t unreadable; /* records whose envelope makes no sense */
    uint64_t damage_count, damage_size; /* places that held something once */
    int layout_known; /* superblock and key are good: places were checked */
    int index_used;
};

int syncq_salvage_run(struct syncq_salvage *salvage,
                      const struct syncq_salvage_visitor *visitor,
                      struct syncq_salvage_report *report);

#endif
