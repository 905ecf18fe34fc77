/* SPDX-License-Identifier: MIT */
/*
 * set.h - which queue files belong together: queue.set in each of them
 *
 * A queue file that holds mail must not be forgotten, so each file remembers
 * all that were in use with it.  One leaves the set only after it was seen to
 * be drained.  The file is text, written under another name, synced and
 * renamed:
 *
 *   syncq set 1 GENERATION
 *   UUID used|draining|drained DIRECTORY     one line each; 32 hex digits
 *   end
 *
 * Each change raises the generation; of two copies the higher one counts.
 * Functions on a set in memory are for one thread at a time.
 */
#ifndef SYNCQ_SET_H
#define SYNCQ_SET_H

#include <stdint.h>

#include "module/key.h"
#include "module/limits.h"

#define SYNCQ_SET_FILE "queue.set"

enum syncq_set_state {
    SYNCQ_SET_USED,     /* takes mail */
    SYNCQ_SET_DRAINING, /* takes none, and holds some */
    SYNCQ_SET_DRAINED,  /* holds none: may be removed */
};

struct syncq_set_member {
    uint8_t uuid[SYNCQ_UUID_SIZE];
    enum syncq_set_state state;
    char *directory; /* where it was last */
};

struct syncq_set {
    uint64_t generation; /* 0: nothing was ever written */
    unsigned count;
    struct syncq_set_member members[SYNCQ_FILES_MAX];
};

/*
 * Read the copy in a queue directory into *set, which is overwritten; empty
 * when there is none yet.  SYNCQ_ERR_NO_QUEUE: no such directory;
 * SYNCQ_ERR_MAGIC: not whole; SYNCQ_ERR_VERSION, _OWNER, _MODE, ENOMEM, errno.
 * After an error it is empty.
 */
int syncq_set_read(const char *directory, struct syncq_set *set);

/* Make it durable there.  errno values and as above. */
int syncq_set_write(const char *directory, const struct syncq_set *set);

void syncq_set_clear(struct syncq_set *set);

/* The member with this UUID, or NULL. */
struct syncq_set_member *syncq_set_find(struct syncq_set *set,
                                        const uint8_t uuid[SYNCQ_UUID_SIZE]);

/*
 * Add a member, or change it; a change raises the generation.  0, ENOMEM,
 * SYNCQ_ERR_RANGE (too many).
 */
int syncq_set_put(struct syncq_set *set, const uint8_t uuid[SYNCQ_UUID_SIZE],
                  const char *directory, enum syncq_set_state state);

/* Forget a member. */
void syncq_set_remove(struct syncq_set *set,
                      const uint8_t uuid[SYNCQ_UUID_SIZE]);

/* Take over a newer copy, which is empty afterwards; an older one is only
 * cleared.  True when it was newer. */
int syncq_set_merge(struct syncq_set *set, struct syncq_set *copy);

/* "used", "draining", "drained". */
const char *syncq_set_state_name(enum syncq_set_state state);

#endif
