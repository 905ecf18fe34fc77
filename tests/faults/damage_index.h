/* SPDX-License-Identifier: MIT */
/*
 * damage_index.h - an index that is torn, lost, old or another's
 */
#ifndef SYNCQ_FAULTS_DAMAGE_INDEX_H
#define SYNCQ_FAULTS_DAMAGE_INDEX_H

#include "tests/faults/sample.h"

/* All cases; each ends with sample_judge. */
void damage_index(struct sample *sample, struct findings *findings,
                  const char *stop);

#endif
