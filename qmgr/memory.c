/* SPDX-License-Identifier: MIT */
#include "qmgr/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "program/log.h"

static void *memory_checked(void *bytes)
{
    if (bytes == NULL)
        log_fatal(EX_OSERR, "out of memory");
    return bytes;
}

void *memory_new(size_t size)
{
    return memory_checked(calloc(1, size == 0 ? 1 : size));
}

char *memory_text(const char *text)
{
    return memory_checked(strdup(text));
}

void *memory_copy(const void *bytes, size_t size)
{
    void *copy = memory_checked(malloc(size == 0 ? 1 : size));

    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

void *memory_grow(void *old, size_t size)
{
    return memory_checked(realloc(old, size == 0 ? 1 : size));
}

char *memory_print(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return memory_checked(text);
}
