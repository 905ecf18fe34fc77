/* SPDX-License-Identifier: MIT */
#include "qmgr/showq.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "program/log.h"
#include "qmgr/memory.h"

static int compare_ids(const void *left, const void *right)
{
    return strcmp(left, right);
}

int showq_id_add(struct showq *showq, const char *queue_id)
{
    char *copy;

    if (tfind(queue_id, &showq->ids, compare_ids) != NULL)
        return 0;
    copy = memory_text(queue_id);
    if (tsearch(copy, &showq->ids, compare_ids) == NULL)
        log_fatal(EX_OSERR, "out of memory");
    return 1;
}

void showq_list(struct showq *showq, struct showq_output *output)
{
    showq_output_start(output);
    showq_list_queue(showq, output);
    showq_list_directories(showq, output);
    showq_output_finish(output);
    tdestroy(showq->ids, free);
    showq->ids = NULL;
}
