/* SPDX-License-Identifier: MIT */
/*
 * milter_system.h - a queue, a sync helper and a milter in a folder of their
 * own, without Postfix; the test is MTA and queue manager
 */
#ifndef SYNCQ_TESTS_MILTER_SYSTEM_H
#define SYNCQ_TESTS_MILTER_SYSTEM_H

#include <stddef.h>
#include <sys/types.h>

#include "module/queue.h"
#include "module/read.h"
#include "tests/milter_peer.h"

#define MILTER_SYSTEM_PATH_SIZE 512
#define MILTER_SYSTEM_WAIT_MS   20000 /* for anything that must happen */

struct milter_system {
    char *directory;
    uid_t owner; /* the mail owner: us, or as root somebody else */
    gid_t group;
    char config[MILTER_SYSTEM_PATH_SIZE]; /* file */
    char socket[MILTER_SYSTEM_PATH_SIZE]; /* of the milter */
    pid_t helper, milter;
    struct syncq_queue *queue; /* as the queue manager has it open */
    int arrivals_fd;
};

/* Folders, configuration and an empty queue; nothing is started.  0 or -1. */
int milter_system_make(struct milter_system *system);
/* Kills what runs and removes everything. */
void milter_system_remove(struct milter_system *system);

/* A path below the folder; valid until the eighth call after. */
const char *milter_system_path(const struct milter_system *system,
                               const char *name);

/*
 * Start the helper and wait until its channel is open; open the gate.  With
 * a shim its msync can be stopped, see shim_msync.c; without, it is NULL.  The
 * second time, as a successor, it is only started.
 */
int milter_system_start_helper(struct milter_system *system, const char *shim);

/*
 * Start the milter with one more parameter, "name=value" or NULL, and wait
 * until it accepts connections.
 */
int milter_system_start_milter(struct milter_system *system,
                               const char *parameter);

/* From now on msync of the data file stops, or no longer does. */
int milter_system_hold(const struct milter_system *system, int hold);
/* Wait until an msync has been stopped.  0 or -1. */
int milter_system_reached(const struct milter_system *system);
/* Let the stopped one go on: 'g', or fail: 'e'. */
int milter_system_release(const struct milter_system *system, char order);

/* True when a line of the milter's log holds text. */
int milter_system_logged(const struct milter_system *system, const char *text);

/*
 * Send a plain mail with this queue id through the session: MAIL and end of
 * message.  Its file is written before.  0 or an errno value.
 */
int milter_system_mail(const struct milter_system *system,
                       struct milter_peer *peer, const char *queue_id);

/* Read the next part that arrived; its record is the caller's to clear. */
int milter_system_arrival(const struct milter_system *system,
                          struct syncq_record *record, unsigned *status);

#endif
