/* SPDX-License-Identifier: MIT */
/*
 * capture.h - where a mail to be captured is read from
 *
 * A source gives the whole mail at end-of-message.  The only one so far is
 * Postfix's own queue file, which is complete in the page cache at that time;
 * sources that collect headers and body from the milter protocol fit behind
 * the same call.  Sources are read-only after they are made and may be used by
 * several threads at a time.
 */
#ifndef SYNCQ_MILTER_CAPTURE_H
#define SYNCQ_MILTER_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "milter/mail_event.h"
#include "milter/outcome.h"
#include "module/envelope.h"
#include "postfix/parameters.h"

#define CAPTURE_REASON_SIZE 256 /* bytes, with the closing NUL */

struct capture_request {
    const char *queue_id; /* NULL: the MTA did not say */
    const struct mail_event *event;
    uint64_t size_max; /* bytes of envelope and content together */
};

/* A mail that can be appended as it is. */
struct capture_mail {
    struct syncq_envelope envelope; /* grouped */
    uint8_t *content;
    size_t content_size;
    uint8_t type; /* enum syncq_record_type */
};

struct capture_source {
    /*
     * Read the mail.  OUTCOME_CAPTURED: *mail is the caller's to clear.  Any
     * other outcome says why the mail must go the MTA's own way, with one
     * line in reason.
     */
    enum outcome (*read)(const struct capture_source *source,
                         const struct capture_request *request,
                         struct capture_mail *mail,
                         char reason[CAPTURE_REASON_SIZE]);
    void (*free)(struct capture_source *source);
};

/*
 * The queue files below Postfix's queue_directory; they must belong to the
 * effective user.  errno values: the directory cannot be opened; ENOMEM.
 */
int capture_queue_file_new(const char *queue_directory,
                           const struct parameters *parameters,
                           struct capture_source **source);

void capture_source_free(struct capture_source *source);
void capture_mail_clear(struct capture_mail *mail);

#endif
