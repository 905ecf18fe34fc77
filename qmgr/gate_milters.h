/* SPDX-License-Identifier: MIT */
/*
 * gate_milters.h - where our milter stands in a list of milters
 */
#ifndef SYNCQ_QMGR_GATE_MILTERS_H
#define SYNCQ_QMGR_GATE_MILTERS_H

/*
 * list is the value of smtpd_milters or the like; ours is our milter's socket
 * as in syncq.conf; Postfix's relative paths are below queue_directory.  True
 * when another milter comes after ours.
 */
int gate_milters_follow(const char *list, const char *ours,
                        const char *queue_directory);

#endif
