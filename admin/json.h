/* SPDX-License-Identifier: MIT */
/*
 * json.h - build and print JSON without a check after every step
 *
 * When memory ends, the object becomes NULL and stays so; json_print then says
 * ENOMEM.
 */
#ifndef SYNCQ_ADMIN_JSON_H
#define SYNCQ_ADMIN_JSON_H

#include <jansson.h>

/* Put value into *object and own it. */
void json_add(json_t **object, const char *name, json_t *value);
void json_append(json_t **array, json_t *value);

/* A string of bytes that may not be UTF-8: each such byte becomes '?'. */
json_t *json_text(const char *text);

/* Print on one line and free.  0 or ENOMEM; what the output itself refuses is
 * found when it is flushed. */
int json_print(json_t *object);

#endif
