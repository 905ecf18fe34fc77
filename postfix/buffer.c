/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "postfix/buffer.h"

#define CAPACITY_MIN 1024 /* bytes */

int buffer_reserve(void **bytes, size_t *capacity, size_t size, size_t more)
{
    size_t wanted = *capacity < CAPACITY_MIN ? CAPACITY_MIN : *capacity;
    void *moved;

    if (more <= *capacity - size)
        return 0;
    if (more > SIZE_MAX / 4 - size)
        return ENOMEM;
    while (wanted - size < more)
        wanted *= 2;
    moved = realloc(*bytes, wanted);
    if (!moved)
        return ENOMEM;
    *bytes = moved;
    *capacity = wanted;
    return 0;
}
