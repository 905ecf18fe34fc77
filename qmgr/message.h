/* SPDX-License-Identifier: MIT */
/*
 * message.h - what the queue manager keeps of every message it knows
 *
 * Small on purpose, since there is one for each queued mail; what a delivery
 * pass needs beyond it is in struct pass.  A message of the queue is known by
 * its queue file's number and its sequence number, and by its queue id once its
 * record was read; one of
 * Postfix's files by its queue id alone.  The same id can belong to two
 * messages of the queue for a moment: a cancelled import and its successor.
 */
#ifndef SYNCQ_QMGR_MESSAGE_H
#define SYNCQ_QMGR_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct pass;
struct syncq_record;

enum message_origin {
    MESSAGE_QUEUE, /* a record of the queue */
    MESSAGE_FILE,  /* a file of Postfix's, delivered in active/ */
};

enum message_stage {
    MESSAGE_PARTIAL,    /* not all of its parts have been seen yet */
    MESSAGE_CHECKING,   /* synced: waits for the MTA's answer */
    MESSAGE_CANCELLING, /* its cancel mark is on the way to the disk */
    MESSAGE_WAITING,    /* in the retry heap */
    MESSAGE_ACTIVE,     /* in a delivery pass */
    MESSAGE_HELD,       /* all unfinished parts are held */
    MESSAGE_PARKED,     /* damaged or just being imported: nothing to do */
};

enum message_flag {
    MESSAGE_FLUSH = 1,    /* ignore dead destinations and defer_transports */
    MESSAGE_EXPIRE = 2,   /* the administrator wants it returned */
    MESSAGE_IMPORT = 4,   /* its record came from a file of Postfix's */
    MESSAGE_PROBE = 8,    /* of verify(8) */
    MESSAGE_GROUPED = 16, /* its parts are in the groups */
    MESSAGE_NOW = 32,     /* every part is due, whatever its time says */
};

struct message {
    struct message *next_of_id, *next_of_sequence; /* hash chains */
    char *queue_id;    /* NULL until the record was read */
    uint64_t sequence; /* 0: a file */
    union {
        uint32_t one;   /* part_count is 1 */
        uint32_t *many; /* one for each part, else */
    } slots;
    struct pass *pass;           /* while active */
    struct syncq_record *record; /* read ahead; may be NULL */
    uint32_t heap_index;         /* in the retry heap, from 1; 0: not in it */
    uint32_t next_attempt_s;
    uint32_t checking_since_s;
    uint16_t part_count, parts_seen;
    uint8_t origin, stage, flags;
    uint8_t file; /* number of its queue file, see backlogs.h */
};

struct message_table {
    struct message **by_id, **by_sequence;
    size_t id_count, sequence_count, id_size, sequence_size;
};

/* A new message in stage PARTIAL (queue) or PARKED (file), in the table. */
struct message *message_add_queue(struct message_table *table, uint8_t file,
                                  uint64_t sequence, uint16_t part_count);
struct message *message_add_file(struct message_table *table,
                                 const char *queue_id);

/* Now its queue id is known. */
void message_set_id(struct message_table *table, struct message *message,
                    const char *queue_id);

/* Take out of the table and free; it must be in no heap and no pass. */
void message_remove(struct message_table *table, struct message *message);

struct message *message_find_sequence(const struct message_table *table,
                                      uint8_t file, uint64_t sequence);
/* The first message with this id; go on with message_next_id. */
struct message *message_find_id(const struct message_table *table,
                                const char *queue_id);
struct message *message_next_id(const struct message *message);

/* Call visit for every queue message; it may remove the one it was given. */
void message_visit_queue(struct message_table *table,
                         void (*visit)(struct message *message, void *context),
                         void *context);

/* Slot of a part, or the array of all. */
uint32_t *message_slots(struct message *message);

/*
 * Keep a record that a pass will need soon; it is given up when too many
 * bytes are kept.  record is empty afterwards.
 */
#define MESSAGE_RECORDS_SIZE_MAX (64u << 20) /* bytes, of all messages */
void message_keep_record(struct message *message, struct syncq_record *record);
/* 1 and the record, or 0. */
int message_take_record(struct message *message, struct syncq_record *record);

void message_table_clear(struct message_table *table);

#endif
