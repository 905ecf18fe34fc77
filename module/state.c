/* SPDX-License-Identifier: MIT */
#include "module/state.h"

static const char *const names[] = {
    [SYNCQ_STATUS_FREE] = "free",     [SYNCQ_STATUS_NEW] = "new",
    [SYNCQ_STATUS_SYNCED] = "synced", [SYNCQ_STATUS_READY] = "ready",
    [SYNCQ_STATUS_ACTIVE] = "active", [SYNCQ_STATUS_DEFERRED] = "deferred",
    [SYNCQ_STATUS_HELD] = "held",     [SYNCQ_STATUS_FLUSHING] = "flushing",
    [SYNCQ_STATUS_DONE] = "done",     [SYNCQ_STATUS_CANCELLED] = "cancelled",
    [SYNCQ_STATUS_LOST] = "lost",
};

const char *syncq_status_name(unsigned status)
{
    if (status >= sizeof(names) / sizeof(*names))
        return "unknown";
    return names[status];
}

int syncq_status_is_final(unsigned status)
{
    return status == SYNCQ_STATUS_DONE || status == SYNCQ_STATUS_CANCELLED;
}
