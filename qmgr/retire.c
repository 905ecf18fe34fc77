/* SPDX-License-Identifier: MIT */
#include "qmgr/retire.h"

#include <stdlib.h>

#include "module/error.h"
#include "module/retire.h"

#define RETIRE_CONFIRM_MS 2000 /* then the helper counts as gone */

/* Marks that are durable: only then may the segment that held them go. */
static int retire_carry(struct syncq_queue *queue,
                        const struct syncq_mark *marks, uint32_t count)
{
    struct syncq_ticket ticket;
    int result = syncq_marks_append(queue, marks, count, &ticket);

    if (result != 0)
        return result;
    result = syncq_ticket_wait(queue, &ticket, RETIRE_CONFIRM_MS);
    if (result == SYNCQ_ERR_TIMEOUT &&
        syncq_ticket_abandon(queue, &ticket) == SYNCQ_ERR_EXISTS)
        result = 0;
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
    return result;
}

/*
 * Marks that the event loop makes of later changes come after these in the
 * log, because the same thread appends them.
 */
int retire_one(struct syncq_queue *queue)
{
    struct syncq_mark *marks = NULL;
    uint32_t segment, mark_count, done, count;
    int result = syncq_retire_find(queue, &segment, &marks, &mark_count);

    if (result != 0)
        return result;
    for (done = 0; done < mark_count && result == 0; done += count) {
        count = mark_count - done < SYNCQ_MARKS_MAX ? mark_count - done
                                                    : SYNCQ_MARKS_MAX;
        result = retire_carry(queue, marks + done, count);
    }
    if (result == 0) {
        syncq_retire_ask(queue, segment);
        result = syncq_retire_wait(queue, segment, RETIRE_CONFIRM_MS);
    }
    free(marks);
    return result;
}
