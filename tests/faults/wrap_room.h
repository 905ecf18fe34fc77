/* SPDX-License-Identifier: MIT */
/*
 * wrap_room.h - what the queue manager does to have room: deliver, write marks,
 * retire segments
 */
#ifndef SYNCQ_FAULTS_WRAP_ROOM_H
#define SYNCQ_FAULTS_WRAP_ROOM_H

#include "tests/faults/wrap_model.h"

enum {
    ROOM_SEGMENTS = 8,
    ROOM_STEPS_MAX = 2 * ROOM_SEGMENTS, /* until a mail fits again */
};

struct room {
    struct fixture *fixture;
    struct model model;
};

/* All parts of a mail are delivered: in the entries only.  NULL is fine. */
void room_deliver(struct room *room, struct model_mail *mail);

/* Write the marks of what was delivered since the last time. */
void room_mark(struct room *room);

/* Retire one segment; false: none can be. */
int room_retire(struct room *room);

/* One step towards a free segment. */
void room_make(struct room *room);

#endif
