/* SPDX-License-Identifier: MIT */
/*
 * delivery_file.h - the file that delivery agents read and mark: Q/syncq/ID
 *
 * Written whole under a temporary name, then renamed, never changed by us.
 * Behind its last record, where no agent looks, stands which recipients of
 * which message it holds, so that a later manager can read the marks of agents
 * that worked on while their manager was gone:
 *
 *   offset  size  field (integers are little-endian)
 *        0     8  magic      DELIVERY_FILE_MAGIC
 *        8    16  uuid       of the queue file that has the message
 *       24     8  sequence   of the message there
 *       32     8  count      of recipients
 *       40   16n  recipients: u64 number in the envelope, u64 offset of its R
 *             8  checksum    XXH3-64 of the bytes from magic on
 *             8  size        of all of this, the last bytes of the file
 *
 * Q/syncq may be a tmpfs; mail over a limit and what does not fit there goes
 * to Q/syncqdisk.
 */
#ifndef SYNCQ_QMGR_DELIVERY_FILE_H
#define SYNCQ_QMGR_DELIVERY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "qmgr/leftovers.h"

struct delivery_files;
struct pass;
struct qmgr;

#define DELIVERY_FILE_DIRECTORY      "syncq"
#define DELIVERY_FILE_ON_DISK        "syncqdisk"
#define DELIVERY_FILE_MAGIC          UINT64_C(0x324c494651435953) /* "SYCQFIL2" */
#define DELIVERY_FILE_SIZE_MAX       (UINT64_C(1) << 20) /* bytes in a tmpfs */
#define DELIVERY_FILE_RECIPIENTS_MAX UINT64_C(1000000)

/* Look at the directories, which exist. */
struct delivery_files *delivery_files_new(void);
void delivery_files_free(struct delivery_files *files);

/*
 * Write the file of a pass: its envelope, the recipients of its works, this
 * content.  Sets queue_name, data_offset and every work's offset.
 */
int delivery_file_write(struct pass *pass, const uint8_t *content,
                        size_t content_size);

/* Remove it, when nobody reads it any more. */
void delivery_file_remove(const struct pass *pass);

/*
 * Read the marks of every file that an earlier manager has left, remove it,
 * and tell the taker of each recipient that was finished.  Files that an agent
 * has still locked, or whose queue file is not there (leftovers.h), stay; the
 * number of them is returned.  Before any file is written, then again while
 * the number is not 0.
 */
unsigned delivery_files_recover(struct delivery_files *files,
                                const struct leftovers_taker *taker);

/* True when a left-over file of this id is still in use. */
int delivery_file_is_locked(const struct delivery_files *files,
                            const char *queue_id);

#endif
