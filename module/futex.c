/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "module/channel.h"

int syncq_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_us)
{
    struct timespec timeout = {.tv_sec = timeout_us / 1000000,
                               .tv_nsec = timeout_us % 1000000 * 1000};
    long result = syscall(SYS_futex, word, FUTEX_WAIT, value,
                          timeout_us < 0 ? NULL : &timeout, NULL, 0);

    return result == 0 ? 0 : errno;
}

void syncq_futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
