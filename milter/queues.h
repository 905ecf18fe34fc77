/* SPDX-License-Identifier: MIT */
/*
 * queues.h - all queue files of the milter, and which of them gets a mail
 *
 * A mail takes hold of every file that can be used at the moment, the one
 * first whose sync will be over first (module/choice.h), and lets go of all
 * when it is done.  With several files none is opened by a thread that has a
 * mail, so a disk that hangs holds up nobody.
 */
#ifndef SYNCQ_MILTER_QUEUES_H
#define SYNCQ_MILTER_QUEUES_H

#include "milter/shared_queue.h"
#include "module/limits.h"
#include "program/config.h"
#include "program/files.h"

#define QUEUES_OBSTACLE_SIZE 1024 /* bytes, with the closing NUL */

struct queues;

/* One file, as a mail sees it. */
struct candidate {
    struct shared_queue *shared;
    const char *directory;
    struct syncq_queue *queue; /* NULL: it cannot be used */
    uint64_t message_size_max;
    int error;                       /* why it does not take the mail; 0 */
    char gate[SYNCQ_GATE_TEXT_SIZE]; /* why captures are refused; "" */
};

struct candidates {
    unsigned count, usable; /* the first ones of the list can be used */
    struct candidate list[SYNCQ_FILES_MAX];
};

/* The files of the configuration, which must outlive it.  ENOMEM, EAGAIN. */
int queues_new(const struct config *config, const struct files *files,
               unsigned retry_ms, struct queues **queues);

/* Nobody may use it any more.  NULL is fine. */
void queues_free(struct queues *queues);

/* The list has changed: files come or go.  Mail that is under way is not
 * touched.  ENOMEM, EAGAIN: some could not be added. */
int queues_change(struct queues *queues, const struct files *files);

/* Take hold of all that can be used, the best first. */
void queues_take(struct queues *queues, struct candidates *candidates);
void queues_put(struct candidates *candidates);

/* Why none of them takes the mail: the reason of each. */
void queues_explain(const struct candidates *candidates,
                    char text[QUEUES_OBSTACLE_SIZE]);

/*
 * Say whether mail is captured, and if not why; NULL: it is.  Writes a log
 * line when that is news.
 */
void queues_report(struct queues *queues, const char *obstacle);

#endif
