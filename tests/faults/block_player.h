/* SPDX-License-Identifier: MIT */
/*
 * block_player.h - one life of a queue on a model disk, told to its write log
 *
 * A queue is made, filled by writers in several processes and threads,
 * delivered, retired, stopped, killed and recovered, phase by phase, with the
 * real syncq and syncq-sync.  What happens is noted between the writes, each
 * event when it is true: a mail is confirmed before the note that says so.
 *
 *   phase NAME           another phase begins
 *   created              `syncq create` has ended with success
 *   say WORD MAIL...     what the oracle is to know of a mail
 *
 * What is known of the mails is shared memory, so that writers may be killed.
 */
#ifndef SYNCQ_FAULTS_BLOCK_PLAYER_H
#define SYNCQ_FAULTS_BLOCK_PLAYER_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "module/queue.h"
#include "tests/faults/block_disk.h"
#include "tests/faults/findings.h"
#include "tests/faults/oracle.h"
#include "tests/queue_fixture.h"

#define PLAYER_OWNER "nobody" /* of the queue: syncq-sync refuses to be root   \
                               */

enum { PLAYER_MAILS_MAX = 8192, PLAYER_WAIT_US = 1000 };

enum player_state {
    PLAYER_SUBMITTED, /* nothing is known yet, or it was given up */
    PLAYER_STORED,    /* in the queue, pending */
    PLAYER_HELD,
    PLAYER_DONE,
};

struct player_mail {
    struct mail mail;
    _Atomic int state; /* enum player_state */
};

/* Known to all processes. */
struct player_shared {
    _Atomic unsigned mail_count, confirmed_count;
    _Atomic uint64_t confirmed_size;
    struct player_mail mails[PLAYER_MAILS_MAX];
};

struct player {
    const struct block_disk *disk;
    char queue_directory[PATH_MAX], run_directory[PATH_MAX];
    char config[PATH_MAX], output[PATH_MAX];
    uint64_t seed;
    pid_t helper;              /* 0: none */
    struct syncq_queue *queue; /* this process's; NULL: not open */
    struct player_shared *shared;
};

/* Write the configuration that the programs, and block_try.h, use. */
int player_configure(const char *directory, const char *mount, char *queue,
                     char *run, char *config);

/* `syncq create`, output appended to a file: its exit code. */
int player_command_create(const char *config, const char *output);

/*
 * Live on a mounted disk from beginning to end; directory: for everything
 * else, below one that the queue's owner can enter.  0, or 1 after a line on
 * standard error.
 */
int player_run(const struct block_disk *disk, const char *directory,
               uint64_t seed);

/* ---- for the phases (block_phases.c) ---- */

struct player_phase {
    const char *name;
    void (*run)(struct player *player);
};
/* In order; ends with a NULL name. */
extern const struct player_phase player_phases[];

void player_say(struct player *player, const struct mail *mail,
                enum oracle_word word);

/* Wait until done() says so; the program ends when that takes too long. */
void player_until(struct player *player,
                  int (*done)(struct player *player, void *context),
                  void *context, const char *what);

void player_create(struct player *player);

/* End the program when the result is not 0. */
void player_must(int result, const char *what);

void player_open(struct player *player);
void player_close(struct player *player);
/* Start a helper; then open the queue, or go on with it where it is open. */
void player_start(struct player *player);
/* Close the queue and let the helper end. */
void player_stop(struct player *player);
/* SIGKILL for the helper; the queue stays open. */
void player_kill_helper(struct player *player);

/* Writers: threads, each storing count mails of up to size bytes. */
struct player_writers {
    struct player *player;
    unsigned count;
    size_t size_max;
    _Atomic int *stop; /* may be NULL */
    unsigned thread_count;
    _Atomic unsigned running;
    pthread_t threads[64];
};
void player_writers_start(struct player_writers *writers);
void player_writers_join(struct player_writers *writers);
/* The same in a process of its own, which the caller kills.  The caller's
 * queue is not open. */
pid_t player_writers_fork(struct player_writers *writers);

/* Mark up to count stored mails done; held: the first ones held instead. */
void player_deliver(struct player *player, unsigned count, unsigned held);
/* Let go of those on hold. */
void player_release(struct player *player);
/* Retire one segment as the queue manager does; 0: there was none. */
int player_retire(struct player *player);
/* After writers or helpers died: which mails are there? */
void player_settle(struct player *player);

#endif
