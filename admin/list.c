/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "admin/command.h"
#include "admin/list.h"
#include "module/error.h"

#define STATUSES_ALL (~SYNCQ_STATUS_BIT(SYNCQ_STATUS_FREE))

struct options {
    int as_json;
    uint32_t statuses; /* 0: none was named */
    char *domain;      /* NULL: all */
};

static int add_status(const struct command *command, const char *name,
                      uint32_t *statuses)
{
    unsigned status;

    if (!strcmp(name, "all")) {
        *statuses |= STATUSES_ALL;
        return 0;
    }
    for (status = SYNCQ_STATUS_NEW; status <= SYNCQ_STATUS_LOST; status++) {
        if (strcmp(name, syncq_status_name(status)))
            continue;
        *statuses |= SYNCQ_STATUS_BIT(status);
        return 0;
    }
    command_error(command, "unknown status %s; try 'syncq list --help'", name);
    return EX_USAGE;
}

static int set_domain(const struct command *command, const char *text,
                      char **domain)
{
    char *byte;

    if (!*text) {
        command_error(command, "--domain must not be empty");
        return EX_USAGE;
    }
    free(*domain);
    *domain = strdup(text);
    if (!*domain)
        return command_failure(command, "--domain", ENOMEM);
    for (byte = *domain; *byte; byte++)
        if (*byte >= 'A' && *byte <= 'Z')
            *byte = (char)(*byte - 'A' + 'a');
    return 0;
}

static int read_options(const struct command *command, int argc, char **argv,
                        struct options *options)
{
    static const struct option known[] = {
        {"json", no_argument, NULL, 'j'},
        {"domain", required_argument, NULL, 'd'},
        {"status", required_argument, NULL, 's'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code = 0, result = 0;

    while (!result && (option = command_option(command, argc, argv, known,
                                               &exit_code)) != -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        if (option == 'j')
            options->as_json = 1;
        else if (option == 'd')
            result = set_domain(command, optarg, &options->domain);
        else
            result = add_status(command, optarg, &options->statuses);
    }
    if (!options->statuses)
        options->statuses =
            SYNCQ_STATUSES_QUEUED | SYNCQ_STATUS_BIT(SYNCQ_STATUS_LOST);
    return result ? result : command_no_arguments(command, argc, argv);
}

uint32_t list_next_attempt(const struct syncq_listed *message)
{
    uint32_t i, next_s = 0;

    for (i = 0; i < message->entry_count; i++) {
        const struct syncq_state *state = &message->entries[i].state;

        if (state->status == SYNCQ_STATUS_DEFERRED &&
            (!next_s || state->next_attempt_s < next_s))
            next_s = state->next_attempt_s;
    }
    return next_s;
}

uint32_t list_left_count(const struct syncq_listed *message)
{
    uint32_t i, count = 0;

    for (i = 0; i < message->entry_count; i++)
        count += syncq_entry_left_count(&message->entries[i]);
    return count;
}

/* The index knows a domain by its hash only; two may share one. */
static int has_domain(const struct syncq_record *record, const char *domain)
{
    uint32_t i;

    for (i = 0; i < record->envelope.part_count; i++)
        if (!strcmp(record->envelope.parts[i].domain, domain))
            return 1;
    return 0;
}

static int list_message(const struct options *options,
                        struct syncq_queue *queue, struct list_table *table,
                        const struct syncq_listed *message, int *damaged)
{
    struct syncq_record record;
    int result, read_error;

    read_error = syncq_listed_read(queue, message, &record);
    if (read_error == ENOMEM)
        return ENOMEM;
    /* It left the queue since the listing began. */
    if (read_error == SYNCQ_ERR_BAD_ENTRY)
        return 0;
    if (read_error) {
        *damaged = 1;
        return options->as_json ? list_print_json(message, NULL, read_error)
                                : list_table_add(table, message, NULL);
    }
    if (options->domain && !has_domain(&record, options->domain))
        result = 0;
    else if (options->as_json)
        result = list_print_json(message, &record, 0);
    else
        result = list_table_add(table, message, &record);
    syncq_record_clear(&record);
    return result;
}

static int list_messages(const struct options *options,
                         struct syncq_queue *queue, struct list_table *table,
                         int *damaged)
{
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    int result;

    result = syncq_listing_new(
        queue, options->statuses,
        options->domain ? syncq_domain_hash(options->domain) : 0, &listing);
    while (!result) {
        result = syncq_listing_next(listing, &message);
        if (!result)
            result = list_message(options, queue, table, &message, damaged);
    }
    syncq_listing_free(listing);
    return result == SYNCQ_ERR_RANGE ? 0 : result;
}

int verb_list(const struct command *command, int argc, char **argv)
{
    const char *directory = command->config->queue_directory;
    struct options options = {0};
    struct syncq_queue *queue = NULL;
    struct list_table *table = NULL;
    int result, error = 0, damaged = 0;

    result = read_options(command, argc, argv, &options);
    if (result) {
        result = result == COMMAND_STOP ? 0 : result;
        goto out;
    }
    result = command_open(command, SYNCQ_OPEN_READ, &queue);
    if (result)
        goto out;
    if (!options.as_json)
        error = list_table_new(&table);
    if (!error)
        error = list_messages(&options, queue, table, &damaged);
    if (!error && table)
        error = list_table_print(table);
    if (error) {
        result = command_failure(command, directory, error);
    } else if (damaged) {
        command_error(command,
                      "%s: some messages cannot be read; "
                      "'syncq check' tells more",
                      directory);
        result = EX_DATAERR;
    }
out:
    list_table_free(table);
    syncq_queue_close(queue);
    free(options.domain);
    return result;
}
