/* SPDX-License-Identifier: MIT */
/*
 * image.h - the files that a crash left, as a queue to be recovered
 *
 * One folder is used for all images, and only what differs is written.
 */
#ifndef SYNCQ_FAULTS_IMAGE_H
#define SYNCQ_FAULTS_IMAGE_H

#include "tests/faults/medium.h"
#include "tests/faults/oracle.h"

struct image {
    struct fixture *fixture;
    uint8_t *map; /* the data file */
    uint64_t size;
    int fd, has_queue; /* the data file has its name */
};

void image_init(struct image *image);
void image_clear(struct image *image);

/* Make the files what the medium holds with these choices, one per unit. */
void image_build(struct image *image, const struct medium_unit *units,
                 const uint32_t *choices, size_t count);

/*
 * Recover the image, twice, and compare it with the oracle; thorough: check
 * everything that is in it, and use it.  What is wrong goes to findings.
 */
void image_try(struct image *image, const struct oracle *oracle,
               struct findings *findings, const char *case_text, int thorough);

#endif
