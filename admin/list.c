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

/* One queue file, and the next message of it. */
struct source {
    const char *directory; /* NULL: there is only this one */
    struct syncq_queue *queue;
    struct syncq_listing *listing;
    struct syncq_listed message;
    int has_message;
};

static int list_message(const struct options *options,
                        const struct source *source, struct list_table *table,
                        int *damaged)
{
    const struct syncq_listed *message = &source->message;
    struct syncq_record record;
    int result, read_error;

    read_error = syncq_listed_read(source->queue, message, &record);
    if (read_error == ENOMEM)
        return ENOMEM;
    /* It left the queue since the listing began. */
    if (read_error == SYNCQ_ERR_BAD_ENTRY)
        return 0;
    if (read_error) {
        *damaged = 1;
        return options->as_json ? list_print_json(source->directory, message,
                                                  NULL, read_error)
                                : list_table_add(table, message, NULL);
    }
    if (options->domain && !has_domain(&record, options->domain))
        result = 0;
    else if (options->as_json)
        result = list_print_json(source->directory, message, &record, 0);
    else
        result = list_table_add(table, message, &record);
    syncq_record_clear(&record);
    return result;
}

static int source_next(struct source *source)
{
    int result = syncq_listing_next(source->listing, &source->message);

    source->has_message = result == 0;
    return result == SYNCQ_ERR_RANGE ? 0 : result;
}

/* The one whose next message is the oldest; NULL: there are no more. */
static struct source *oldest(struct source *sources, unsigned count)
{
    struct source *found = NULL;
    unsigned i;

    for (i = 0; i < count; i++)
        if (sources[i].has_message &&
            (!found || sources[i].message.arrival_s < found->message.arrival_s))
            found = &sources[i];
    return found;
}

static int list_messages(const struct options *options, struct source *sources,
                         unsigned count, struct list_table *table, int *damaged)
{
    struct source *source;
    int result = 0;
    unsigned i;

    for (i = 0; i < count && !result; i++) {
        if (!sources[i].queue)
            continue;
        result = syncq_listing_new(
            sources[i].queue, options->statuses,
            options->domain ? syncq_domain_hash(options->domain) : 0,
            &sources[i].listing);
        if (!result)
            result = source_next(&sources[i]);
    }
    while (!result && (source = oldest(sources, count))) {
        result = list_message(options, source, table, damaged);
        if (!result)
            result = source_next(source);
    }
    return result;
}

/* One that cannot be opened gets a line; the others are listed. */
static int open_sources(const struct command *command, struct source *sources)
{
    const struct files *files = command->files;
    int result = command_become_owner(command);
    unsigned i;

    if (result)
        return result;
    for (i = 0; i < files->count; i++) {
        const char *directory = files->list[i].directory;
        int error = command_open_file(command, directory, SYNCQ_OPEN_READ,
                                      &sources[i].queue);

        if (files->count > 1)
            sources[i].directory = directory;
        if (error)
            result = command_failure(command, directory, error);
    }
    return result;
}

static void close_sources(struct source *sources, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        syncq_listing_free(sources[i].listing);
        syncq_queue_close(sources[i].queue);
    }
}

static int list_all(const struct command *command,
                    const struct options *options)
{
    struct source sources[SYNCQ_FILES_MAX] = {0};
    unsigned count = command->files->count;
    struct list_table *table = NULL;
    int result, error = 0, damaged = 0;

    result = open_sources(command, sources);
    if (result && count == 1)
        return result;
    if (!options->as_json)
        error = list_table_new(&table);
    if (!error)
        error = list_messages(options, sources, count, table, &damaged);
    if (!error && table)
        error = list_table_print(table);
    if (error) {
        result = command_failure(command, "list", error);
    } else if (damaged) {
        command_error(command,
                      "%s: some messages cannot be read; "
                      "'syncq check' tells more",
                      command->files->list[0].directory);
        result = EX_DATAERR;
    }
    list_table_free(table);
    close_sources(sources, count);
    return result;
}

int verb_list(const struct command *command, int argc, char **argv)
{
    struct options options = {0};
    int result;

    result = read_options(command, argc, argv, &options);
    if (result)
        result = result == COMMAND_STOP ? 0 : result;
    else
        result = list_all(command, &options);
    free(options.domain);
    return result;
}
