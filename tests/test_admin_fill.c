/* SPDX-License-Identifier: MIT */
/*
 * test_admin_fill - put one message into a queue, for the tests of programs
 *
 *   test_admin_fill DIRECTORY RUN_DIRECTORY ID STATUS SENDER RECIPIENT...
 *
 * Content of type postfix is read from standard input as lines.  ID "-": the
 * message gets no queue id.  STATUS is that of all parts; with STATUS
 * deferred they are due in an hour; "done1" finishes the first recipient and
 * defers the rest.  Needs a running sync helper.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "module/append.h"
#include "module/entry.h"
#include "module/error.h"
#include "module/marks.h"
#include "module/record_format.h"
#include "postfix/record.h"

#define CONFIRM_TIMEOUT_MS 30000

static int fail(const char *what, int error)
{
    fprintf(stderr, "test_admin_fill: %s: %s\n", what, syncq_strerror(error));
    return 1;
}

static int make_envelope(struct syncq_envelope *envelope, char **words)
{
    struct syncq_recipient recipient = {.original = "", .dsn_original = ""};
    int result = syncq_envelope_init(envelope);

    if (!result && strcmp(words[0], "-"))
        result =
            syncq_envelope_set_attribute_text(envelope, "queue_id", words[0]);
    if (!result)
        result = syncq_envelope_set_sender(envelope, words[2]);
    for (words += 3; !result && *words; words++) {
        recipient.address = *words;
        result = syncq_envelope_add_recipient(envelope, &recipient);
    }
    return result ? result : syncq_envelope_group(envelope);
}

static void read_content(struct record_writer *writer)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    while ((size = getline(&line, &capacity, stdin)) > 0) {
        int whole = line[size - 1] == '\n';

        record_write(writer, whole ? RECORD_LINE : RECORD_PART, line,
                     (size_t)size - (size_t)whole);
    }
    free(line);
}

static unsigned status_number(const char *name)
{
    unsigned status;

    for (status = SYNCQ_STATUS_NEW; status < SYNCQ_STATUS_LOST; status++)
        if (!strcmp(syncq_status_name(status), name))
            break;
    return status;
}

/* As the queue manager does: the entry, then its mark, then wait. */
static int set_status(struct syncq_queue *queue, uint32_t slot,
                      const char *name)
{
    struct syncq_entry_view entry;
    struct syncq_ticket ticket;
    struct syncq_state state;
    struct syncq_mark mark;
    int result = syncq_entry_read(queue, slot, &entry);

    if (result)
        return result;
    state = entry.state;
    if (!strcmp(name, "done1") && entry.part == 0)
        state.mask = 1;
    state.status =
        (uint8_t)status_number(strcmp(name, "done1") ? name : "deferred");
    if (state.status == SYNCQ_STATUS_DEFERRED) {
        state.attempts = 1;
        state.last_attempt_s = (uint32_t)time(NULL);
        state.next_attempt_s = state.last_attempt_s + 3600;
        state.dsn_class = 4;
        state.dsn_subject = 4;
        state.dsn_detail = 1;
    }
    result = syncq_entry_update(queue, &entry, &state);
    if (result)
        return result;
    mark = (struct syncq_mark){
        .sequence = entry.sequence, .part = entry.part, .state = state};
    result = syncq_marks_append(queue, &mark, 1, &ticket);
    if (result)
        return result;
    result = syncq_ticket_wait(queue, &ticket, CONFIRM_TIMEOUT_MS);
    syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_CANCELLED);
    return result;
}

static int append(struct syncq_queue *queue,
                  const struct syncq_envelope *envelope,
                  const struct record_writer *writer, const char *status)
{
    struct iovec content = {writer->bytes, writer->size};
    struct syncq_ticket ticket;
    uint32_t *slots, i, count;
    int result;

    result = syncq_append(queue, SYNCQ_RECORD_POSTFIX, envelope, &content, 1,
                          &ticket);
    if (result)
        return result;
    count = ticket.slot_count;
    slots = calloc(count, sizeof(*slots));
    memcpy(slots, ticket.slots, count * sizeof(*slots));
    result = syncq_ticket_wait(queue, &ticket, CONFIRM_TIMEOUT_MS);
    syncq_ticket_finish(queue, &ticket,
                        result ? SYNCQ_STATUS_CANCELLED : SYNCQ_STATUS_SYNCED);
    for (i = 0; !result && strcmp(status, "synced") && i < count; i++)
        result = set_status(queue, slots[i], status);
    free(slots);
    return result;
}

int main(int argc, char **argv)
{
    struct syncq_envelope envelope = {0};
    struct record_writer writer = {0};
    struct syncq_queue *queue = NULL;
    int result;

    if (argc < 7) {
        fprintf(stderr, "usage: test_admin_fill DIRECTORY RUN_DIRECTORY ID "
                        "STATUS SENDER RECIPIENT...\n");
        return 2;
    }
    result = make_envelope(&envelope, argv + 3);
    if (result)
        return fail("envelope", result);
    read_content(&writer);
    result = syncq_queue_open(argv[1], argv[2], SYNCQ_OPEN_WRITE, &queue);
    if (result)
        return fail("open", result);
    result = append(queue, &envelope, &writer, argv[4]);
    if (result)
        fail("append", result);
    syncq_queue_close(queue);
    syncq_envelope_clear(&envelope);
    free(writer.bytes);
    return result != 0;
}
