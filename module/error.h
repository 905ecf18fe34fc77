/* SPDX-License-Identifier: MIT */
/*
 * error.h - the results of all module calls
 *
 * A call that can fail returns int: 0 for success, a positive errno when the
 * system refused something, or one of the negative values below.  After a
 * failure the outputs and the object are as they were before the call, unless
 * the call says otherwise.
 */
#ifndef SYNCQ_ERROR_H
#define SYNCQ_ERROR_H

enum syncq_error {
    SYNCQ_ERR_NO_QUEUE = -1000, /* there is no queue in this directory */
    SYNCQ_ERR_EXISTS,           /* there is one already */
    SYNCQ_ERR_OWNER,            /* a file belongs to somebody else */
    SYNCQ_ERR_MODE,             /* a file is open to other users */
    SYNCQ_ERR_FILESYSTEM,       /* a file system that was never tested */
    SYNCQ_ERR_HOLES,            /* the data file is not wholly allocated */
    SYNCQ_ERR_MAGIC,            /* not a file of ours */
    SYNCQ_ERR_VERSION,          /* written by another version */
    SYNCQ_ERR_KEY,              /* the key does not fit the data file */
    SYNCQ_ERR_KEY_FILE,         /* the key file is missing or damaged */
    SYNCQ_ERR_SUPERBLOCK,       /* both superblocks are damaged */
    SYNCQ_ERR_TRUNCATED,        /* the data file is shorter than it was made */
    SYNCQ_ERR_INDEX,            /* the index file is damaged or foreign */
    SYNCQ_ERR_RANGE,            /* a size or position outside its limits */
    SYNCQ_ERR_LATCHED,          /* a sync failed; the queue takes no mail */
    SYNCQ_ERR_SYNC_FAILED,      /* the sync of this very request failed */
    SYNCQ_ERR_NO_HELPER,        /* no sync helper has opened a channel */
    SYNCQ_ERR_RECOVERING,       /* the helper is still reading the queue */
    SYNCQ_ERR_DETACHED,         /* the channel in use was replaced */
    SYNCQ_ERR_BUSY,             /* another process holds the lock */
    SYNCQ_ERR_SEGMENTS_FULL,    /* no free segment is left */
    SYNCQ_ERR_ENTRIES_FULL,     /* no free index entry is left */
    SYNCQ_ERR_REQUESTS_FULL,    /* too many appends are in flight */
    SYNCQ_ERR_TOO_LARGE,        /* the message fits in no segment */
    SYNCQ_ERR_BAD_RECORD,       /* no whole, genuine record at this place */
    SYNCQ_ERR_BAD_ENVELOPE,     /* the envelope's lengths contradict */
    SYNCQ_ERR_BAD_ENTRY,        /* no valid entry in this slot */
    SYNCQ_ERR_TIMEOUT,          /* not done within the caller's limit */
    SYNCQ_ERR_ABANDONED,        /* the writer gave this request up */
    SYNCQ_ERR_RUN_DIRECTORY,    /* the run directory is missing */
    SYNCQ_ERR_DRAINING,         /* this queue file takes no new mail */
    SYNCQ_ERR_GROUPS,           /* Berkeley DB failed; rebuild the groups */
    SYNCQ_ERR_BYTES_FULL,       /* too many bytes are in flight */
    SYNCQ_ERR_RECIPIENTS,       /* too many recipients or domains */
};

/*
 * One line of text for any result of a module call, without a full stop.
 * The text is constant; any thread may call this at any time.
 */
const char *syncq_strerror(int error);

#endif
