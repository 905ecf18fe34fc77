/* SPDX-License-Identifier: MIT */
#include <sysexits.h>

#include "admin/size.h"
#include "module/limits.h"

int size_read(const struct command *command, const char *option,
              const char *text, uint64_t *size)
{
    const char *what = config_parse_size(text, size);

    if (!what && *size)
        return 0;
    command_error(command, "--%s %s: %s", option, text,
                  what ? what : "must be more than 0");
    return EX_USAGE;
}

int entry_count_read(const struct command *command, const char *option,
                     const char *text, uint32_t *count)
{
    uint64_t number;

    if (!config_parse_size(text, &number) && number >= SYNCQ_ENTRY_COUNT_MIN &&
        number <= SYNCQ_ENTRY_COUNT_MAX) {
        *count = (uint32_t)number;
        return 0;
    }
    command_error(command, "--%s %s: expected a number from %d to %u", option,
                  text, SYNCQ_ENTRY_COUNT_MIN, SYNCQ_ENTRY_COUNT_MAX);
    return EX_USAGE;
}
