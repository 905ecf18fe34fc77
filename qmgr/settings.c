/* SPDX-License-Identifier: MIT */
#include "qmgr/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "postfix/queue_file.h"

static unsigned settings_unsigned(const struct settings *settings,
                                  const char *name, unsigned fallback,
                                  unsigned minimum)
{
    int64_t value = parameters_number(settings->parameters, name, fallback);

    if (value < minimum)
        return minimum;
    return value > INT32_MAX ? INT32_MAX : (unsigned)value;
}

static void settings_read_times(struct settings *settings)
{
    const struct parameters *p = settings->parameters;

    settings->queue_run_delay_s =
        parameters_time_s(p, "queue_run_delay", 's', 300);
    settings->minimal_backoff_s =
        parameters_time_s(p, "minimal_backoff_time", 's', 300);
    settings->maximal_backoff_s =
        parameters_time_s(p, "maximal_backoff_time", 's', 4000);
    settings->maximal_lifetime_s =
        parameters_time_s(p, "maximal_queue_lifetime", 'd', 5 * 86400);
    settings->bounce_lifetime_s =
        parameters_time_s(p, "bounce_queue_lifetime", 'd', 5 * 86400);
    if (settings->bounce_lifetime_s > settings->maximal_lifetime_s)
        settings->bounce_lifetime_s = settings->maximal_lifetime_s;
    settings->delay_warning_s =
        parameters_time_s(p, "delay_warning_time", 'h', 0);
    settings->transport_retry_s =
        parameters_time_s(p, "transport_retry_time", 's', 60);
    settings->ipc_timeout_s = parameters_time_s(p, "qmgr_ipc_timeout", 's', 60);
    settings->daemon_timeout_s =
        parameters_time_s(p, "daemon_timeout", 's', 18000);
}

static void settings_read_texts(struct settings *settings)
{
    const struct parameters *p = settings->parameters;

    settings->hash_queue_names =
        parameters_text(p, "hash_queue_names", "deferred, defer");
    settings->defer_transports = parameters_text(p, "defer_transports", "");
    settings->default_filter_nexthop =
        parameters_text(p, "default_filter_nexthop", "");
    settings->myhostname = parameters_text(p, "myhostname", "localhost");
    settings->double_bounce_sender =
        parameters_text(p, "double_bounce_sender", "double-bounce");
    settings->recipient_delimiter =
        parameters_text(p, "recipient_delimiter", "");
    settings->bounce_service =
        parameters_text(p, "bounce_service_name", "bounce");
    settings->defer_service = parameters_text(p, "defer_service_name", "defer");
    settings->trace_service = parameters_text(p, "trace_service_name", "trace");
    settings->rewrite_service =
        parameters_text(p, "rewrite_service_name", "rewrite");
    settings->error_service = parameters_text(p, "error_service_name", "error");
    settings->retry_service = "retry";
}

static void settings_read_numbers(struct settings *settings)
{
    const struct parameters *p = settings->parameters;

    settings->hash_queue_depth =
        settings_unsigned(settings, "hash_queue_depth", 1, 1);
    settings->active_limit =
        settings_unsigned(settings, "qmgr_message_active_limit", 20000, 1);
    settings->process_limit =
        settings_unsigned(settings, "default_process_limit", 100, 1);
    settings->probe_limit = settings_unsigned(
        settings, "address_verify_pending_request_limit", 5000, 1);
    settings->delay_digits =
        settings_unsigned(settings, "delay_logging_resolution_limit", 2, 0);
    settings->smtputf8 = parameters_bool(p, "smtputf8_enable", 1);
    settings->confirm_delay_cleared =
        parameters_bool(p, "confirm_delay_cleared", 0);
    settings->disable_verp_bounces =
        parameters_bool(p, "disable_verp_bounces", 0);
    settings->external_addresses =
        strcasecmp(parameters_text(p, "info_log_address_format", "external"),
                   "internal") != 0;
}

int settings_load(const char *config_directory,
                  const struct settings_override *overrides,
                  struct settings *settings)
{
    struct settings loaded = {0};
    int result = parameters_load(config_directory, &loaded.parameters);

    if (result != 0)
        return result;
    for (; overrides != NULL && result == 0; overrides = overrides->next)
        result = parameters_set(loaded.parameters, overrides->name,
                                overrides->value);
    if (result != 0) {
        parameters_free(loaded.parameters);
        return result;
    }
    loaded.version = parameters_version(loaded.parameters);
    settings_read_times(&loaded);
    settings_read_texts(&loaded);
    settings_read_numbers(&loaded);
    *settings = loaded;
    return 0;
}

void settings_clear(struct settings *settings)
{
    parameters_free(settings->parameters);
    memset(settings, 0, sizeof(*settings));
}

static unsigned settings_limit(const struct settings *settings,
                               const char *transport, const char *suffix,
                               const char *default_name, unsigned fallback,
                               unsigned minimum)
{
    int64_t value = parameters_transport_number(settings->parameters, transport,
                                                suffix, default_name, fallback);

    if (value < minimum)
        return minimum;
    return value > INT32_MAX ? INT32_MAX : (unsigned)value;
}

void settings_transport(const struct settings *settings, const char *transport,
                        struct settings_transport *limits)
{
    char rate_name[256];
    int64_t rate;

    limits->recipient_limit =
        settings_limit(settings, transport, "_destination_recipient_limit",
                       "default_destination_recipient_limit", 50, 0);
    limits->concurrency_limit =
        settings_limit(settings, transport, "_destination_concurrency_limit",
                       "default_destination_concurrency_limit", 20, 0);
    limits->initial_concurrency =
        settings_limit(settings, transport, "_initial_destination_concurrency",
                       "initial_destination_concurrency", 5, 1);
    limits->cohort_limit = settings_limit(
        settings, transport, "_destination_concurrency_failed_cohort_limit",
        "default_destination_concurrency_failed_cohort_limit", 1, 0);
    rate = parameters_time_s(settings->parameters,
                             "default_destination_rate_delay", 's', 0);
    (void)snprintf(rate_name, sizeof(rate_name), "%s_destination_rate_delay",
                   transport);
    rate = parameters_time_s(settings->parameters, rate_name, 's', rate);
    limits->rate_delay_s = rate < 0 ? 0 : (unsigned)rate;
    if (limits->rate_delay_s > 0)
        limits->concurrency_limit = 1;
    if (limits->concurrency_limit > 0 &&
        limits->initial_concurrency > limits->concurrency_limit)
        limits->initial_concurrency = limits->concurrency_limit;
}

int settings_list_has(const char *list, const char *name)
{
    size_t size = strlen(name);

    while (*list != '\0') {
        size_t word;

        list += strspn(list, ", \t\r\n");
        word = strcspn(list, ", \t\r\n");
        if (word == size && size > 0 && strncmp(list, name, size) == 0)
            return 1;
        list += word;
    }
    return 0;
}

void settings_path(const struct settings *settings, const char *queue_name,
                   const char *queue_id, char path[SETTINGS_PATH_SIZE])
{
    if (queue_file_path(queue_name, queue_id, settings->hash_queue_names,
                        settings->hash_queue_depth, path,
                        SETTINGS_PATH_SIZE) != 0)
        (void)snprintf(path, SETTINGS_PATH_SIZE, "%.64s/%.200s", queue_name,
                       queue_id);
}
