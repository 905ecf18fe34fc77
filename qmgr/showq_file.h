/* SPDX-License-Identifier: MIT */
/*
 * showq_file.h - one of Postfix's own queue files in a listing
 */
#ifndef SYNCQ_QMGR_SHOWQ_FILE_H
#define SYNCQ_QMGR_SHOWQ_FILE_H

#include "qmgr/showq.h"

/*
 * Write the message in the file at path, which queue_name lists as queue_id.
 * A file that has vanished, is not complete yet or names no sender is left
 * out; one that stops making sense further on is listed as far as it does.
 */
void showq_file_list(struct showq *showq, struct showq_output *output,
                     const char *queue_name, const char *queue_id,
                     const char *path);

#endif
