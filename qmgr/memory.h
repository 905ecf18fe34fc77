/* SPDX-License-Identifier: MIT */
/*
 * memory.h - allocation for the queue manager
 *
 * Everything that the queue manager holds in memory can be read again from
 * disk, so a process without memory ends with a fatal log line and master(8)
 * starts a new one: nothing is lost, and no code path is left half done.
 */
#ifndef SYNCQ_QMGR_MEMORY_H
#define SYNCQ_QMGR_MEMORY_H

#include <stddef.h>

/* Zeroed bytes; free() them. */
void *memory_new(size_t size);
/* A copy of a text or of bytes. */
char *memory_text(const char *text);
void *memory_copy(const void *bytes, size_t size);
/* old with room for size bytes; new bytes are not initialised. */
void *memory_grow(void *old, size_t size);
/* As sprintf into fresh memory. */
char *memory_print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
