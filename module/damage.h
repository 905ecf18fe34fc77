/* SPDX-License-Identifier: MIT */
/*
 * damage.h - damaged places of the log, and the list of those already known
 *
 * A damaged place that held confirmed bytes is left as it is: its bytes are
 * the administrator's.  It is quarantined by being written down in the file
 * queue.damage, which is replaced as a whole (new file, synced, renamed):
 *
 *   syncq damage 1
 *   LSN OFFSET SIZE SEQUENCE TYPE UNREADABLE STATE DATE_S MARKS     each a line
 *   checksum XXH3-64 of all before, as 16 hexadecimal digits
 *
 * Recovery adds what it finds; a repair makes it `repaired`.  A place leaves
 * the list when its segment is retired.  A lost list loses no mail: what the
 * log itself tells is found again.
 */
#ifndef SYNCQ_DAMAGE_H
#define SYNCQ_DAMAGE_H

#include <stddef.h>
#include <stdint.h>

#define SYNCQ_DAMAGE_FILE "queue.damage"

enum syncq_damage_state {
    SYNCQ_DAMAGE_NEW = 0,  /* not on the list yet */
    SYNCQ_DAMAGE_FOUND,    /* by a recovery; waits for a repair */
    SYNCQ_DAMAGE_REPAIRED, /* what could be kept was kept */
};

struct syncq_damage {
    uint64_t lsn, offset, size; /* offset in the data file */
    uint64_t sequence;          /* of the message that was there, or 0 */
    uint64_t unreadable;        /* bytes of it that gave a read error */
    int64_t date_s;             /* when it was put on the list */
    uint8_t type;  /* enum syncq_record_type of what was there; 0: not known */
    uint8_t state; /* enum syncq_damage_state */
    uint8_t hides_marks; /* a marks record may have been there */
};

struct syncq_damage_list {
    struct syncq_damage *items; /* by LSN */
    size_t count, capacity;
};

/* Zeroed is an empty list. */
void syncq_damage_list_clear(struct syncq_damage_list *list);

/*
 * Read the list of a queue directory into an empty list; no file is an empty
 * list.  SYNCQ_ERR_BAD_RECORD: the file is damaged; ENOMEM, errno.
 */
int syncq_damage_list_read(int directory_fd, struct syncq_damage_list *list);

/* Replace the file; durable on return.  An empty list removes it. */
int syncq_damage_list_write(int directory_fd,
                            const struct syncq_damage_list *list);

/* Add a place, or make one that is there the same as this.  ENOMEM. */
int syncq_damage_list_add(struct syncq_damage_list *list,
                          const struct syncq_damage *damage);

/* The place on the list that covers these bytes, or NULL. */
const struct syncq_damage *
syncq_damage_list_find(const struct syncq_damage_list *list, uint64_t lsn,
                       uint64_t size);

struct syncq_queue;

/* How much of the queue, as it is now, waits for a repair, and how much was
 * repaired. */
struct syncq_damage_summary {
    uint64_t found_count, found_size, repaired_count, repaired_size;
};

/* Errors as syncq_damage_list_read. */
int syncq_damage_summary(struct syncq_queue *queue,
                         struct syncq_damage_summary *summary);

#endif
