/* SPDX-License-Identifier: MIT */
/*
 * fault.c - a file of the queue was cut short under the mapping
 */
#include <errno.h>

#include "module/error.h"
#include "program/log.h"
#include "sync-helper/helper.h"

static int in_index(const struct syncq_index *index, const uint8_t *address)
{
    return index->map != NULL && address >= index->map &&
           address < index->map + index->map_size;
}

/*
 * Before the process ends: nothing is confirmed any more, and the next start
 * knows.  Of the index alone nothing is lost that the log does not tell, so
 * a successor may serve the queue at once.
 */
void helper_map_fault(void *context, const void *address)
{
    struct helper *helper = context;
    int result;

    if (helper->queue == NULL || helper->channel == NULL)
        return; /* no writer yet; recovery comes again */
    if (!in_index(&helper->queue->index, address)) {
        helper_fail(helper, "a store into the data file", EIO);
        return;
    }
    result = syncq_latch_set_index(helper->queue->directory_fd);
    if (result != 0)
        log_error("the latch cannot be written: %s", syncq_strerror(result));
}
