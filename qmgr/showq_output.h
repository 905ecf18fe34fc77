/* SPDX-License-Identifier: MIT */
/*
 * showq_output.h - what postqueue(1) reads, in the form of its version
 *
 *   3.6+  protocol=mail_queue_list_protocol, end of list
 *   per message: queue_name, queue_id, time, size, 3.5+ forced_expire, sender,
 *     per recipient: 3.11+ original_recipient; recipient; 3.11+ log_class;
 *     reason
 *     end of list
 *   end of list
 *
 * postqueue takes these names in this order and nothing else.  A message is
 * written when it is complete, so memory is needed for one.
 */
#ifndef SYNCQ_QMGR_SHOWQ_OUTPUT_H
#define SYNCQ_QMGR_SHOWQ_OUTPUT_H

#include <stdint.h>

#include "postfix/attribute.h"

struct showq_output {
    int fd;
    unsigned version;         /* Postfix, major * 100 + minor */
    const char *null_address; /* what stands for "" */
    struct attribute_writer writer;
    int failed; /* the client is gone, or memory is: write nothing more */
};

struct showq_message {
    const char *queue_name, *queue_id;
    int64_t time_s, size;
    int forced_expire;
    const char *sender; /* as in the envelope */
};

void showq_output_start(struct showq_output *output);
void showq_output_message(struct showq_output *output,
                          const struct showq_message *message);
/* All four as they are shown; original, log_class and reason may be "". */
void showq_output_recipient(struct showq_output *output, const char *original,
                            const char *address, const char *log_class,
                            const char *reason);
void showq_output_message_end(struct showq_output *output);
/* The end of the listing; frees what output holds. */
void showq_output_finish(struct showq_output *output);

/* The form in which postqueue shows an address, cut to size. */
#define SHOWQ_ADDRESS_SIZE 2048 /* bytes */
void showq_address(const struct showq_output *output, const char *address,
                   char text[SHOWQ_ADDRESS_SIZE]);

#endif
