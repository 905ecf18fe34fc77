/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/capture.h"
#include "milter/sendopts.h"
#include "module/limits.h"
#include "module/record_format.h"
#include "postfix/queue_file.h"

#define UNFINISHED_MODE 0600 /* cleanup(8) sets 0700 when a file is final */
#define NOTIFY_SUCCESS  2    /* bit of NOTIFY=SUCCESS in dsn_seen */

struct queue_file_source {
    struct capture_source source; /* first */
    int directory_fd;
    char *hash_names; /* queues with hashed directories */
    unsigned hash_depth;
    uid_t owner;
    int senders_rewritten; /* the file's sender may differ from MAIL's */
    struct sendopts_rules rules;
};

/* The whole of one file. */
struct file_bytes {
    uint8_t *bytes;
    size_t size;
};

static enum outcome refuse(char *reason, enum outcome outcome,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum outcome refuse(char *reason, enum outcome outcome,
                           const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reason, CAPTURE_REASON_SIZE, format, arguments);
    va_end(arguments);
    return outcome;
}

/*
 * Only what cleanup(8) itself can have made: nobody else may own the file,
 * have a second name for it, or point it elsewhere.
 */
static const char *file_distrust(const struct stat *status, uid_t owner)
{
    if (!S_ISREG(status->st_mode))
        return "it is not a regular file";
    if (status->st_uid != owner)
        return "it belongs to another user";
    if (status->st_nlink != 1)
        return "it has several names";
    if ((status->st_mode & 07777) != UNFINISHED_MODE)
        return "its mode is not 0600";
    return NULL;
}

/* O_NONBLOCK: a FIFO in its place must not stop the thread. */
static int file_open(const struct queue_file_source *source,
                     const char *queue_name, const char *queue_id, int *fd)
{
    char path[PATH_MAX];
    int result = queue_file_path(queue_name, queue_id, source->hash_names,
                                 source->hash_depth, path, sizeof(path));

    if (result)
        return result;
    *fd = openat(source->directory_fd, path,
                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return *fd < 0 ? errno : 0;
}

static int bytes_read(int fd, uint8_t *bytes, size_t size)
{
    size_t done = 0;
    ssize_t count;

    while (done < size) {
        count = read(fd, bytes + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        if (!count)
            return EIO; /* it became shorter */
        done += (size_t)count;
    }
    return 0;
}

static enum outcome file_read(const struct queue_file_source *source,
                              const char *queue_name, const char *queue_id,
                              uint64_t size_max, struct file_bytes *file,
                              char *reason)
{
    enum outcome outcome = OUTCOME_CAPTURED;
    struct stat status;
    const char *distrust;
    int fd = -1, result;

    result = file_open(source, queue_name, queue_id, &fd);
    if (!result && fstat(fd, &status))
        result = errno;
    if (result) {
        outcome = refuse(reason, OUTCOME_NO_FILE, "%s/%s: %s", queue_name,
                         queue_id, queue_file_strerror(result));
        goto out;
    }
    distrust = file_distrust(&status, source->owner);
    if (distrust) {
        outcome = refuse(reason, OUTCOME_NO_FILE, "%s/%s: %s", queue_name,
                         queue_id, distrust);
        goto out;
    }
    if ((uint64_t)status.st_size > size_max) {
        outcome =
            refuse(reason, OUTCOME_TOO_LARGE,
                   "%s file of %lld bytes, limit is %llu", queue_name,
                   (long long)status.st_size, (unsigned long long)size_max);
        goto out;
    }
    file->size = (size_t)status.st_size;
    file->bytes = malloc(file->size ? file->size : 1);
    result = file->bytes ? bytes_read(fd, file->bytes, file->size) : ENOMEM;
    if (result) {
        free(file->bytes);
        *file = (struct file_bytes){NULL, 0};
        outcome = refuse(
            reason, result == ENOMEM ? OUTCOME_UNAVAILABLE : OUTCOME_NO_FILE,
            "%s/%s: %s", queue_name, queue_id, queue_file_strerror(result));
    }
out:
    if (fd >= 0)
        close(fd);
    return outcome;
}

static enum outcome refuse_result(char *reason, int result, const char *what)
{
    return refuse(
        reason, result == ENOMEM ? OUTCOME_UNAVAILABLE : OUTCOME_NOT_UNDERSTOOD,
        "%s: %s", what, queue_file_strerror(result));
}

/* The recipients that an alias stands for have not the alias's SUCCESS bit. */
static int success_note(struct syncq_envelope *envelope)
{
    unsigned long bits = strtoul(
        syncq_envelope_attribute_text(envelope, "dsn_seen", "0"), NULL, 10);
    char text[32];

    (void)snprintf(text, sizeof(text), "%lu", bits | NOTIFY_SUCCESS);
    return syncq_envelope_set_attribute_text(envelope, "dsn_seen", text);
}

/*
 * What alias expansion reported for NOTIFY=SUCCESS; cleanup(8) removes the log
 * when it discards the mail, so the record carries it, and says that there is
 * a report to send.
 */
static enum outcome trace_add(const struct queue_file_source *source,
                              const char *queue_id,
                              struct syncq_envelope *envelope, char *reason)
{
    struct file_bytes trace = {NULL, 0};
    enum outcome outcome;
    int fd = -1, result;

    if (file_open(source, "trace", queue_id, &fd) == ENOENT)
        return OUTCOME_CAPTURED;
    if (fd >= 0)
        close(fd);
    outcome = file_read(source, "trace", queue_id, SYNCQ_ATTRIBUTE_SIZE_MAX,
                        &trace, reason);
    if (outcome != OUTCOME_CAPTURED || !trace.size)
        goto out;
    result = syncq_envelope_set_attribute(envelope, "trace_log", trace.bytes,
                                          trace.size);
    if (!result)
        result = success_note(envelope);
    if (result)
        outcome = refuse_result(reason, result, "trace log");
out:
    free(trace.bytes);
    return outcome;
}

static enum outcome sendopts_add(const struct queue_file_source *source,
                                 const struct mail_event *event,
                                 struct queue_file *file, char *reason)
{
    char text[16];
    unsigned bits;
    int result;

    if (!sendopts_compute(&source->rules, event, &file->envelope, file->content,
                          file->content_size, &bits))
        return refuse(reason, OUTCOME_NOT_UNDERSTOOD,
                      "only Postfix can tell its SMTPUTF8 or TLS options");
    (void)snprintf(text, sizeof(text), "%u", bits);
    result =
        syncq_envelope_set_attribute_text(&file->envelope, "sendopts", text);
    return result ? refuse_result(reason, result, "send options")
                  : OUTCOME_CAPTURED;
}

static enum outcome request_check(const struct capture_request *request,
                                  char *reason)
{
    if (!request->queue_id)
        return refuse(reason, OUTCOME_NO_FILE, "no queue id");
    if (!queue_id_valid(request->queue_id))
        return refuse(reason, OUTCOME_NO_FILE, "bad queue id");
    if (!request->event)
        return refuse(reason, OUTCOME_NOT_UNDERSTOOD, "no MAIL event");
    if (*request->event->unknown)
        return refuse(reason, OUTCOME_NOT_UNDERSTOOD,
                      "unknown MAIL argument %s", request->event->unknown);
    return OUTCOME_CAPTURED;
}

/* Everything about the mail that the queue file itself does not hold. */
static enum outcome file_complete(const struct queue_file_source *source,
                                  const struct capture_request *request,
                                  struct queue_file *file, char *reason)
{
    enum outcome outcome;
    int result;

    if (!source->senders_rewritten &&
        !mail_event_sender_fits(request->event, file->envelope.sender))
        return refuse(reason, OUTCOME_NOT_UNDERSTOOD,
                      "the queue file has another sender than MAIL");
    if (!file->envelope.recipient_count)
        return refuse(reason, OUTCOME_NOT_UNDERSTOOD, "no recipient is left");
    outcome = sendopts_add(source, request->event, file, reason);
    if (outcome == OUTCOME_CAPTURED)
        outcome = trace_add(source, request->queue_id, &file->envelope, reason);
    if (outcome != OUTCOME_CAPTURED)
        return outcome;
    result = syncq_envelope_group(&file->envelope);
    return result ? refuse_result(reason, result, "recipients")
                  : OUTCOME_CAPTURED;
}

static enum outcome source_read(const struct capture_source *source_base,
                                const struct capture_request *request,
                                struct capture_mail *mail,
                                char reason[CAPTURE_REASON_SIZE])
{
    const struct queue_file_source *source = (const void *)source_base;
    struct file_bytes bytes = {NULL, 0};
    struct queue_file file = {0};
    enum outcome outcome;
    int result;

    outcome = request_check(request, reason);
    if (outcome == OUTCOME_CAPTURED)
        outcome = file_read(source, "incoming", request->queue_id,
                            request->size_max, &bytes, reason);
    if (outcome != OUTCOME_CAPTURED)
        return outcome;
    result =
        queue_file_parse(bytes.bytes, bytes.size, request->queue_id, &file);
    free(bytes.bytes);
    if (result)
        return refuse_result(reason, result, "queue file");
    outcome = file_complete(source, request, &file, reason);
    if (outcome == OUTCOME_CAPTURED) {
        mail->type = SYNCQ_RECORD_POSTFIX;
        mail->envelope = file.envelope;
        mail->content = file.content;
        mail->content_size = file.content_size;
        memset(&file.envelope, 0, sizeof(file.envelope));
        file.content = NULL;
    }
    queue_file_clear(&file);
    return outcome;
}

static void source_free(struct capture_source *source_base)
{
    struct queue_file_source *source = (void *)source_base;

    if (source->directory_fd >= 0)
        close(source->directory_fd);
    free(source->hash_names);
    free(source);
}

/* Does cleanup(8) map senders?  Then they cannot be compared. */
static int senders_rewritten(const struct parameters *parameters)
{
    static const char *const names[] = {
        "canonical_maps", "sender_canonical_maps", "masquerade_domains"};
    unsigned i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (*parameters_text(parameters, names[i], ""))
            return 1;
    return 0;
}

int capture_queue_file_new(const char *queue_directory,
                           const struct parameters *parameters,
                           struct capture_source **result_source)
{
    struct queue_file_source *source = calloc(1, sizeof(*source));
    int64_t depth = parameters_number(parameters, "hash_queue_depth", 1);
    int result;

    if (!source)
        return ENOMEM;
    source->source.read = source_read;
    source->source.free = source_free;
    source->owner = geteuid();
    source->hash_depth = depth < 0 || depth > 100 ? 1 : (unsigned)depth;
    source->senders_rewritten = senders_rewritten(parameters);
    sendopts_rules_read(&source->rules, parameters);
    source->hash_names = strdup(
        parameters_text(parameters, "hash_queue_names", "deferred, defer"));
    source->directory_fd =
        open(queue_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!source->hash_names || source->directory_fd < 0) {
        result = source->hash_names ? errno : ENOMEM;
        source_free(&source->source);
        return result;
    }
    *result_source = &source->source;
    return 0;
}

void capture_source_free(struct capture_source *source)
{
    if (source)
        source->free(source);
}

void capture_mail_clear(struct capture_mail *mail)
{
    syncq_envelope_clear(&mail->envelope);
    free(mail->content);
    memset(mail, 0, sizeof(*mail));
}
