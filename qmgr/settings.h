/* SPDX-License-Identifier: MIT */
/*
 * settings.h - Postfix's parameters as the queue manager uses them
 *
 * Loaded once: a reload of Postfix starts a new process.
 */
#ifndef SYNCQ_QMGR_SETTINGS_H
#define SYNCQ_QMGR_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "postfix/parameters.h"

/* An `-o name=value` of our line in master.cf. */
struct settings_override {
    char *name, *value;
    struct settings_override *next;
};

struct settings {
    struct parameters *parameters;
    unsigned version; /* major * 100 + minor */
    const char *hash_queue_names;
    unsigned hash_queue_depth;
    int64_t queue_run_delay_s, minimal_backoff_s, maximal_backoff_s;
    int64_t maximal_lifetime_s, bounce_lifetime_s, delay_warning_s;
    int64_t transport_retry_s, ipc_timeout_s, daemon_timeout_s;
    unsigned active_limit, process_limit, probe_limit;
    int smtputf8, confirm_delay_cleared, disable_verp_bounces;
    int external_addresses; /* in log lines */
    const char *defer_transports, *default_filter_nexthop, *myhostname;
    const char *double_bounce_sender, *recipient_delimiter;
    const char *bounce_service, *defer_service, *trace_service;
    const char *rewrite_service, *retry_service, *error_service;
    unsigned delay_digits;
};

/*
 * Read everything.  config_directory NULL: Postfix's default.  0 or an errno
 * value; nothing to clear then.
 */
int settings_load(const char *config_directory,
                  const struct settings_override *overrides,
                  struct settings *settings);
void settings_clear(struct settings *settings);

/* Limits of one transport. */
struct settings_transport {
    unsigned recipient_limit;     /* per delivery request; 0: none */
    unsigned concurrency_limit;   /* per destination; 0: none */
    unsigned initial_concurrency; /* at least 1 */
    unsigned cohort_limit;        /* failures until dead; 0: never */
    unsigned rate_delay_s;        /* between deliveries to a destination */
};
void settings_transport(const struct settings *settings, const char *transport,
                        struct settings_transport *limits);

/* True when name is in a list that is separated by commas or white space. */
int settings_list_has(const char *list, const char *name);

/*
 * Path below Q of a queue file or log; always fits because queue ids are
 * checked before (queue_id_valid).
 */
#define SETTINGS_PATH_SIZE 512
void settings_path(const struct settings *settings, const char *queue_name,
                   const char *queue_id, char path[SETTINGS_PATH_SIZE]);

#endif
