/* SPDX-License-Identifier: MIT */
/*
 * showq_reasons.h - why recipients were not reached, from bounce(8)'s logs
 *
 * A log is `defer/ID` or `bounce/ID`: groups of `name=value` lines between
 * blank lines.  Older logs have only `<recipient>: reason`.
 */
#ifndef SYNCQ_QMGR_SHOWQ_REASONS_H
#define SYNCQ_QMGR_SHOWQ_REASONS_H

#include <stddef.h>

#include "qmgr/settings.h"

struct showq_reason {
    char *recipient; /* quoted, as in the log */
    char *original;  /* the same before aliasing, or "" */
    char *text;
    const char *log_class; /* "defer" or "bounce" */
};

struct showq_reasons {
    struct showq_reason *reasons; /* in the order of the log */
    size_t count, capacity;
    size_t next; /* where the next one is likely to be found */
};

/* Add the reasons of one log text; for tests. */
void showq_reasons_parse(struct showq_reasons *reasons, const char *text,
                         const char *log_class);

/*
 * Read the logs of a message that this version of postqueue can show: defer,
 * with 3.11 bounce too.  No log is no reason.
 */
void showq_reasons_read(struct showq_reasons *reasons,
                        const struct settings *settings, const char *queue_id);

/* The reason for a recipient in quoted form, or NULL.  Quick when they are
 * asked for in the order of the log. */
const struct showq_reason *showq_reasons_find(struct showq_reasons *reasons,
                                              const char *recipient);

void showq_reasons_clear(struct showq_reasons *reasons);

#endif
