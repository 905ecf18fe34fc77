/* SPDX-License-Identifier: MIT */
/*
 * message_file.h - Postfix's own queue files: find, lock, read, move
 *
 * ENOENT is a normal result everywhere: postsuper(1) removes and renames files
 * at any moment.
 */
#ifndef SYNCQ_QMGR_MESSAGE_FILE_H
#define SYNCQ_QMGR_MESSAGE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "qmgr/settings.h"

struct syncq_envelope;

struct message_file {
    int fd; /* -1, or open and perhaps locked */
    uint8_t *bytes;
    size_t size;
    struct stat status;
};

/* Read a whole file; fd is closed again. */
int message_file_read(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct message_file *file);

/*
 * The same with an exclusive lock that lasts until clear.  EWOULDBLOCK: a
 * delivery agent has it.
 */
int message_file_lock(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct message_file *file);

void message_file_clear(struct message_file *file);

/* Rename; makes missing hash directories.  Warns about all but ENOENT. */
int message_file_move(const struct settings *settings, const char *from,
                      const char *to, const char *queue_id);

/* Time of change = next attempt. */
void message_file_set_time(const struct settings *settings,
                           const char *queue_name, const char *queue_id,
                           uint32_t time_s);

/* Move from active/ to corrupt/ with a warning; nothing is ever deleted. */
void message_file_corrupt(const struct settings *settings, const char *queue_id,
                          const char *reason);

/* Status of a file in a queue; ENOENT when there is none. */
int message_file_stat(const struct settings *settings, const char *queue_name,
                      const char *queue_id, struct stat *status);

/*
 * Is the file in this queue the message of the envelope?  Queue ids can come
 * back; the time of arrival to the microsecond cannot.
 */
int message_file_is(const struct settings *settings, const char *queue_name,
                    const char *queue_id,
                    const struct syncq_envelope *envelope);

#endif
