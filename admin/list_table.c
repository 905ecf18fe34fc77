/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libsmartcols.h>

#include "admin/list.h"

#define LINES_MAX 4096 /* in memory */
#define TEXT_SIZE 512  /* bytes: one field */

enum column {
    COLUMN_ID,
    COLUMN_ARRIVAL,
    COLUMN_SIZE,
    COLUMN_STATUS,
    COLUMN_LEFT,
    COLUMN_NEXT,
    COLUMN_SENDER,
    COLUMN_RECIPIENTS,
};

static const struct {
    const char *name;
    int flags;
} columns[] = {
    [COLUMN_ID] = {"ID", 0},
    [COLUMN_ARRIVAL] = {"ARRIVAL", 0},
    [COLUMN_SIZE] = {"SIZE", SCOLS_FL_RIGHT},
    [COLUMN_STATUS] = {"STATUS", 0},
    [COLUMN_LEFT] = {"LEFT", SCOLS_FL_RIGHT},
    [COLUMN_NEXT] = {"NEXT", 0},
    [COLUMN_SENDER] = {"SENDER", SCOLS_FL_TRUNC},
    [COLUMN_RECIPIENTS] = {"RECIPIENTS", SCOLS_FL_TRUNC},
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

struct list_table {
    struct libscols_table *table;
    unsigned line_count;
};

int list_table_new(struct list_table **table)
{
    struct list_table *made = calloc(1, sizeof(*made));
    size_t i;

    if (!made)
        return ENOMEM;
    made->table = scols_new_table();
    for (i = 0; made->table && i < COLUMN_COUNT; i++) {
        if (scols_table_new_column(made->table, columns[i].name, 0,
                                   columns[i].flags))
            continue;
        scols_unref_table(made->table);
        made->table = NULL;
    }
    if (!made->table) {
        free(made);
        return ENOMEM;
    }
    *table = made;
    return 0;
}

void list_table_free(struct list_table *table)
{
    if (!table)
        return;
    scols_unref_table(table->table);
    free(table);
}

int list_table_print(struct list_table *table)
{
    int result;

    if (!table->line_count)
        return 0;
    result = scols_print_table(table->table);
    scols_table_remove_lines(table->table);
    table->line_count = 0;
    /* The heading stands once above all. */
    if (!result)
        result = scols_table_enable_noheadings(table->table, 1);
    return result < 0 ? -result : result;
}

static void time_text(int64_t time_s, char text[TEXT_SIZE])
{
    time_t seconds = (time_t)time_s;
    struct tm local;

    if (!localtime_r(&seconds, &local) ||
        !strftime(text, TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &local))
        snprintf(text, TEXT_SIZE, "%" PRId64, time_s);
}

/* All statuses that a message's parts have, in the order of their life. */
static void statuses_text(uint32_t statuses, char text[TEXT_SIZE])
{
    size_t used = 0;
    unsigned i;

    text[0] = 0;
    for (i = 0; i < 32; i++) {
        if (!(statuses & SYNCQ_STATUS_BIT(i)) || used >= TEXT_SIZE)
            continue;
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s",
                                 used ? "," : "", syncq_status_name(i));
    }
}

static void next_text(const struct syncq_listed *message, char text[TEXT_SIZE])
{
    uint32_t next_s = list_next_attempt(message);

    if (next_s)
        time_text(next_s, text);
    else if (message->statuses & SYNCQ_STATUS_BIT(SYNCQ_STATUS_DEFERRED))
        snprintf(text, TEXT_SIZE, "now");
    else
        snprintf(text, TEXT_SIZE, "-");
}

/* The first recipient left, and how many more there are. */
static void recipients_text(const struct syncq_listed *message,
                            const struct syncq_record *record,
                            char text[TEXT_SIZE])
{
    const struct syncq_recipient *recipient = NULL;
    uint32_t i, n, left = list_left_count(message);

    for (i = 0; !recipient && i < message->entry_count; i++)
        for (n = 0; !recipient && n < message->entries[i].recipient_count; n++)
            recipient = syncq_entry_recipient_left(&message->entries[i],
                                                   &record->envelope, n);
    if (!recipient)
        snprintf(text, TEXT_SIZE, "-");
    else if (left > 1)
        snprintf(text, TEXT_SIZE, "%.400s +%" PRIu32, recipient->address,
                 left - 1);
    else
        snprintf(text, TEXT_SIZE, "%.400s", recipient->address);
}

static int set_fields(struct libscols_line *line,
                      const struct syncq_listed *message,
                      const struct syncq_record *record)
{
    struct syncq_listed_name name = {.arrival_s = message->arrival_s};
    char texts[COLUMN_COUNT][TEXT_SIZE];
    size_t i;

    if (record) {
        syncq_listed_name(message, record, &name);
        snprintf(texts[COLUMN_SIZE], TEXT_SIZE, "%" PRIu64, name.size);
        snprintf(texts[COLUMN_SENDER], TEXT_SIZE, "%s",
                 *record->envelope.sender ? record->envelope.sender : "<>");
        recipients_text(message, record, texts[COLUMN_RECIPIENTS]);
    } else {
        syncq_sequence_text(message->sequence, name.id);
        snprintf(texts[COLUMN_SIZE], TEXT_SIZE, "?");
        snprintf(texts[COLUMN_SENDER], TEXT_SIZE, "(unreadable)");
        snprintf(texts[COLUMN_RECIPIENTS], TEXT_SIZE, "(unreadable)");
    }
    snprintf(texts[COLUMN_ID], TEXT_SIZE, "%s", name.id);
    time_text(name.arrival_s, texts[COLUMN_ARRIVAL]);
    statuses_text(message->statuses, texts[COLUMN_STATUS]);
    snprintf(texts[COLUMN_LEFT], TEXT_SIZE, "%" PRIu32,
             list_left_count(message));
    next_text(message, texts[COLUMN_NEXT]);
    for (i = 0; i < COLUMN_COUNT; i++)
        if (scols_line_set_data(line, i, texts[i]))
            return ENOMEM;
    return 0;
}

int list_table_add(struct list_table *table, const struct syncq_listed *message,
                   const struct syncq_record *record)
{
    struct libscols_line *line;
    int result = 0;

    if (table->line_count == LINES_MAX)
        result = list_table_print(table);
    if (result)
        return result;
    line = scols_table_new_line(table->table, NULL);
    if (!line)
        return ENOMEM;
    table->line_count++;
    return set_fields(line, message, record);
}
