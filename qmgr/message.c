/* SPDX-License-Identifier: MIT */
#include "qmgr/message.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "module/index_format.h"
#include "module/read.h"
#include "qmgr/memory.h"

#define MESSAGE_TABLE_SIZE_MIN 1024 /* chains; always a power of two */

/* Bytes of all records that are kept; there is one event loop. */
static uint64_t message_records_size;

static uint64_t message_id_hash(const char *queue_id)
{
    return XXH3_64bits(queue_id, strlen(queue_id));
}

static uint64_t message_sequence_hash(uint8_t file, uint64_t sequence)
{
    return XXH3_64bits_withSeed(&sequence, sizeof(sequence), file);
}

/* Chains are kept shorter than one on average. */
static void message_grow_ids(struct message_table *table)
{
    size_t size =
        table->id_size == 0 ? MESSAGE_TABLE_SIZE_MIN : table->id_size * 2;
    struct message **chains;
    size_t i;

    if (table->id_count < table->id_size)
        return;
    chains = memory_new(size * sizeof(struct message *));
    for (i = 0; i < table->id_size; i++) {
        struct message *message = table->by_id[i];

        while (message != NULL) {
            struct message *next = message->next_of_id;
            size_t chain = message_id_hash(message->queue_id) & (size - 1);

            message->next_of_id = chains[chain];
            chains[chain] = message;
            message = next;
        }
    }
    free(table->by_id);
    table->by_id = chains;
    table->id_size = size;
}

static void message_grow_sequences(struct message_table *table)
{
    size_t size = table->sequence_size == 0 ? MESSAGE_TABLE_SIZE_MIN
                                            : table->sequence_size * 2;
    struct message **chains;
    size_t i;

    if (table->sequence_count < table->sequence_size)
        return;
    chains = memory_new(size * sizeof(struct message *));
    for (i = 0; i < table->sequence_size; i++) {
        struct message *message = table->by_sequence[i];

        while (message != NULL) {
            struct message *next = message->next_of_sequence;
            size_t chain =
                message_sequence_hash(message->file, message->sequence) &
                (size - 1);

            message->next_of_sequence = chains[chain];
            chains[chain] = message;
            message = next;
        }
    }
    free(table->by_sequence);
    table->by_sequence = chains;
    table->sequence_size = size;
}

void message_set_id(struct message_table *table, struct message *message,
                    const char *queue_id)
{
    size_t chain;

    if (message->queue_id != NULL)
        return;
    message->queue_id = memory_text(queue_id);
    message_grow_ids(table);
    chain = message_id_hash(queue_id) & (table->id_size - 1);
    message->next_of_id = table->by_id[chain];
    table->by_id[chain] = message;
    table->id_count++;
}

struct message *message_add_queue(struct message_table *table, uint8_t file,
                                  uint64_t sequence, uint16_t part_count)
{
    struct message *message = memory_new(sizeof(*message));
    size_t chain;
    uint16_t i;

    message->file = file;
    message->sequence = sequence;
    message->part_count = part_count;
    message->origin = MESSAGE_QUEUE;
    message->stage = MESSAGE_PARTIAL;
    if (part_count > 1)
        message->slots.many =
            memory_new(part_count * sizeof(message->slots.many[0]));
    for (i = 0; i < part_count; i++)
        message_slots(message)[i] = SYNCQ_SLOT_NONE;
    message_grow_sequences(table);
    chain = message_sequence_hash(file, sequence) & (table->sequence_size - 1);
    message->next_of_sequence = table->by_sequence[chain];
    table->by_sequence[chain] = message;
    table->sequence_count++;
    return message;
}

struct message *message_add_file(struct message_table *table,
                                 const char *queue_id)
{
    struct message *message = memory_new(sizeof(*message));

    message->origin = MESSAGE_FILE;
    message->stage = MESSAGE_PARKED;
    message_set_id(table, message, queue_id);
    return message;
}

static void message_unlink_id(struct message_table *table,
                              const struct message *message)
{
    size_t chain = message_id_hash(message->queue_id) & (table->id_size - 1);
    struct message **at = &table->by_id[chain];

    while (*at != message)
        at = &(*at)->next_of_id;
    *at = message->next_of_id;
    table->id_count--;
}

static void message_unlink_sequence(struct message_table *table,
                                    const struct message *message)
{
    size_t chain = message_sequence_hash(message->file, message->sequence) &
                   (table->sequence_size - 1);
    struct message **at = &table->by_sequence[chain];

    while (*at != message)
        at = &(*at)->next_of_sequence;
    *at = message->next_of_sequence;
    table->sequence_count--;
}

static uint64_t message_record_size(const struct syncq_record *record)
{
    return record->header.envelope_size + record->header.content_size;
}

int message_take_record(struct message *message, struct syncq_record *record)
{
    if (message->record == NULL)
        return 0;
    *record = *message->record;
    free(message->record);
    message->record = NULL;
    message_records_size -= message_record_size(record);
    return 1;
}

void message_keep_record(struct message *message, struct syncq_record *record)
{
    uint64_t size = message_record_size(record);

    if (message->record == NULL &&
        message_records_size + size <= MESSAGE_RECORDS_SIZE_MAX) {
        message->record = memory_copy(record, sizeof(*record));
        message_records_size += size;
    } else {
        syncq_record_clear(record);
    }
    memset(record, 0, sizeof(*record));
}

static void message_free(struct message *message)
{
    struct syncq_record record;

    if (message->part_count > 1)
        free(message->slots.many);
    if (message_take_record(message, &record))
        syncq_record_clear(&record);
    free(message->queue_id);
    free(message);
}

void message_remove(struct message_table *table, struct message *message)
{
    if (message->queue_id != NULL)
        message_unlink_id(table, message);
    if (message->origin == MESSAGE_QUEUE)
        message_unlink_sequence(table, message);
    message_free(message);
}

struct message *message_find_sequence(const struct message_table *table,
                                      uint8_t file, uint64_t sequence)
{
    struct message *message;

    if (table->sequence_size == 0)
        return NULL;
    message = table->by_sequence[message_sequence_hash(file, sequence) &
                                 (table->sequence_size - 1)];
    while (message != NULL &&
           (message->sequence != sequence || message->file != file))
        message = message->next_of_sequence;
    return message;
}

static struct message *message_match_id(struct message *message,
                                        const char *queue_id)
{
    while (message != NULL && strcmp(message->queue_id, queue_id) != 0)
        message = message->next_of_id;
    return message;
}

struct message *message_find_id(const struct message_table *table,
                                const char *queue_id)
{
    size_t chain;

    if (table->id_size == 0)
        return NULL;
    chain = message_id_hash(queue_id) & (table->id_size - 1);
    return message_match_id(table->by_id[chain], queue_id);
}

struct message *message_next_id(const struct message *message)
{
    return message_match_id(message->next_of_id, message->queue_id);
}

void message_visit_queue(struct message_table *table,
                         void (*visit)(struct message *message, void *context),
                         void *context)
{
    size_t i;

    for (i = 0; i < table->sequence_size; i++) {
        struct message *message = table->by_sequence[i];

        while (message != NULL) {
            struct message *next = message->next_of_sequence;

            visit(message, context);
            message = next;
        }
    }
}

uint32_t *message_slots(struct message *message)
{
    return message->part_count > 1 ? message->slots.many : &message->slots.one;
}

void message_table_clear(struct message_table *table)
{
    size_t i;

    for (i = 0; i < table->sequence_size; i++) {
        while (table->by_sequence[i] != NULL)
            message_remove(table, table->by_sequence[i]);
    }
    for (i = 0; i < table->id_size; i++) {
        while (table->by_id[i] != NULL)
            message_remove(table, table->by_id[i]);
    }
    free(table->by_id);
    free(table->by_sequence);
    memset(table, 0, sizeof(*table));
}
