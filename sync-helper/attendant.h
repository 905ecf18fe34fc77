/* SPDX-License-Identifier: MIT */
/*
 * attendant.h - the thread that has one queue file served by a worker
 *
 * The worker is a process of its own (worker.h), so that it can be fenced in
 * and that a disk which fails under a mapping ends nobody else.  A file that
 * cannot be opened gives a log line, once for each reason, and is tried again
 * after 1 s, 2 s, 4 s and so on, 60 s at most.  While it is served the
 * attendant writes the file's copy of the set when that changes, and looks
 * whether a file that is to be drained holds mail yet.
 */
#ifndef SYNCQ_HELPER_ATTENDANT_H
#define SYNCQ_HELPER_ATTENDANT_H

#include <sys/types.h>

#include "sync-helper/roster.h"

struct attendant {
    struct roster *roster;
    struct attendant *next;
    char *directory;
    pthread_t thread;
    /* Under roster->lock: */
    int drain;  /* wanted */
    int stop;   /* wanted */
    int looked; /* its copy of the set was read, or cannot be */
    int has_uuid;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    pid_t worker; /* 0: none, or it has ended */
    int told;     /* what the worker knows of drain */
    /* The thread's own: */
    struct config config;
    uint64_t written; /* generation of its copy of the set */
    int error;        /* of the last attempt, which was reported */
    unsigned empty;   /* looks that found no mail, one after the other */
};

/* Start it; the roster's lock is held.  NULL: no memory or no thread. */
struct attendant *attendant_new(struct roster *roster, const char *directory,
                                int drain);

/* After `stop` was set and the condition signalled: wait for the end. */
void attendant_free(struct attendant *attendant);

#endif
