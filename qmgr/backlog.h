/* SPDX-License-Identifier: MIT */
/*
 * backlog.h - one queue file as the manager has it open
 *
 * While there is no helper, the queue cannot be opened, or somebody else has
 * the manager lock, `queue` is NULL and an attempt is made every second; mail
 * then goes out from Postfix's own files.  After opening, every entry is
 * looked at once and the records of unfinished messages are read in the
 * background for their queue ids and domains; only when all are known are
 * files imported again, so that none is taken twice.
 */
#ifndef SYNCQ_QMGR_BACKLOG_H
#define SYNCQ_QMGR_BACKLOG_H

#include "module/entry.h"
#include "module/envelope.h"
#include "module/groups.h"
#include "module/queue.h"
#include "program/files.h"
#include "qmgr/context.h"

struct admission;
struct arrivals;
struct committer;
struct marks;
struct cleaner;
struct space_watch;

struct backlog {
    struct qmgr *qmgr;
    uint8_t number;                /* in the list of all; in each message */
    int drain;                     /* takes nothing new */
    const char *directory;         /* the list's */
    uint8_t uuid[SYNCQ_UUID_SIZE]; /* while it is open */
    struct syncq_queue *queue;     /* NULL: not open */
    int lock;                      /* manager lock, or -1 */
    struct committer *committer;
    struct marks *marks;
    struct arrivals *arrivals;
    struct admission *admission;
    struct cleaner *cleaner;
    struct space_watch *space_watch;
    struct syncq_groups *groups; /* NULL: doing without */
    unsigned groups_failures;
    struct event *timer;
    int identified;   /* the ids of all messages are known */
    int latched;      /* takes no more mail; delivery goes on */
    char reason[160]; /* why not, or "" */
    struct identify *identify;
};

/* file must outlive it. */
struct backlog *backlog_new(struct qmgr *qmgr, uint8_t number,
                            const struct files_one *file);
/* Try to open it now, and from now on. */
void backlog_start(struct backlog *backlog);
/* Marks are flushed before, by whoever stops the process. */
void backlog_free(struct backlog *backlog);

/* Every message of the queue is known and new ones can be added. */
int backlog_accepts(const struct backlog *backlog);
/* Files may be looked at: the queue is known, or it is not there at all. */
int backlog_is_settled(const struct backlog *backlog);

/*
 * Change the state of a part: the entry now, its mark within marks_interval.
 * The view is updated too.
 */
void backlog_update(struct backlog *backlog, struct syncq_entry_view *view,
                    const struct syncq_state *state);
/* The same for the status alone, for all unfinished parts of a message. */
void backlog_set_status(struct backlog *backlog, struct message *message,
                        unsigned status);

/*
 * The entry of part i of a message whose parts have been seen.  A part that
 * was finished when its message was moved in the log may have lost its slot:
 * it reads as done.  SYNCQ_ERR_BAD_ENTRY: being written, or damaged.
 */
int backlog_read_part(struct backlog *backlog, struct message *message,
                      uint32_t i, struct syncq_entry_view *view);

/*
 * Put an entry into its message, which is made if it is new.  Returns the
 * message when this was its last part to be seen, else NULL.
 */
struct message *backlog_collect(struct backlog *backlog,
                                const struct syncq_entry_view *view);

/*
 * All parts of the message have been seen: to admission, to the retry heap, or
 * to the held ones, by their states.
 */
void backlog_place(struct backlog *backlog, struct message *message);

/* An agent finished this recipient while no manager was there. */
void backlog_finish_recipient(struct backlog *backlog, uint64_t sequence,
                              uint32_t recipient);

/* Look at every entry for messages that no arrival told of. */
void backlog_walk(struct backlog *backlog);

/*
 * Put the open parts of a message that waits into the groups, by the domains
 * of its envelope; take them out before their states change.
 */
void backlog_group(struct backlog *backlog, struct message *message,
                   const struct syncq_envelope *envelope);
void backlog_ungroup(struct backlog *backlog, struct message *message,
                     const struct syncq_envelope *envelope);

/* One line for a message whose record cannot be read; it is kept aside. */
void backlog_lose(struct backlog *backlog, struct message *message, int error);

#endif
