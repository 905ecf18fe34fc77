/* SPDX-License-Identifier: MIT */
/*
 * files.h - the queue files that a configuration names
 *
 * queue_files and drain_files are lists of queue directories; without the
 * first there is one, queue_directory.  A directory in drain_files belongs to
 * the instance whether or not it is in queue_files, too, but takes no more
 * mail.  At runtime each queue file has the configuration of its own, in which
 * queue_directory and run_directory are its own: the file in queue_directory
 * uses run_directory as it is, each other one the directory in it that is named
 * by its UUID.
 */
#ifndef SYNCQ_PROGRAM_FILES_H
#define SYNCQ_PROGRAM_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "module/key.h"
#include "module/limits.h"
#include "program/config.h"

struct files_one {
    char *directory; /* without a slash at the end */
    int drain;       /* takes no new mail */
};

struct files {
    struct files_one *list; /* in the order of the configuration, each once */
    unsigned count;
};

/* Read the lists.  0, EX_CONFIG (too many) or EX_OSERR, with a line. */
int files_read(const struct config *config, struct files *files, char *error,
               size_t error_size);
void files_clear(struct files *files);

/* The one in this directory, or NULL. */
const struct files_one *files_find(const struct files *files,
                                   const char *directory);

/*
 * The configuration of one queue file: a copy of config that shares its texts,
 * but for the two directories; free it with files_config_clear before config
 * is cleared.  Where the UUID is needed and cannot be read, the error of
 * syncq_queue_uuid is returned, and run_directory is as in config.
 */
int files_config(const struct config *config, const char *directory,
                 struct config *one);
void files_config_clear(struct config *one);

/* 32 hexadecimal digits. */
#define FILES_UUID_TEXT_SIZE (2 * SYNCQ_UUID_SIZE + 1)
void files_uuid_text(const uint8_t uuid[SYNCQ_UUID_SIZE],
                     char text[FILES_UUID_TEXT_SIZE]);

#endif
