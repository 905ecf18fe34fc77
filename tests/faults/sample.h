/* SPDX-License-Identifier: MIT */
/*
 * sample.h - a queue with mail in every state over several segments, to be
 * damaged again and again
 *
 * The files are kept in memory; a case changes some bytes, has the queue
 * recovered, and compares what is there with what has to be: which records the
 * damage touched is found by comparing the data file with the copy, so any
 * kind of damage is judged by the same rules.
 */
#ifndef SYNCQ_FAULTS_SAMPLE_H
#define SYNCQ_FAULTS_SAMPLE_H

#include "module/record_format.h"
#include "tests/faults/findings.h"
#include "tests/faults/oracle.h"
#include "tests/faults/small_queue.h"

enum {
    SAMPLE_MAILS_MAX = 64,
    SAMPLE_RECORDS_MAX = 512,
    SAMPLE_SEGMENTS = 12,
};

struct sample_mail {
    struct mail mail;
    unsigned status;    /* of all parts, after recovery */
    uint64_t marks_lsn; /* of the last word about it; 0: none */
};

struct sample_record {
    struct syncq_record_header header;
    uint64_t offset, used; /* in the data file; bytes that decide about it */
    int touched;           /* in the case at work */
};

struct sample {
    struct fixture *fixture; /* where the cases run */
    struct file_copy data, index, index_checkpoint, index_old;
    struct file_copy scratch; /* the data file of the case at work */
    struct sample_mail mails[SAMPLE_MAILS_MAX];
    unsigned mail_count;
    struct sample_record records[SAMPLE_RECORDS_MAX];
    unsigned record_count;
    uint64_t segment_size;
    struct oracle *submitted; /* all mails, no other word */
};

/* clean: the helper stopped in order; else all processes died at once. */
void sample_init(struct sample *sample, int clean);
void sample_clear(struct sample *sample);

/* The files as they were before any damage. */
void sample_restore(struct sample *sample);

enum sample_depth {
    SAMPLE_ONCE,    /* recover, check, compare */
    SAMPLE_TWICE,   /* the same again, with the same result */
    SAMPLE_WORKING, /* then take another mail, too */
};

/* Recover the queue, whose files were damaged, and report what is wrong. */
void sample_judge(struct sample *sample, enum sample_depth depth,
                  struct findings *findings, const char *case_text);

#endif
