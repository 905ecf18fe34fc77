/* SPDX-License-Identifier: MIT */
/*
 * list.h - the two forms in which `syncq list` shows a message
 */
#ifndef SYNCQ_ADMIN_LIST_H
#define SYNCQ_ADMIN_LIST_H

#include "module/listing.h"

/* The earliest next attempt of all deferred parts; 0: none, or at once. */
uint32_t list_next_attempt(const struct syncq_listed *message);

/* Recipients of all parts that are not finished. */
uint32_t list_left_count(const struct syncq_listed *message);

/*
 * One JSON object on one line.  record NULL: it cannot be read, for the reason
 * read_error.  directory: of its queue file when there are several, else NULL.
 * 0 or ENOMEM.
 */
int list_print_json(const char *directory, const struct syncq_listed *message,
                    const struct syncq_record *record, int read_error);

/*
 * A table; record NULL: it cannot be read.  Every few thousand lines are
 * printed as they come, so that a large queue needs little memory.  ENOMEM.
 */
struct list_table;

int list_table_new(struct list_table **table);
int list_table_add(struct list_table *table, const struct syncq_listed *message,
                   const struct syncq_record *record);
int list_table_print(struct list_table *table);
void list_table_free(struct list_table *table);

#endif
