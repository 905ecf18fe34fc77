/* SPDX-License-Identifier: MIT */
/*
 * roster.h - all queue files of the instance, each with its attendant
 *
 * Each file is served by a process of its own, and looked at by a thread of its
 * own; nobody else touches its disk, so that one that hangs or is missing holds
 * up nobody.
 * What they share is in memory: the set of files that were ever in use
 * together (module/set.h), of which each attendant keeps the copy in its file.
 */
#ifndef SYNCQ_HELPER_ROSTER_H
#define SYNCQ_HELPER_ROSTER_H

#include <pthread.h>
#include <stdint.h>

#include "module/set.h"
#include "program/config.h"
#include "program/files.h"

struct attendant;

struct roster {
    const struct config *config;
    pthread_mutex_t lock;   /* guards all below and the attendants' fields */
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    struct attendant *first;
    struct syncq_set set;
    /* A file that is missing from the list was reported, by UUID. */
    uint8_t reported[SYNCQ_FILES_MAX][SYNCQ_UUID_SIZE];
    unsigned reported_count;
    int stopping;
    char **argv; /* of this program, for the workers */
};

/* Start an attendant for each file.  config and argv must outlive the roster.
 */
void roster_start(struct roster *roster, const struct config *config,
                  char **argv, const struct files *files);

/* The configuration has changed: files come, go, or are to be drained.  Those
 * that go are closed in the background. */
void roster_change(struct roster *roster, const struct files *files);

/* SIGCHLD: some workers have ended. */
void roster_reap(struct roster *roster);

/* Have all workers end, together. */
void roster_stop(struct roster *roster);

/* ---- for attendants, which hold roster->lock ---- */

/* A copy of the set was read; it is empty afterwards. */
void roster_merge(struct roster *roster, struct syncq_set *copy);

/*
 * The UUID of a file is known: put it into the set.  SYNCQ_ERR_EXISTS: another
 * attendant has a file with this UUID; ENOMEM.
 */
int roster_enter(struct roster *roster, struct attendant *attendant,
                 const uint8_t uuid[SYNCQ_UUID_SIZE]);

/*
 * Once all files have been looked at: raise the alarm for each member of the
 * set that no attendant has, and forget those that were drained.
 */
void roster_check(struct roster *roster);

#endif
