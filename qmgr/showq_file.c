/* SPDX-License-Identifier: MIT */
#include "qmgr/showq_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postfix/record.h"
#include "program/log.h"
#include "qmgr/memory.h"
#include "qmgr/showq_reasons.h"

#define MODE_READY         0700 /* the file is complete */
#define MODE_FORCED_EXPIRE S_IXGRP

struct file {
    const char *queue_name, *queue_id;
    struct stat status;
    const uint8_t *bytes;
    struct record_reader reader;
    uint64_t content_size; /* from the size record; 0: not known */
    uint64_t arrival_s;
    char *original; /* of the next recipient, or NULL */
    int sender_seen;
    struct showq_reasons reasons;
};

/* 0, ENOENT for a file that is not to be listed, or another errno value. */
static int map_file(struct file *file, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int result = 0;
    void *map;

    if (fd < 0)
        return errno;
    if (fstat(fd, &file->status) != 0) {
        result = errno;
    } else if (!S_ISREG(file->status.st_mode) || file->status.st_size == 0 ||
               (file->status.st_mode & MODE_READY) != MODE_READY) {
        result = ENOENT;
    } else {
        /* Not read: only the pages around the content are needed.  Postfix
         * never shortens a complete file. */
        map = mmap(NULL, (size_t)file->status.st_size, PROT_READ, MAP_PRIVATE,
                   fd, 0);
        if (map == MAP_FAILED)
            result = errno;
        else
            file->bytes = map;
    }
    close(fd);
    return result;
}

/* The record as a text; a NUL in it ends the text. */
static char *record_text(const struct record *record)
{
    char *text = memory_new(record->size + 1);

    memcpy(text, record->data, record->size);
    return text;
}

static void read_number(const struct record *record, uint64_t *number)
{
    const uint8_t *data = record->data;
    size_t size = record->size;

    if (*number == 0 && record_number(&data, &size, number) != 0)
        *number = 0;
}

/*
 * The heading, and at once what bounce(8) has logged: its log need not know
 * all recipients, so the others follow from the file.
 */
static void list_sender(struct showq *showq, struct showq_output *output,
                        struct file *file, const struct record *record)
{
    char *sender = record_text(record);
    struct showq_message message = {
        .queue_name = file->queue_name,
        .queue_id = file->queue_id,
        .time_s = file->arrival_s > 0 && file->arrival_s <= INT64_MAX
                      ? (int64_t)file->arrival_s
                      : file->status.st_mtime,
        .size = file->content_size > 0 && file->content_size <= INT64_MAX
                    ? (int64_t)file->content_size
                    : file->status.st_size,
        .forced_expire = (file->status.st_mode & MODE_FORCED_EXPIRE) != 0,
        .sender = sender,
    };
    size_t i;

    file->sender_seen = 1;
    showq_output_message(output, &message);
    free(sender);
    showq_reasons_read(&file->reasons, &showq->settings, file->queue_id);
    for (i = 0; i < file->reasons.count; i++) {
        const struct showq_reason *reason = &file->reasons.reasons[i];

        showq_output_recipient(output, reason->original, reason->recipient,
                               reason->log_class, reason->text);
    }
}

static void list_recipient(struct showq_output *output, struct file *file,
                           const struct record *record)
{
    char *address = record_text(record);
    char quoted[SHOWQ_ADDRESS_SIZE], original[SHOWQ_ADDRESS_SIZE] = "";

    showq_address(output, address, quoted);
    if (file->original != NULL && strcmp(file->original, address) != 0)
        showq_address(output, file->original, original);
    if (showq_reasons_find(&file->reasons, quoted) == NULL)
        showq_output_recipient(output, original, quoted, "", "");
    free(address);
}

/* Go over the content in one step when the size record says where it ends. */
static void skip_content(struct file *file)
{
    uint64_t end;

    if (file->content_size > 0 &&
        !__builtin_add_overflow(file->reader.offset, file->content_size,
                                &end) &&
        end < file->reader.size && file->bytes[end] == RECORD_EXTRACTED)
        file->reader.offset = end;
}

static void list_record(struct showq *showq, struct showq_output *output,
                        struct file *file, const struct record *record)
{
    switch (record->type) {
    case RECORD_SIZE:
        read_number(record, &file->content_size);
        break;
    case RECORD_TIME:
        read_number(record, &file->arrival_s);
        break;
    case RECORD_SENDER:
        if (!file->sender_seen)
            list_sender(showq, output, file, record);
        break;
    case RECORD_ORIGINAL:
        free(file->original);
        file->original = record_text(record);
        break;
    case RECORD_RECIPIENT:
        if (file->sender_seen)
            list_recipient(output, file, record);
        /* fall through */
    case RECORD_DONE:
    case RECORD_CANCELLED:
        free(file->original);
        file->original = NULL;
        break;
    case RECORD_MESSAGE:
        skip_content(file);
        break;
    default:
        break;
    }
}

void showq_file_list(struct showq *showq, struct showq_output *output,
                     const char *queue_name, const char *queue_id,
                     const char *path)
{
    struct file file = {.queue_name = queue_name, .queue_id = queue_id};
    struct record record = {0};
    int result = map_file(&file, path);

    if (result != 0) {
        if (result != ENOENT)
            log_warning("open %s: %s", path, strerror(result));
        return;
    }
    record_reader_init(&file.reader, file.bytes, (size_t)file.status.st_size);
    while (!output->failed && record.type != RECORD_END &&
           record_next(&file.reader, &record) == 0)
        list_record(showq, output, &file, &record);
    if (file.sender_seen)
        showq_output_message_end(output);
    showq_reasons_clear(&file.reasons);
    free(file.original);
    (void)munmap((void *)(uintptr_t)file.bytes, (size_t)file.status.st_size);
}
