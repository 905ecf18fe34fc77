/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/capture.h"
#include "module/record_format.h"
#include "tests/cmocka_all.h"
#include "tests/milter_mail.h"
#include "tests/temporary.h"

#define ID             "3pXyzABCDEz1kQ"
#define SIZE_MAX_BYTES (1 << 20)

struct fixture {
    char *directory;
    char path[4096]; /* of the queue file */
    struct capture_source *source;
    struct mail_event event;
    struct capture_mail mail;
    char reason[CAPTURE_REASON_SIZE];
};

static void path_make(struct fixture *fixture, const char *name, char *path)
{
    (void)snprintf(path, sizeof(fixture->path), "%s/%s", fixture->directory,
                   name);
}

static void source_make(struct fixture *fixture, const char *text)
{
    struct parameters *parameters;

    capture_source_free(fixture->source);
    assert_result(parameters_parse(text, &parameters), 0);
    assert_result(capture_queue_file_new(fixture->directory, parameters,
                                         &fixture->source),
                  0);
    parameters_free(parameters);
}

static void event_make(struct fixture *fixture, const char *sender,
                       const char *argument)
{
    char copies[2][64] = {"", ""};
    char *argv[] = {copies[0], argument ? copies[1] : NULL, NULL};

    mail_event_clear(&fixture->event);
    (void)snprintf(copies[0], sizeof(copies[0]), "<%s>", sender);
    (void)snprintf(copies[1], sizeof(copies[1]), "%s",
                   argument ? argument : "");
    assert_result(mail_event_init(&fixture->event, argv, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    *state = fixture;
    if (!fixture || !(fixture->directory = temporary_make()))
        return -1;
    path_make(fixture, "incoming", fixture->path);
    if (mkdir(fixture->path, 0700))
        return -1;
    path_make(fixture, "trace", fixture->path);
    if (mkdir(fixture->path, 0700))
        return -1;
    path_make(fixture, "incoming/" ID, fixture->path);
    source_make(fixture, "");
    event_make(fixture, "sender@example.org", NULL);
    return milter_mail_write(fixture->path, &milter_mail_plain);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    capture_source_free(fixture->source);
    capture_mail_clear(&fixture->mail);
    mail_event_clear(&fixture->event);
    temporary_remove(fixture->directory);
    free(fixture);
    return 0;
}

static enum outcome read_as(struct fixture *fixture, const char *queue_id,
                            const struct mail_event *event, uint64_t size_max)
{
    struct capture_request request = {queue_id, event, size_max};

    *fixture->reason = 0;
    return fixture->source->read(fixture->source, &request, &fixture->mail,
                                 fixture->reason);
}

static enum outcome read_mail(struct fixture *fixture)
{
    return read_as(fixture, ID, &fixture->event, SIZE_MAX_BYTES);
}

static void assert_refused(struct fixture *fixture, enum outcome expected,
                           const char *reason)
{
    assert_int_equal(read_mail(fixture), expected);
    assert_non_null(strstr(fixture->reason, reason));
    assert_null(fixture->mail.content);
}

static void test_capture__good_file__gives_the_whole_mail(void **state)
{
    struct fixture *fixture = *state;
    const struct syncq_envelope *envelope = &fixture->mail.envelope;

    assert_int_equal(read_mail(fixture), OUTCOME_CAPTURED);
    assert_int_equal(fixture->mail.type, SYNCQ_RECORD_POSTFIX);
    assert_string_equal(envelope->sender, "sender@example.org");
    assert_int_equal(envelope->recipient_count, 3);
    assert_int_equal(envelope->part_count, 2);
    assert_string_equal(envelope->parts[0].domain, "a.example");
    assert_int_equal(envelope->parts[0].recipient_count, 2);
    assert_string_equal(syncq_envelope_attribute_text(envelope, "queue_id", ""),
                        ID);
    assert_string_equal(syncq_envelope_attribute_text(envelope, "sendopts", ""),
                        "0");
    assert_string_equal(syncq_envelope_attribute_text(envelope, "arrival", ""),
                        "1700000000 123456");
    assert_null(syncq_envelope_attribute(envelope, "trace_log"));
    assert_int_equal(fixture->mail.content[0], 'N');
    assert_non_null(memmem(fixture->mail.content, fixture->mail.content_size,
                           "Subject: test", 13));
}

static void test_capture__smtputf8__is_kept(void **state)
{
    struct fixture *fixture = *state;

    event_make(fixture, "sender@example.org", "SMTPUTF8");
    assert_int_equal(read_mail(fixture), OUTCOME_CAPTURED);
    assert_string_equal(
        syncq_envelope_attribute_text(&fixture->mail.envelope, "sendopts", ""),
        "1");
}

static void file_put(struct fixture *fixture, const char *name,
                     const char *text)
{
    char path[sizeof(fixture->path)];
    FILE *file;

    path_make(fixture, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fchmod(fileno(file), 0600);
    fputs(text, file);
    fclose(file);
}

static void test_capture__trace_log__is_carried(void **state)
{
    struct fixture *fixture = *state;
    const struct syncq_attribute *trace;

    file_put(fixture, "trace/" ID, "recipient=a@b\n\n");
    assert_int_equal(read_mail(fixture), OUTCOME_CAPTURED);
    trace = syncq_envelope_attribute(&fixture->mail.envelope, "trace_log");
    assert_non_null(trace);
    assert_int_equal(trace->value_size, 15);
    assert_memory_equal(trace->value, "recipient=a@b\n\n", 15);
    assert_string_equal(
        syncq_envelope_attribute_text(&fixture->mail.envelope, "dsn_seen", ""),
        "2");
}

static void test_capture__trace_log_of_doubt__refuses_the_mail(void **state)
{
    struct fixture *fixture = *state;
    char path[sizeof(fixture->path)];

    file_put(fixture, "trace/" ID, "x");
    path_make(fixture, "trace/" ID, path);
    assert_int_equal(chmod(path, 0666), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "trace/" ID);
}

static void test_capture__hashed_incoming__is_found(void **state)
{
    struct fixture *fixture = *state;
    char directory[sizeof(fixture->path)], path[sizeof(fixture->path)];

    source_make(fixture, "hash_queue_names = incoming\n"
                         "hash_queue_depth = 2\n");
    assert_refused(fixture, OUTCOME_NO_FILE, "No such file");
    path_make(fixture, "incoming/A", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    path_make(fixture, "incoming/A/B", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    path_make(fixture, "incoming/A/B/AB12345678", path);
    assert_int_equal(rename(fixture->path, path), 0);
    assert_int_equal(
        read_as(fixture, "AB12345678", &fixture->event, SIZE_MAX_BYTES),
        OUTCOME_CAPTURED);
}

static void test_capture__bad_requests__are_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(read_as(fixture, NULL, &fixture->event, SIZE_MAX_BYTES),
                     OUTCOME_NO_FILE);
    assert_string_equal(fixture->reason, "no queue id");
    assert_int_equal(
        read_as(fixture, "../" ID, &fixture->event, SIZE_MAX_BYTES),
        OUTCOME_NO_FILE);
    assert_string_equal(fixture->reason, "bad queue id");
    assert_int_equal(read_as(fixture, ID, NULL, SIZE_MAX_BYTES),
                     OUTCOME_NOT_UNDERSTOOD);
    event_make(fixture, "sender@example.org", "BY=1");
    assert_refused(fixture, OUTCOME_NOT_UNDERSTOOD,
                   "unknown MAIL argument BY=1");
}

static void test_capture__missing_file__is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture->path), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "No such file");
}

static void test_capture__finished_file__is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(chmod(fixture->path, 0700), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "mode");
    assert_int_equal(chmod(fixture->path, 0640), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "mode");
}

static void test_capture__file_with_two_names__is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[sizeof(fixture->path)];

    path_make(fixture, "other", path);
    assert_int_equal(link(fixture->path, path), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "several names");
}

static void test_capture__symbolic_link__is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[sizeof(fixture->path)];

    path_make(fixture, "other", path);
    assert_int_equal(rename(fixture->path, path), 0);
    assert_int_equal(symlink(path, fixture->path), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "symbolic links");
}

static void test_capture__fifo_or_directory__is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "not a regular file");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0600), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "not a regular file");
}

static void test_capture__file_of_another_user__is_refused(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid())
        skip();
    assert_int_equal(chown(fixture->path, 1, (gid_t)-1), 0);
    assert_refused(fixture, OUTCOME_NO_FILE, "another user");
}

static void test_capture__large_file__is_too_large(void **state)
{
    struct fixture *fixture = *state;
    struct milter_mail mail = milter_mail_plain;

    mail.body_size = SIZE_MAX_BYTES;
    assert_result(milter_mail_write(fixture->path, &mail), 0);
    assert_refused(fixture, OUTCOME_TOO_LARGE, "limit is 1048576");
}

static void test_capture__incomplete_file__is_not_understood(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    off_t size;

    assert_int_equal(stat(fixture->path, &status), 0);
    for (size = status.st_size - 1; size >= 0; size--) {
        assert_int_equal(truncate(fixture->path, size), 0);
        assert_int_equal(read_mail(fixture), OUTCOME_NOT_UNDERSTOOD);
        assert_non_null(strstr(fixture->reason, "queue file: "));
    }
}

static void test_capture__other_sender__is_refused_unless_mapped(void **state)
{
    struct fixture *fixture = *state;

    event_make(fixture, "other@example.org", NULL);
    assert_refused(fixture, OUTCOME_NOT_UNDERSTOOD, "another sender");
    source_make(fixture, "sender_canonical_maps = tcp:127.0.0.1:10001\n");
    assert_int_equal(read_mail(fixture), OUTCOME_CAPTURED);
}

static void test_capture__no_recipient__is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct milter_mail mail = milter_mail_plain;
    const char *const none[] = {NULL};

    mail.recipients = none;
    assert_result(milter_mail_write(fixture->path, &mail), 0);
    assert_refused(fixture, OUTCOME_NOT_UNDERSTOOD, "no recipient");
}

static void test_capture__doubtful_send_options__are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct milter_mail mail = milter_mail_plain;
    const char *const lines[] = {"Received: x", "From: \xc3\xbc <a@b>", "", "b",
                                 NULL};

    mail.lines = lines;
    mail.attributes = NULL; /* from sendmail(1) */
    assert_result(milter_mail_write(fixture->path, &mail), 0);
    assert_refused(fixture, OUTCOME_NOT_UNDERSTOOD, "only Postfix can tell");
}

static void test_capture__no_queue_directory__cannot_be_opened(void **state)
{
    struct capture_source *source = NULL;
    struct parameters *parameters;

    (void)state;
    assert_result(parameters_parse("", &parameters), 0);
    assert_result(capture_queue_file_new("/nonexistent", parameters, &source),
                  ENOENT);
    assert_result(capture_queue_file_new("/dev/null", parameters, &source),
                  ENOTDIR);
    parameters_free(parameters);
    assert_null(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capture__good_file__gives_the_whole_mail),
        TEST(test_capture__smtputf8__is_kept),
        TEST(test_capture__trace_log__is_carried),
        TEST(test_capture__trace_log_of_doubt__refuses_the_mail),
        TEST(test_capture__hashed_incoming__is_found),
        TEST(test_capture__bad_requests__are_refused),
        TEST(test_capture__missing_file__is_refused),
        TEST(test_capture__finished_file__is_refused),
        TEST(test_capture__file_with_two_names__is_refused),
        TEST(test_capture__symbolic_link__is_refused),
        TEST(test_capture__fifo_or_directory__is_refused_at_once),
        TEST(test_capture__file_of_another_user__is_refused),
        TEST(test_capture__large_file__is_too_large),
        TEST(test_capture__incomplete_file__is_not_understood),
        TEST(test_capture__other_sender__is_refused_unless_mapped),
        TEST(test_capture__no_recipient__is_refused),
        TEST(test_capture__doubtful_send_options__are_refused),
        TEST(test_capture__no_queue_directory__cannot_be_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
