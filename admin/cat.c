/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "admin/command.h"
#include "admin/content.h"
#include "module/error.h"
#include "module/listing.h"

#define STATUSES_ALL                                                           \
    (~(SYNCQ_STATUS_BIT(SYNCQ_STATUS_FREE) |                                   \
       SYNCQ_STATUS_BIT(SYNCQ_STATUS_NEW)))

/* What stands in a line must not end it, and not steer a terminal. */
static void print_clean(const char *text, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        putchar((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?'
                                                                : text[i]);
}

static void print_field(const char *name, const char *text)
{
    printf("%s: ", name);
    print_clean(text, strlen(text));
    putchar('\n');
}

static void print_time(const char *name, int64_t time_s)
{
    time_t seconds = (time_t)time_s;
    char text[64];
    struct tm local;

    if (localtime_r(&seconds, &local) &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &local))
        print_field(name, text);
}

static void print_recipients(const struct syncq_entry_view *entry,
                             const struct syncq_envelope *envelope)
{
    uint32_t n;

    for (n = 0; n < entry->recipient_count; n++) {
        const struct syncq_recipient *recipient;
        uint64_t position = (uint64_t)entry->first_recipient + n;

        if (position >= envelope->recipient_count)
            return;
        recipient = &envelope->recipients[position];
        print_field(syncq_entry_recipient_left(entry, envelope, n)
                        ? "recipient"
                        : "recipient (finished)",
                    recipient->address);
        if (*recipient->original)
            print_field("  original", recipient->original);
        if (*recipient->dsn_original)
            print_field("  dsn_original", recipient->dsn_original);
        if (recipient->notify)
            printf("  notify: %" PRIu32 "\n", recipient->notify);
    }
}

static void print_part(const struct syncq_entry_view *entry,
                       const struct syncq_envelope *envelope)
{
    const struct syncq_state *state = &entry->state;

    if (entry->part < envelope->part_count)
        print_field("domain", envelope->parts[entry->part].domain);
    printf("status: %s\n", syncq_status_name(state->status));
    if (state->attempts)
        printf("attempts: %u\n", state->attempts);
    if (state->last_attempt_s)
        print_time("last_attempt", state->last_attempt_s);
    if (state->status == SYNCQ_STATUS_DEFERRED && state->next_attempt_s)
        print_time("next_attempt", state->next_attempt_s);
    if (state->dsn_class)
        printf("dsn: %u.%u.%u\n", state->dsn_class, state->dsn_subject,
               state->dsn_detail);
    print_recipients(entry, envelope);
}

static void print_envelope(const struct syncq_listed *message,
                           const struct syncq_record *record)
{
    const struct syncq_envelope *envelope = &record->envelope;
    struct syncq_listed_name name;
    char sequence[32];
    uint32_t i;

    syncq_listed_name(message, record, &name);
    syncq_sequence_text(message->sequence, sequence);
    printf("*** ENVELOPE ***\n");
    print_field("queue_id", name.id);
    print_field("sequence", sequence);
    printf("lsn: %" PRIu64 "\n", record->header.lsn);
    print_time("arrival", name.arrival_s);
    printf("size: %" PRIu64 "\n", name.size);
    print_field("sender", *envelope->sender ? envelope->sender : "<>");
    if (*envelope->instructions)
        print_field("instructions", envelope->instructions);
    for (i = 0; i < envelope->attribute_count; i++) {
        const struct syncq_attribute *attribute = &envelope->attributes[i];

        printf("attribute: ");
        print_clean(attribute->name, strlen(attribute->name));
        putchar('=');
        print_clean(attribute->value, attribute->value_size);
        putchar('\n');
    }
    for (i = 0; i < message->entry_count; i++)
        print_part(&message->entries[i], envelope);
}

static int print_message(const struct command *command, const char *id,
                         const struct syncq_listed *message,
                         const struct syncq_record *record, int content_only)
{
    int result, open;

    if (!content_only) {
        print_envelope(message, record);
        printf("*** CONTENT ***\n");
    }
    result = content_write(stdout, record->header.type, record->content,
                           record->content_size, &open);
    if (!content_only)
        printf("%s*** END ***\n", open ? "\n" : "");
    return result ? command_failure(command, id, result) : 0;
}

/* What a walk through all messages has found of one id. */
struct search {
    const char *id;
    struct syncq_queue *queue; /* of the best match */
    uint64_t sequence;         /* of the best match */
    int is_queued;             /* the best match may still be delivered */
    unsigned count;            /* equally good matches */
    unsigned unreadable;
};

/* One that is still queued is meant rather than one that was delivered. */
static void consider(struct search *search, struct syncq_queue *queue,
                     const struct syncq_listed *message)
{
    int is_queued = (message->statuses & SYNCQ_STATUSES_QUEUED) != 0;

    if (!search->count || is_queued > search->is_queued) {
        search->queue = queue;
        search->sequence = message->sequence;
        search->is_queued = is_queued;
        search->count = 1;
    } else if (is_queued == search->is_queued) {
        search->count++;
    }
}

static int search_queue(struct syncq_queue *queue, struct search *search)
{
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    struct syncq_record record;
    int result, error;

    result = syncq_listing_new(queue, STATUSES_ALL, 0, &listing);
    while (!result) {
        result = syncq_listing_next(listing, &message);
        if (result)
            break;
        error = syncq_listed_read(queue, &message, &record);
        if (syncq_listed_is(&message, error ? NULL : &record, search->id))
            consider(search, queue, &message);
        if (error)
            search->unreadable++;
        else
            syncq_record_clear(&record);
    }
    syncq_listing_free(listing);
    return result == SYNCQ_ERR_RANGE ? 0 : result;
}

/* Print the message with this sequence number. */
static int print_found(const struct command *command,
                       const struct search *search, int content_only)
{
    struct syncq_queue *queue = search->queue;
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    struct syncq_record record;
    int result;

    result = syncq_listing_new(queue, STATUSES_ALL, 0, &listing);
    while (!result) {
        result = syncq_listing_next(listing, &message);
        if (!result && message.sequence == search->sequence)
            break;
    }
    /* It may have left the queue just now. */
    if (result == SYNCQ_ERR_RANGE)
        result = SYNCQ_ERR_BAD_ENTRY;
    if (!result)
        result = syncq_listed_read(queue, &message, &record);
    if (result) {
        result = command_failure(command, search->id, result);
    } else {
        result =
            print_message(command, search->id, &message, &record, content_only);
        syncq_record_clear(&record);
    }
    syncq_listing_free(listing);
    return result;
}

static int print_search(const struct command *command,
                        const struct search *search, int content_only)
{
    const char *id = search->id;

    if (search->count == 1)
        return print_found(command, search, content_only);
    if (search->count)
        command_error(command,
                      "%s: %u messages have this id; name one by its "
                      "sequence, see 'syncq list --json'%s",
                      id, search->count,
                      command->files->count > 1 ? ", and by --file" : "");
    else if (search->unreadable)
        command_error(command,
                      "%s: not found, but %u messages cannot be read; "
                      "'syncq check' tells more",
                      id, search->unreadable);
    else
        command_error(command, "%s: there is no such message", id);
    return EX_NOINPUT;
}

/* In all queue files; one that cannot be read does not hide the others. */
static int find_and_print(const struct command *command, const char *id,
                          int content_only)
{
    struct syncq_queue *queues[SYNCQ_FILES_MAX] = {NULL};
    const struct files *files = command->files;
    struct search search = {.id = id};
    int result = 0;
    unsigned i;

    for (i = 0; i < files->count; i++) {
        const char *directory = files->list[i].directory;
        int error =
            command_open_file(command, directory, SYNCQ_OPEN_READ, &queues[i]);

        if (!error)
            error = search_queue(queues[i], &search);
        if (error)
            result = command_failure(command, directory, error);
    }
    if (search.count || !result)
        result = print_search(command, &search, content_only);
    for (i = 0; i < files->count; i++)
        syncq_queue_close(queues[i]);
    return result;
}

static int read_options(const struct command *command, int argc, char **argv,
                        int *content_only)
{
    static const struct option known[] = {
        {"content", no_argument, NULL, 'c'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        *content_only = 1;
    }
    if (argc - optind == 1)
        return 0;
    command_error(command, "expected one ID; try 'syncq cat --help'");
    return EX_USAGE;
}

int verb_cat(const struct command *command, int argc, char **argv)
{
    int content_only = 0, result;

    result = read_options(command, argc, argv, &content_only);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = command_become_owner(command);
    return result ? result
                  : find_and_print(command, argv[optind], content_only);
}
