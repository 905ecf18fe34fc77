/* SPDX-License-Identifier: MIT */
#include "module/error.h"

#include <stddef.h>
#include <string.h>

/* One place that turns a negative code into an index of the table. */
#define TEXT(error) [(error)-SYNCQ_ERR_NO_QUEUE]

static const char *const texts[] = {
    TEXT(SYNCQ_ERR_NO_QUEUE) = "there is no queue in this directory",
    TEXT(SYNCQ_ERR_EXISTS) = "it exists already",
    TEXT(SYNCQ_ERR_OWNER) = "a queue file or its directory belongs to another "
                            "user",
    TEXT(SYNCQ_ERR_MODE) = "a queue file or its directory is open to other "
                           "users; it must have mode 0600 or 0700",
    TEXT(SYNCQ_ERR_FILESYSTEM) = "this file system was never tested for "
                                 "queues; use ext4 or xfs",
    TEXT(SYNCQ_ERR_HOLES) = "the data file is not wholly allocated; a full "
                            "disk could then lose mail",
    TEXT(SYNCQ_ERR_MAGIC) = "this is not a file of syncq",
    TEXT(SYNCQ_ERR_VERSION) = "the queue was written by another version of "
                              "syncq",
    TEXT(SYNCQ_ERR_KEY) = "the key does not fit the data file; restore the "
                          "key file that belongs to this queue",
    TEXT(SYNCQ_ERR_KEY_FILE) = "the key file is missing or damaged; restore "
                               "it from a backup",
    TEXT(SYNCQ_ERR_SUPERBLOCK) = "both superblocks of the data file are "
                                 "damaged",
    TEXT(SYNCQ_ERR_TRUNCATED) = "the data file is shorter than it was made",
    TEXT(SYNCQ_ERR_INDEX) = "the index file is damaged or belongs to another "
                            "queue",
    TEXT(SYNCQ_ERR_RANGE) = "a size or position is outside its limits",
    TEXT(SYNCQ_ERR_LATCHED) = "a sync of the queue failed earlier; it takes "
                              "no mail until it has been checked",
    TEXT(SYNCQ_ERR_SYNC_FAILED) = "the sync to disk failed",
    TEXT(SYNCQ_ERR_NO_HELPER) = "the sync helper is not running",
    TEXT(SYNCQ_ERR_RECOVERING) = "the sync helper is still reading the queue; "
                                 "try again later",
    TEXT(SYNCQ_ERR_DETACHED) = "the sync helper has been restarted; open the "
                               "queue again",
    TEXT(SYNCQ_ERR_BUSY) = "another process holds the lock",
    TEXT(SYNCQ_ERR_SEGMENTS_FULL) = "the queue is full: no free segment is "
                                    "left",
    TEXT(SYNCQ_ERR_ENTRIES_FULL) = "the queue is full: no free index entry is "
                                   "left",
    TEXT(SYNCQ_ERR_REQUESTS_FULL) = "too many messages are being stored at "
                                    "this moment",
    TEXT(SYNCQ_ERR_TOO_LARGE) = "the message is larger than a segment of the "
                                "queue can hold",
    TEXT(SYNCQ_ERR_BAD_RECORD) = "there is no whole and genuine record at "
                                 "this place",
    TEXT(SYNCQ_ERR_BAD_ENVELOPE) = "the envelope of the message contradicts "
                                   "itself",
    TEXT(SYNCQ_ERR_BAD_ENTRY) = "the index entry is free or damaged",
    TEXT(SYNCQ_ERR_TIMEOUT) = "the time limit was exceeded",
    TEXT(SYNCQ_ERR_ABANDONED) = "the request was given up by its writer",
    TEXT(SYNCQ_ERR_RUN_DIRECTORY) = "the run directory is missing",
    TEXT(SYNCQ_ERR_DRAINING) = "this queue file is being drained",
    TEXT(SYNCQ_ERR_GROUPS) = "Berkeley DB failed; the groups must be rebuilt",
    TEXT(SYNCQ_ERR_BYTES_FULL) = "too many bytes are being stored at this "
                                 "moment",
    TEXT(SYNCQ_ERR_RECIPIENTS) = "the message has more recipients than one "
                                 "record may have",
};

const char *syncq_strerror(int error)
{
    const char *text = NULL;

    if (error == 0)
        return "success";
    if (error > 0)
        text = strerrordesc_np(error); /* constant, unlike strerror's */
    else if (error >= SYNCQ_ERR_NO_QUEUE && error <= SYNCQ_ERR_RECIPIENTS)
        text = texts[error - SYNCQ_ERR_NO_QUEUE];
    return text ? text : "unknown error";
}
