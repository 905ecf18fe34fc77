/* SPDX-License-Identifier: MIT */
/*
 * mail_source.h - mails to send: made up, or the files of a directory
 */
#ifndef SYNCQ_TESTS_MAIL_SOURCE_H
#define SYNCQ_TESTS_MAIL_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct mail_source {
    uint64_t seed;         /* of the generated mails */
    const char *directory; /* NULL: generate */
    char **names;          /* its files, sorted */
    size_t count;          /* mails */
    size_t domain_count;   /* recipients are spread over so many domains */
};

/*
 * Take the regular files of a directory instead of made-up mails; sets count.
 * Names that start with a dot are left out.  0 or errno.
 */
int mail_source_open(struct mail_source *source, const char *directory);
void mail_source_clear(struct mail_source *source);

/*
 * The mail of this number, 0 to count - 1; the same bytes each time.  Lines
 * end with CR LF: a file's bare LF becomes CR LF, and the last line gets one,
 * since SMTP cannot carry anything else.  *text is the caller's to free.
 */
int mail_source_read(const struct mail_source *source, size_t number,
                     char **text, size_t *size);

#define MAIL_RECIPIENT_SIZE 64

/* Its recipient; no two mails share one. */
void mail_source_recipient(const struct mail_source *source, size_t number,
                           char recipient[MAIL_RECIPIENT_SIZE]);

#endif
