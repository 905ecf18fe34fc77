/* SPDX-License-Identifier: MIT */
/*
 * findings.h - what a fault test tried and what it found, said the same way by
 * all of them
 *
 * Each program below tests/faults/ takes the same options and ends with one
 * line that run.sh adds up:
 *
 *   faults: NAME seed=N states=N kills=N errors=N damages=N forgeries=N
 *   lost=N altered=N forged=N resurrected=N stuck=N     (on one line)
 *
 * Everything random comes from the seed and the number of the case, so that
 * each case can be run again alone:  PROGRAM --seed N --case TEXT
 */
#ifndef SYNCQ_FAULTS_FINDINGS_H
#define SYNCQ_FAULTS_FINDINGS_H

#include <stdint.h>
#include <stdio.h>

/* What went wrong, by the invariant that does not hold. */
enum finding {
    FINDING_LOST,        /* confirmed, and not there any more */
    FINDING_ALTERED,     /* there, with other bytes or another envelope */
    FINDING_FORGED,      /* there, and never submitted */
    FINDING_RESURRECTED, /* its delivery mark was durable, and it is back */
    FINDING_STUCK,       /* recovery, or the queue after it, does not work;
                            damage not reported; a wrong state; a hang */
    FINDING_KINDS
};

/* What was tried. */
enum trial {
    TRIAL_STATE,   /* a crash image recovered */
    TRIAL_KILL,    /* a process killed or stopped at a point */
    TRIAL_ERROR,   /* a system call made to fail */
    TRIAL_DAMAGE,  /* bytes changed on the medium */
    TRIAL_FORGERY, /* an adversarial mail or record */
    TRIAL_KINDS
};

struct findings {
    const char *name;    /* of the test, as in the summary line */
    const char *program; /* argv[0], for the command that replays */
    uint64_t seed;       /* --seed N; else from the clock, and printed */
    uint64_t count;      /* --count N: how much to try; 0: the default */
    const char *only;    /* --case TEXT: this case alone; NULL: all */
    int verbose;         /* --verbose: say what each case is */
    uint64_t trials[TRIAL_KINDS];
    uint64_t found[FINDING_KINDS];
};

/* Read the options; an unknown one ends the program with 64.  --list-seeded is
 * not for these programs: see seeded.h. */
void findings_begin(struct findings *findings, const char *name, int argc,
                    char **argv);

/* Count what was tried.  Any thread. */
void findings_count(struct findings *findings, enum trial trial,
                    uint64_t number);

/*
 * Report: one line that says what is wrong in which case, and one with the
 * command that runs just that case again.  Any thread.
 */
void findings_add(struct findings *findings, enum finding finding,
                  const char *case_text, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Print the summary line; the exit code: 0 when nothing was found, else 1. */
int findings_end(struct findings *findings);

/* ---- numbers from the seed ---- */

/* A generator for one case: the same seed and case give the same numbers. */
struct chance {
    uint64_t state[2];
};
void chance_init(struct chance *chance, uint64_t seed, uint64_t number);
uint64_t chance_next(struct chance *chance);
/* Below limit; limit > 0. */
uint64_t chance_below(struct chance *chance, uint64_t limit);

#endif
