/* SPDX-License-Identifier: MIT */
/*
 * known_key.h - the fixed key and UUID of golden files and of format tests
 */
#ifndef SYNCQ_TESTS_KNOWN_KEY_H
#define SYNCQ_TESTS_KNOWN_KEY_H

#include "module/key.h"

/* Key bytes 0 to 31, UUID bytes 0x10 to 0x1f. */
static inline struct syncq_key known_key(void)
{
    struct syncq_key key;
    uint8_t i;

    for (i = 0; i < SYNCQ_KEY_SIZE; i++)
        key.bytes[i] = i;
    for (i = 0; i < SYNCQ_UUID_SIZE; i++)
        key.uuid[i] = (uint8_t)(0x10 + i);
    return key;
}

#endif
