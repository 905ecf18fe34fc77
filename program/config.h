/* SPDX-License-Identifier: MIT */
/*
 * config.h - syncq.conf, read the same way by all programs
 *
 * main.cf syntax: `name = value`, `#` comments, a line that starts with white
 * space continues the one before.  An unknown name or a bad value is an error
 * with file and line, so a typing mistake never passes in silence.  The last
 * setting of a name counts.  Times have a unit (500us, 10ms, 10s, 5m, 1h, 1d),
 * sizes are bytes or have k, M or G, yes or no is said so.
 */
#ifndef SYNCQ_PROGRAM_CONFIG_H
#define SYNCQ_PROGRAM_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#ifndef SYNCQ_CONFIG_FILE
#define SYNCQ_CONFIG_FILE "/etc/syncq/syncq.conf"
#endif

enum config_capture {
    CONFIG_CAPTURE_ON,
    CONFIG_CAPTURE_OBSERVE,
    CONFIG_CAPTURE_OFF
};
enum config_unavailable {
    CONFIG_UNAVAILABLE_ACCEPT,
    CONFIG_UNAVAILABLE_TEMPFAIL
};

/* What may stand between the members of a list. */
#define CONFIG_LIST_BLANKS ", \t\r\n"

/*
 * Every parameter; times in milliseconds, sizes in bytes.  Strings belong to
 * the struct.  Defaults in brackets.
 */
struct config {
    char *queue_directory; /* [/var/lib/syncq] */
    char *queue_files;     /* several such directories; see files.h [] */
    char *drain_files;     /* of them, those that take no more mail [] */
    char *run_directory;   /* [/run/syncq] */
    char *mail_owner;      /* user to run as when started as root [postfix] */
    char *syslog_name;     /* [syncq] */
    char *syslog_facility; /* [mail] */

    /* the sync helper */
    uint64_t batch_bytes_max;        /* [8 MiB] */
    uint64_t batch_requests_max;     /* [1024] */
    uint64_t gather_time_max_us;     /* gather_time_max [10ms] */
    uint64_t idle_time_max_us;       /* idle_time_max [1ms] */
    uint64_t gap_max;                /* bytes [1 MiB] */
    uint64_t index_sync_interval_ms; /* [10s] */
    int hold_lock_for_receipt;       /* [no] */

    /* the milter */
    char *milter_socket;            /* unix:PATH or inet:PORT@HOST [] */
    char *postfix_queue_directory;  /* [/var/spool/postfix] */
    char *postfix_config_directory; /* of that instance; empty: Postfix's own
                                       default, or MAIL_CONFIG [] */
    char *capture_source;           /* queue_file [queue_file] */
    enum config_capture capture;    /* on, observe, off [on] */
    enum config_unavailable when_unavailable; /* accept, tempfail [accept] */
    uint64_t confirm_timeout_ms;              /* [60s] */

    /* the queue manager */
    uint64_t marks_interval_ms; /* [1s] */
    char *hold_policy;          /* none, filter [none] */

    int allow_any_filesystem; /* tests only [no] */
};

/*
 * Read a configuration file over the defaults.  A missing file is an error
 * unless it is the default path.  On failure error holds one line, "FILE:LINE:
 * what"; the return value is a sysexits code (EX_CONFIG, EX_NOINPUT).
 */
int config_read(const char *path, struct config *config, char *error,
                size_t error_size);

/* Set one parameter from text, as `-o name=value`.  0 or EX_CONFIG. */
int config_set(struct config *config, const char *name, const char *value,
               char *error, size_t error_size);

/* A number of bytes: 4096, 64k, 8M, 1G.  NULL, or what is wrong with it. */
const char *config_parse_size(const char *text, uint64_t *size);

void config_clear(struct config *config);

#endif
