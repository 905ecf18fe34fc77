/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "module/error.h"
#include "module/listing.h"
#include "program/files.h"
#include "program/log.h"
#include "qmgr/showq.h"
#include "qmgr/showq_reasons.h"

/*
 * The name of the queue that Postfix would hold the message in.  One name for
 * a message with parts in several states: the liveliest, as with Postfix,
 * where one recipient in delivery makes the whole message active.
 */
static const char *queue_name(uint32_t statuses)
{
    if (statuses & (SYNCQ_STATUS_BIT(SYNCQ_STATUS_ACTIVE) |
                    SYNCQ_STATUS_BIT(SYNCQ_STATUS_READY) |
                    SYNCQ_STATUS_BIT(SYNCQ_STATUS_FLUSHING)))
        return "active";
    if (statuses & SYNCQ_STATUS_BIT(SYNCQ_STATUS_SYNCED))
        return "incoming";
    if (statuses & SYNCQ_STATUS_BIT(SYNCQ_STATUS_DEFERRED))
        return "deferred";
    return "hold";
}

static void list_recipient(struct showq_output *output,
                           const struct syncq_recipient *recipient,
                           struct showq_reasons *reasons)
{
    char quoted[SHOWQ_ADDRESS_SIZE], original[SHOWQ_ADDRESS_SIZE] = "";
    const struct showq_reason *reason;

    showq_address(output, recipient->address, quoted);
    if (*recipient->original != '\0' &&
        strcmp(recipient->original, recipient->address) != 0)
        showq_address(output, recipient->original, original);
    reason = showq_reasons_find(reasons, quoted);
    showq_output_recipient(output, original, quoted,
                           reason != NULL ? reason->log_class : "",
                           reason != NULL ? reason->text : "");
}

static void list_recipients(struct showq_output *output,
                            const struct syncq_entry_view *entry,
                            const struct syncq_envelope *envelope,
                            struct showq_reasons *reasons)
{
    const struct syncq_recipient *recipient;
    uint32_t n;

    for (n = 0; n < entry->recipient_count; n++) {
        recipient = syncq_entry_recipient_left(entry, envelope, n);
        if (recipient != NULL)
            list_recipient(output, recipient, reasons);
    }
}

static void list_message(struct showq *showq, struct showq_output *output,
                         const struct syncq_listed *listed,
                         const struct syncq_record *record)
{
    struct showq_reasons reasons = {0};
    struct syncq_listed_name name;
    struct showq_message message = {
        .queue_name = queue_name(listed->statuses),
        .sender = record->envelope.sender,
    };
    uint32_t i;

    syncq_listed_name(listed, record, &name);
    (void)showq_id_add(showq, name.id);
    message.queue_id = name.id;
    message.time_s = name.arrival_s;
    message.size = (int64_t)name.size;
    showq_output_message(output, &message);
    showq_reasons_read(&reasons, &showq->settings, name.id);
    for (i = 0; i < listed->entry_count; i++)
        list_recipients(output, &listed->entries[i], &record->envelope,
                        &reasons);
    showq_output_message_end(output);
    showq_reasons_clear(&reasons);
}

static int list_messages(struct showq *showq, struct syncq_queue *queue,
                         struct showq_output *output)
{
    struct syncq_listing *listing = NULL;
    struct syncq_listed listed;
    struct syncq_record record;
    char sequence[32];
    int result, error;

    result = syncq_listing_new(queue, SYNCQ_STATUSES_QUEUED, 0, &listing);
    while (result == 0 && !output->failed) {
        result = syncq_listing_next(listing, &listed);
        if (result != 0)
            break;
        error = syncq_listed_read(queue, &listed, &record);
        if (error == 0) {
            list_message(showq, output, &listed, &record);
            syncq_record_clear(&record);
        } else if (error != SYNCQ_ERR_BAD_ENTRY) {
            syncq_sequence_text(listed.sequence, sequence);
            log_warning("cannot list message %s: %s", sequence,
                        syncq_strerror(error));
        }
    }
    syncq_listing_free(listing);
    return result == SYNCQ_ERR_RANGE ? 0 : result;
}

static void list_file(struct showq *showq, struct showq_output *output,
                      const char *directory)
{
    struct syncq_queue *queue = NULL;
    struct config one;
    int result;

    /* Opened for each listing: recovery may have made a new index. */
    result = files_config(&showq->config, directory, &one);
    if (result == 0)
        result = syncq_queue_open(one.queue_directory, one.run_directory,
                                  SYNCQ_OPEN_READ, &queue);
    if (result == 0)
        result = list_messages(showq, queue, output);
    if (result != 0)
        log_warning("the listing lacks the queue %s: %s", directory,
                    syncq_strerror(result));
    syncq_queue_close(queue);
    files_config_clear(&one);
}

void showq_list_queue(struct showq *showq, struct showq_output *output)
{
    struct files files;
    char error[256];
    unsigned i;

    if (files_read(&showq->config, &files, error, sizeof(error)) != 0) {
        log_warning("the listing lacks the queue: %s", error);
        return;
    }
    for (i = 0; i < files.count; i++)
        list_file(showq, output, files.list[i].directory);
    files_clear(&files);
}
